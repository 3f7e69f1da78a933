"""A network for tests: its CA, the certificates it signs, and serial numbers that count."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from morphnet.pki.authority import Authority, Issued
from morphnet.pki.book import Entries
from morphnet.pki.invitation import Invitation
from morphnet.pki.rotation import Authorities
from morphnet.pki.signing import Signer

NOW = 1_800_000_000.0  # Unix seconds, in January 2027


def a_key(seed: int) -> Ed25519PrivateKey:
    """The same key for the same seed."""
    return Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big"))


def an_authority(seed: int = 1, *, now: float = NOW) -> Authority:
    """The same CA for the same seed, up to its serial numbers."""
    return Authority.found("gw", a_key(seed), itertools.count(seed * 1000 + 1).__next__, now=now)


def an_invitation(authority: Authority, name: str = "laptop", *, now: float = NOW, seed: int = 77) -> Invitation:
    """An invitation of that CA, to the server gw at 192.0.2.1."""
    certificate = authority.invite(a_key(seed).public_key(), name, now=now)
    return Invitation("192.0.2.1:8443", "gw", a_key(seed), certificate, authority.certificate)


def a_client(authority: Authority, name: str = "laptop", *, now: float = NOW) -> x509.Certificate:
    """A client certificate of that CA."""
    return authority.client(a_key(78).public_key(), name, now=now)


class LooseBook(Entries):
    """The CA's book, on no disk."""

    @contextmanager
    def opened(self) -> Iterator[Entries]:
        """The book itself: there is nothing to lock or to write."""
        yield self


class FakeSigner:
    """What a process that listens sees of the signer: one that answers at once."""

    def __init__(self, authority: Authority, wall: Callable[[], float], *older: x509.Certificate) -> None:
        self.book, self.asked = LooseBook(), 0
        self.signer = Signer(Authorities(authority), [authority.certificate, *older], self.book, wall)

    async def join(self, invitation_pem: str, csr_pem: str, addresses: Sequence[str]) -> Issued:
        """Have it signed here and now."""
        return self.signer.join(invitation_pem, csr_pem, addresses)

    async def renew(self, certificate_pem: str, csr_pem: str, addresses: Sequence[str]) -> Issued:
        """Count it, and have it signed here and now."""
        self.asked += 1
        return self.signer.renew(certificate_pem, csr_pem, addresses)
