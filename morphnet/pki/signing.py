"""
What the CA's key is used for, and for nothing else: the one verb is "sign this request", under an invitation that was
not used, or under a certificate that is still good. Who asks is not trusted.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from cryptography import x509

from morphnet.errors import Refused
from morphnet.pki.authority import (
    CLIENT_LIFETIME,
    DAY,
    LONGEST_PEM,
    SKEW,
    Authority,
    Description,
    Issued,
    PublicKey,
    as_pem,
    describe,
    names_of,
    renewal_due,
    requested_key,
    serial_text,
)
from morphnet.pki.book import JOIN, RENEW, REVOKE, Entries, Entry
from morphnet.pki.policy import latest
from morphnet.pki.revocations import Draft, RevocationList, draft_revocations, read_revocations
from morphnet.pki.rotation import Authorities
from morphnet.pki.trust import check_among
from morphnet.pki.unreadable import UNREADABLE

GOOD = "this certificate is good for long enough"  # the reason that is none: ask again later
PAUSE = 3600  # seconds from one certificate for a parent to the next; each pause is twice the one before
REMEMBERED = (
    CLIENT_LIFETIME + SKEW + 30 * DAY
)  # seconds that a revocation stays in the list: then its certificate has ended
MOST_ADDRESSES = 2  # one of each family


@dataclass(frozen=True, slots=True)
class Act:
    """Something that may be signed."""

    what: str  # JOIN or RENEW
    parent: Description  # the invitation or certificate for which it is
    key: PublicKey
    names: tuple[str, ...]
    kind: str  # "client" or "server"


class Records(Protocol):
    """The CA's book."""

    def opened(self) -> AbstractContextManager[Entries]:
        "For one act."


