"""A network for tests: its CA, the certificates it signs, and serial numbers that count."""

from __future__ import annotations

import itertools

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from morphnet.pki.authority import Authority
from morphnet.pki.invitation import Invitation

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
