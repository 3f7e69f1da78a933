"""
The list of revoked certificates of one network, signed by its CA, as relays pass it on and nodes keep it.

Source: RFC 5280 section 5.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from morphnet.errors import Refused

LIFETIME = 3650 * 86400  # seconds: a list is replaced by the next one, whenever that comes
LONGEST = 1 << 15  # characters


@dataclass(frozen=True, slots=True)
class RevocationList:
    """What a verified list says."""

    number: int  # a later list has a higher one
    serials: frozenset[str]  # hex
    pem: str


def sign_revocations(
    ca: x509.Certificate, key: Ed25519PrivateKey, serials: Iterable[str], *, now: float
) -> RevocationList:
    """
    A list of these serials (hex); its number is the time, in milliseconds.

    :param now: Unix seconds.
    """
    number, revoked = int(now * 1000), frozenset(serials)
    at = datetime.fromtimestamp(int(now), UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ca.subject)
        .last_update(at)
        .next_update(datetime.fromtimestamp(int(now) + LIFETIME, UTC))
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for serial in sorted(revoked):
        entry = x509.RevokedCertificateBuilder().serial_number(int(serial, 16)).revocation_date(at).build()
        builder = builder.add_revoked_certificate(entry)
    return RevocationList(number, revoked, builder.sign(key, None).public_bytes(Encoding.PEM).decode("ascii"))


def read_revocations(pem: str, ca: x509.Certificate) -> RevocationList:
    """
    What a list says.

    :raises Refused: it is none, or not signed by that CA.
    """
    if len(pem) > LONGEST:
        raise Refused("list of revocations too long")
    try:
        found = x509.load_pem_x509_crl(pem.encode("ascii"))
        number = found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        signed = found.issuer == ca.subject and found.is_signature_valid(ca.public_key())  # type: ignore[arg-type]
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound, x509.DuplicateExtension):
        raise Refused("list of revocations that cannot be read") from None
    if not signed:
        raise Refused("list of revocations of a foreign CA")
    return RevocationList(number, frozenset(format(each.serial_number, "x") for each in found), pem)