class Signer:
    """
    :param cas: all of the network: what they have signed may be renewed.
    :param wall: Unix seconds, now.
    :param policy: that was published last, as pki/policy packs it; b"" for none.
    """

    def __init__(
        self,
        authorities: Authorities,
        cas: Sequence[x509.Certificate],
        book: Records,
        wall: Callable[[], float],
        policy: bytes = b"",
    ) -> None:
        self._authorities, self._cas, self._book, self._wall = authorities, cas, book, wall
        self._policy = policy

    def join(self, invitation_pem: str, csr_pem: str, addresses: Sequence[str] = ()) -> Issued:
        """
        The first certificate of the machine that an invitation names.

        :param addresses: its inner ones, for good.
        :raises Refused: the request is no good, or the invitation was used, revoked or has expired.
        """
        now, invitation = self._wall(), _certificate(invitation_pem)
        found, key = check_among(invitation, self._cas, "invite", "", now=now), requested_key(csr_pem)
        with self._book.opened() as book:
            if found.serial in book.revoked or book.signed_for.get(found.serial):
                raise Refused("this invitation was used, revoked or has expired")
            inner = _free(addresses, found.name, book)
            authority = self._authorities.of(invitation)  # the one that the machine trusts by now
            return self._sign(authority, book, Act(JOIN, found, key, (found.name, *inner), "client"))

    def renew(self, certificate_pem: str, csr_pem: str, addresses: Sequence[str] = ()) -> Issued:
        """
        The next certificate of a machine, server or relay: for the same key, with the same names and usage.

        A server's may have ended, or not have begun: the CA's host was off for a year, or had a wrong clock.

        :param addresses: its inner ones, if the present certificate does not say them.
        :raises Refused: the request is no good, the certificate not ours, revoked or ended, or it is too soon.
        """
        now, present = self._wall(), _certificate(certificate_pem)
        kind = describe(present).kind
        if kind not in ("client", "server"):
            raise Refused("certificate of a wrong usage")
        begins, ends = present.not_valid_before_utc.timestamp(), present.not_valid_after_utc.timestamp()
        at = max(begins, min(now, ends - 1)) if kind == "server" else now
        found, key = check_among(present, self._cas, kind, "", now=at), requested_key(csr_pem)
        if key != present.public_key():
            raise Refused("certificate request with another key")
        with self._book.opened() as book:
            if found.serial in book.revoked:
                raise Refused("certificate revoked")
            authority = self._authorities.newest if kind == "client" else self._authorities.known
            self._check_due(present, authority, book.signed_for.get(found.serial, []))
            names = names_of(present)
            if kind == "client" and not found.addresses:
                names += _free(addresses, found.name, book)
            return self._sign(authority, book, Act(RENEW, found, key, tuple(names), kind))

    def revocations(self, draft: Draft) -> RevocationList:
        """
        The list as it was drafted. What the book knows to be revoked is put in where it is left out, until it has ended
        anyhow; what is new the book learns: nobody who asks can take a revocation back. Nor can they change the policy:
        it is the one that was published, or a later one that a list of ours vouches for.
        """
        now, asked = self._wall(), RevocationList(draft.number, "", draft.recent, tuple(draft.parts), draft.parts)
        listed = asked.entries
        with self._book.opened() as book:
            left_out = {
                serial: at for serial, at in book.revoked.items() if serial not in listed and at + REMEMBERED > now
            }
            policy = self._latest_policy(draft.vouched)
            if left_out or policy:
                filled = draft_revocations({**listed, **left_out}, asked, now=now, policy=policy)
                draft = replace(filled, number=draft.number, at=draft.at)
            signed = self._authorities.known.sign_revocations(replace(draft, policy=policy))
            book.add(*(Entry(at, REVOKE, "-", serial) for serial, at in listed.items() if serial not in book.revoked))
            return signed

    def _latest_policy(self, vouched: str) -> bytes:
        """
        :raises Refused: what vouches for one is not signed by us.
        """
        return latest([self._policy, read_revocations(vouched, *self._cas).policy if vouched else b""])

    def _check_due(self, present: x509.Certificate, authority: Authority, before: Sequence[Entry]) -> None:
        """:raises Refused: nobody needs another certificate yet."""
        now, by_another = self._wall(), describe(present).issuer != describe(authority.certificate).issuer
        if not by_another and not renewal_due(present, now=now + PAUSE):  # an hour, for clocks that differ
            raise Refused(GOOD)
        if before and before[-1].at <= now < before[-1].at + PAUSE * 2 ** (len(before) - 1):
            raise Refused("this certificate was renewed a moment ago")

    def _sign(self, authority: Authority, book: Entries, act: Act) -> Issued:
        now = self._wall()
        if act.kind == "server":
            signed = authority.server(act.key, act.names, now=now)
        else:
            signed = authority.client(act.key, act.names[0], now=now, addresses=act.names[1:])
        serial, inner = serial_text(signed), describe(signed).addresses if act.kind == "client" else ()
        book.add(Entry(int(now), act.what, act.parent.name, serial, act.parent.serial, inner))
        return Issued(as_pem(signed).decode("ascii"), serial, int(signed.not_valid_after_utc.timestamp()))


def _certificate(pem: str) -> x509.Certificate:
    if len(pem) > LONGEST_PEM:
        raise Refused("certificate too long")
    try:
        return x509.load_pem_x509_certificate(pem.encode("ascii"))
    except UNREADABLE:
        raise Refused("certificate that cannot be read") from None


def _free(addresses: Sequence[str], name: str, book: Entries) -> list[str]:
    """:raises Refused: they are no addresses, too many, or somebody else's."""
    try:
        inner = [str(ipaddress.ip_address(each)) for each in addresses[: MOST_ADDRESSES + 1]]
    except ValueError:
        raise Refused("inner address that is none") from None
    if len(inner) > MOST_ADDRESSES:
        raise Refused("too many inner addresses")
    if any(book.holders.get(each, name) != name for each in inner):
        raise Refused("inner address of another machine")
    return inner
