"""
The list of revoked certificates of one network, signed by its CA, as it is passed on and kept.

It carries the network's policy besides, if there is one. The list itself is a CRL and holds what was revoked last, so
much as one message carries. What does not fit is in parts: texts whose digests are in the list, so that its one
signature vouches for them. A part stays as it is when more is revoked: who has it need not get it again.

Source: RFC 5280 section 5; docs/protocol section 14.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from morphnet.errors import Refused
from morphnet.pki.unreadable import UNREADABLE

LIFETIME = 3650 * 86400  # seconds: a list is replaced by the next one, whenever that comes
LONGEST = 1 << 15  # characters of a list: what nodes of before take
CAS = x509.ObjectIdentifier("1.3.6.1.4.1.65535.73.4")  # extension: CAs in DER, each behind its length (u16)
PARTS = x509.ObjectIdentifier("1.3.6.1.4.1.65535.73.2")  # extension: SHA-256 of each part, one behind the other
POLICY = x509.ObjectIdentifier("1.3.6.1.4.1.65535.73.5")  # extension: the network's policy, see pki/policy
RECENT = 512  # certificates in the list itself
PART = 1024  # certificates in one part; some 53 KB of text
MOST_PARTS = 600  # all that fit into a list with some certificates of its own
_DIGEST = 32  # bytes
_LENGTH = struct.Struct("!H")
_ENTRY, _DIGEST_TEXT, _FRAME = 54, 44, 3072  # characters in PEM: of a certificate, a digest, all the rest
_END = "-----END X509 CRL-----\n"
_NOT_READ = "list of revocations that cannot be read"


@dataclass(frozen=True)
class RevocationList:
    """
    What a verified list says, as far as its parts are there.

    Two are equal when they say the same and have the same parts.
    """

    number: int  # a later list has a higher one
    pem: str  # the list itself
    recent: Mapping[str, int]  # certificates in it: serial (hex) -> Unix seconds when it was revoked
    digests: tuple[str, ...] = ()  # of all its parts, hex
    parts: Mapping[str, str] = field(default_factory=dict)  # those that are there: digest -> text
    cas: tuple[x509.Certificate, ...] = ()  # all that the network trusts, the newest first; none: as before
    policy: bytes = b""  # as pki/policy packs it; nobody has looked at it

    @property
    def missing(self) -> tuple[str, ...]:
        """Digests of the parts that are not there."""
        return tuple(each for each in self.digests if each not in self.parts)

    @property
    def entries(self) -> dict[str, int]:
        """All that is known to be revoked: serial -> Unix seconds."""
        found = dict(self.recent)
        for text in self.parts.values():
            found.update(_read_part(text))
        return found

    @property
    def serials(self) -> frozenset[str]:
        """The same without the times."""
        return frozenset(self.entries)

    def with_part(self, text: str) -> RevocationList:
        """
        The same with one more part.

        :raises Refused: the list does not name it.
        """
        digest = digest_of(text)
        if digest not in self.digests:
            raise Refused("part of another list of revocations")
        return replace(self, parts={**self.parts, digest: text})


@dataclass(frozen=True, slots=True)
class Draft:
    """A list that is to be signed: all that the CA's key is needed for."""

    number: int
    at: float  # Unix seconds
    recent: Mapping[str, int]
    parts: Mapping[str, str]
    policy: bytes = b""  # for the list to tell: the CA's signer says which
    vouched: str = ""  # a signed list whose policy the signer takes where it is later than its own


def digest_of(part: str) -> str:
    """What a part is called: SHA-256, hex."""
    return hashlib.sha256(part.encode("ascii", "replace")).hexdigest()


def draft_revocations(
    revoked: Mapping[str, int], before: RevocationList | None, *, now: float, policy: bytes = b""
) -> Draft:
    """
    The next list.

    Its number is higher than that of the one before, and is the time in milliseconds where that is higher still: then
    neither a clock that is late now nor a copy of the last list that is an old one keeps it from being the latest.

    :param revoked: all of it: serial (hex) -> Unix seconds when. At most some 600,000, those revoked last.
    :param before: the last list, with its parts: those of which half is still revoked stay as they are.
    :param now: Unix seconds.
    """
    number = max(int(now * 1000), before.number + 1 if before is not None else 0)
    kept = {
        digest: text
        for digest, text in (before.parts if before is not None else {}).items()
        if 2 * sum(serial in revoked for serial, _ in _read_part(text)) >= text.count("\n")
    }
    taken = len(policy) * 4 // 3
    most = MOST_PARTS - -(-taken // _DIGEST_TEXT)
    kept = dict(list(kept.items())[-most:])
    settled = {serial for text in kept.values() for serial, _ in _read_part(text)}
    rest = sorted((at, serial) for serial, at in revoked.items() if serial not in settled)
    if len(rest) > _room(len(kept), taken):
        newest = _room(len(kept), taken) // 2
        sealed, rest = rest[:-newest], rest[-newest:]
        kept = _seal(kept, sealed, most)
    return Draft(number, now, {serial: at for at, serial in rest}, kept, policy)


def _room(parts: int, taken: int) -> int:
    """Certificates that the list itself may hold beside so many digests, and other characters."""
    return max(2, min(RECENT, (LONGEST - _FRAME - taken - _DIGEST_TEXT * parts) // _ENTRY))


def _seal(kept: dict[str, str], sealed: Sequence[tuple[int, str]], most: int) -> dict[str, str]:
    """Parts with these certificates as well. One part that has room is filled up first, the others stay as they are."""
    for digest, text in kept.items():
        if text.count("\n") < PART:
            sealed = sorted([*sealed, *((at, serial) for serial, at in _read_part(text))])
            kept = {other: each for other, each in kept.items() if other != digest}
            break
    texts = (_part(sealed[start : start + PART]) for start in range(0, len(sealed), PART))
    kept = {**kept, **{digest_of(text): text for text in texts}}
    return dict(list(kept.items())[-most:])


def _part(entries: Sequence[tuple[int, str]]) -> str:
    return "".join(f"{serial} {at}\n" for at, serial in entries)


def _read_part(text: str) -> Iterator[tuple[str, int]]:
    """(serial, when): of a text that the CA vouches for."""
    for line in text.splitlines():
        serial, _, at = line.partition(" ")
        yield serial, int(at)


def sign_revocations(
    ca: x509.Certificate, key: Ed25519PrivateKey, draft: Draft, cas: Sequence[x509.Certificate] = ()
) -> RevocationList:
    """
    The list, for everybody to verify.

    :param cas: that machines shall trust from now on; none: those that they trust already.
    """
    digests = tuple(draft.parts)
    at = datetime.fromtimestamp(int(draft.at), UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ca.subject)
        .last_update(at)
        .next_update(datetime.fromtimestamp(int(draft.at) + LIFETIME, UTC))
        .add_extension(x509.CRLNumber(draft.number), critical=False)
    )
    if digests:
        builder = builder.add_extension(
            x509.UnrecognizedExtension(PARTS, bytes.fromhex("".join(digests))), critical=False
        )
    if cas:
        ders = (each.public_bytes(Encoding.DER) for each in cas)
        packed = b"".join(_LENGTH.pack(len(der)) + der for der in ders)
        builder = builder.add_extension(x509.UnrecognizedExtension(CAS, packed), critical=False)
    if draft.policy:
        builder = builder.add_extension(x509.UnrecognizedExtension(POLICY, draft.policy), critical=False)
    for serial, when in sorted(draft.recent.items()):
        entry = x509.RevokedCertificateBuilder().serial_number(int(serial, 16))
        builder = builder.add_revoked_certificate(entry.revocation_date(datetime.fromtimestamp(when, UTC)).build())
    pem = builder.sign(key, None).public_bytes(Encoding.PEM).decode("ascii")
    return RevocationList(draft.number, pem, draft.recent, digests, draft.parts, tuple(cas), draft.policy)


def list_number(pem: str) -> int:
    """
    The number of a list that nobody has checked: to look no further at one that is known.

    :raises Refused: it is no list.
    """
    return _number(_load(pem))


def read_revocations(pem: str, *cas: x509.Certificate) -> RevocationList:
    """
    What a list says, without its parts.

    :param cas: one of them must have signed it.
    :raises Refused: it is none, or not signed by them.
    """
    found = _load(pem)
    number = _number(found)
    try:
        signed = any(
            found.issuer == ca.subject and found.is_signature_valid(ca.public_key())  # type: ignore[arg-type]
            for ca in cas
        )
    except UNREADABLE:
        raise Refused(_NOT_READ) from None
    if not signed:
        raise Refused("list of revocations of a foreign CA")
    try:
        recent = {format(each.serial_number, "x"): int(each.revocation_date_utc.timestamp()) for each in found}
        cas_told, policy = _cas(found.extensions), _value(found.extensions, POLICY)
        return RevocationList(number, pem, recent, _digests(found.extensions), cas=cas_told, policy=policy)
    except UNREADABLE:
        raise Refused(_NOT_READ) from None


def list_announces(pem: str) -> tuple[x509.Certificate, ...]:
    """
    The CAs in a list that nobody has checked.

    :raises Refused: it is no list.
    """
    try:
        return _cas(_load(pem).extensions)
    except UNREADABLE:
        raise Refused(_NOT_READ) from None


def list_policy(pem: str) -> bytes:
    """
    The policy in a list that nobody has checked, packed; b"" for none.

    :raises Refused: it is no list.
    """
    try:
        return _value(_load(pem).extensions, POLICY)
    except UNREADABLE:
        raise Refused(_NOT_READ) from None


def _load(pem: str) -> x509.CertificateRevocationList:
    if len(pem) > LONGEST:
        raise Refused("list of revocations too long")
    try:
        return x509.load_pem_x509_crl(pem.encode("ascii"))
    except UNREADABLE:
        raise Refused(_NOT_READ) from None


def _number(found: x509.CertificateRevocationList) -> int:
    try:
        return found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except UNREADABLE:
        raise Refused(_NOT_READ) from None


def _value(extensions: x509.Extensions, of: x509.ObjectIdentifier) -> bytes:
    for each in extensions:
        if each.oid == of and isinstance(each.value, x509.UnrecognizedExtension):
            return each.value.value
    return b""


def _digests(extensions: x509.Extensions) -> tuple[str, ...]:
    joined = _value(extensions, PARTS).hex()
    return tuple(joined[start : start + 2 * _DIGEST] for start in range(0, len(joined), 2 * _DIGEST))


def _cas(extensions: x509.Extensions) -> tuple[x509.Certificate, ...]:
    """:raises ValueError: they do not parse."""
    found: list[x509.Certificate] = []
    packed = _value(extensions, CAS)
    while packed:
        size = int.from_bytes(packed[: _LENGTH.size], "big")
        found.append(x509.load_der_x509_certificate(packed[_LENGTH.size : _LENGTH.size + size]))
        packed = packed[_LENGTH.size + size :]
    return tuple(found)


# -- in a file --------------------------------------------------------------------------------------------------------


def as_text(known: RevocationList) -> str:
    """The list and its parts, as they are kept in one file: each part has an empty line in front."""
    return known.pem + "".join(f"\n{text}" for text in known.parts.values())


def from_text(text: str, *cas: x509.Certificate) -> RevocationList:
    """
    What such a file says; parts that were spoilt are missing.

    :raises Refused: the list itself cannot be used.
    """
    pem, end, rest = text.partition(_END)
    found = read_revocations(pem + end, *cas)
    for part in rest.split("\n\n"):
        whole = part.strip("\n") + "\n"
        if digest_of(whole) in found.digests:
            found = found.with_part(whole)
    return found
