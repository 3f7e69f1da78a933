"""
The CA of one network, and the certificates that it signs. No clock, no files: `now` is handed in.

Source: RFC 5280; RFC 8410 for Ed25519.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from morphnet.errors import ConfigError, Refused
from morphnet.pki.revocations import Draft, RevocationList, draft_revocations, sign_revocations
from morphnet.pki.unreadable import UNREADABLE
from morphnet.text import LONGEST_NAME, is_dns_name, is_machine

DAY = 86400  # seconds
CA_LIFETIME = 3650 * DAY
SERVER_LIFETIME = 365 * DAY
CLIENT_LIFETIME = 365 * DAY
INVITE_LIFETIME = DAY
SKEW = DAY  # seconds that a certificate is dated back, for clocks that are late: by a time zone, or a summer's hour
LONGEST_REQUEST = 8192  # characters of a PEM certificate request
LONGEST_PEM = 16384  # of a certificate

NETWORK = x509.ObjectIdentifier("1.3.6.1.4.1.65535.73.3")  # extension of a CA: the network that it is the next CA of

# Extended key usage of an invitation: good for asking for a certificate, for nothing else. Every other use of TLS
# refuses it, because it is not clientAuth. Source: docs/protocol section 7.
INVITE_USAGE = x509.ObjectIdentifier("1.3.6.1.4.1.65535.73.1")

_USAGES = {
    "server": ExtendedKeyUsageOID.SERVER_AUTH,
    "client": ExtendedKeyUsageOID.CLIENT_AUTH,
    "invite": INVITE_USAGE,
}

PrivateKey = Ed25519PrivateKey | ec.EllipticCurvePrivateKey
PublicKey = Ed25519PublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class Description:
    """What a certificate says of its holder."""

    name: str  # the first name in the subjectAltName; the CA's common name
    kind: str  # "ca", "server", "client", "invite"
    serial: str  # hex, lower case, without leading zeros
    not_before: float  # Unix seconds
    not_after: float
    addresses: tuple[str, ...] = ()  # IP addresses in the subjectAltName: of a client, those that it has inside
    issuer: str = ""  # key identifier of the CA that signed it, hex: which network it is of
    pem: str = field(default="", repr=False, compare=False)  # the certificate itself


@dataclass(frozen=True, slots=True)
class Issued:
    """A new certificate, ready to be sent and to be remembered."""

    pem: str
    serial: str  # hex
    not_after: int  # Unix seconds


def serial_text(certificate: x509.Certificate) -> str:
    """The serial number as it is written everywhere: hex, lower case, without leading zeros."""
    return format(certificate.serial_number, "x")


def as_pem(certificate: x509.Certificate) -> bytes:
    """The certificate in PEM."""
    return certificate.public_bytes(Encoding.PEM)


def names_of(certificate: x509.Certificate) -> list[str]:
    """Every DNS name and IP address in the subjectAltName, in order."""
    return [str(each.value) for each in _alternatives(certificate)]


def _alternatives(certificate: x509.Certificate) -> list[x509.DNSName | x509.IPAddress]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [each for each in names if isinstance(each, x509.DNSName | x509.IPAddress)]


def _kind(certificate: x509.Certificate) -> str:
    try:
        if certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return "ca"
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        raise Refused("certificate of an unknown usage") from None
    kinds = [kind for kind, usage in _USAGES.items() if usage in usages]
    if len(kinds) != 1 or len(list(usages)) != 1:  # one certificate, one role
        raise Refused("certificate of an unknown usage")
    return kinds[0]


def describe(certificate: x509.Certificate) -> Description:
    """
    Whose certificate this is.

    :raises Refused: it is none of ours: no name, one that no machine may have, no usage, or several usages.
    """
    try:
        kind = _kind(certificate)
        if kind == "ca":
            names = [str(each.value) for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        else:
            names = names_of(certificate)
    except UNREADABLE:
        raise Refused("certificate that cannot be read") from None
    if not names:
        raise Refused("certificate without a name")
    if not _may_be_called(names[0], kind):
        raise Refused("certificate of a name that no machine may have")
    return Description(
        names[0],
        kind,
        serial_text(certificate),
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
        tuple(str(each.value) for each in _alternatives(certificate) if isinstance(each, x509.IPAddress)),
        issuer_of(certificate),
        as_pem(certificate).decode("ascii"),
    )


def _may_be_called(name: str, kind: str) -> bool:
    """The name goes into names of files, into lines for terminals, and stands beside addresses; a CA's goes nowhere."""
    return kind == "ca" or is_machine(name) or (kind == "server" and (is_dns_name(name) or _is_address(name)))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def read_description(pem: str) -> Description:
    """
    Whose certificate a text is; that it is good nobody has looked at.
    :raises Refused: it is none, or none of ours.
    """
    if len(pem) > LONGEST_PEM:
        raise Refused("certificate too long")
    try:
        return describe(x509.load_pem_x509_certificate(pem.encode("ascii", "replace")))
    except UNREADABLE:
        raise Refused("certificate that cannot be read") from None


def issuer_of(certificate: x509.Certificate) -> str:
    """Key identifier (hex) of the CA that signed it, "" if it does not say; a CA's own is that of itself."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        try:
            found = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        except x509.ExtensionNotFound:
            return ""
    return (found or b"").hex()


def network_of(ca: x509.Certificate) -> str:
    """The same identifier, made from the CA's key: whatever a CA of another network says of itself, it has its own."""
    return x509.SubjectKeyIdentifier.from_public_key(ca.public_key()).digest.hex()


def check(certificate: x509.Certificate, ca: x509.Certificate, kind: str, name: str, *, now: float) -> Description:
    """
    That a certificate is what it is taken for.

    :param kind: "server", "client" or "invite".
    :param name: one of its names must be this one; "" for any.
    :param now: Unix seconds.
    :raises Refused: it is not; the reason says why.
    """
    try:
        certificate.verify_directly_issued_by(ca)
    except UNREADABLE:
        raise Refused("certificate of a foreign CA") from None
    found = describe(certificate)
    if found.kind != kind:
        raise Refused("certificate of a wrong usage")
    if name and name not in names_of(certificate):
        raise Refused("certificate of another name")
    for each in (certificate, ca):
        if now < each.not_valid_before_utc.timestamp():
            raise Refused("certificate not valid yet")
        if now >= each.not_valid_after_utc.timestamp():
            raise Refused("certificate expired")
    return found


def renewal_due(certificate: x509.Certificate, *, now: float) -> bool:
    """Whether less than a third of its life is left; or it has not begun: the clock of who signed it was ahead."""
    begun, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    return not begun <= now < ends - (ends - begun) / 3


def make_request(key: PrivateKey, name: str) -> str:
    """A certificate request in PEM, signed by `key`. The name is for people: the CA does not look at it."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_named(name))
    return builder.sign(key, _hash_for(key)).public_bytes(Encoding.PEM).decode("ascii")


def requested_key(request_pem: str) -> PublicKey:
    """
    The public key of a certificate request, and nothing else of it.

    :raises Refused: it does not parse, is not signed by that very key, or the key is of a kind that we do not take.
    """
    if len(request_pem) > LONGEST_REQUEST:
        raise Refused("certificate request too long")
    try:
        request = x509.load_pem_x509_csr(request_pem.encode("ascii"))
        key = request.public_key()
        signed = request.is_signature_valid
    except UNREADABLE:
        raise Refused("certificate request that cannot be read") from None
    if not signed:
        raise Refused("certificate request with a wrong signature")
    if isinstance(key, Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
        return key
    raise Refused("certificate request with a key that is neither Ed25519 nor P-256 nor P-384")


class Authority:
    """
    Signs. What it gives depends on its arguments and on `serials` alone.

    :param serials: a fresh certificate serial number at each call: positive, unpredictable, below 2**159.
    :param announced: CAs that machines shall trust from now on, for its lists of revocations to say.
    """

    def __init__(
        self,
        certificate: x509.Certificate,
        key: Ed25519PrivateKey,
        serials: Callable[[], int],
        announced: Sequence[x509.Certificate] = (),
    ) -> None:
        self.certificate, self.announced = certificate, tuple(announced)
        self._key, self._serials = key, serials

    @classmethod
    def found(
        cls, name: str, key: Ed25519PrivateKey, serials: Callable[[], int], *, now: float, network: str = ""
    ) -> Authority:
        """
        A new network; or the next CA of one.

        :param name: of the network, for people.
        :param network: of which it is the next CA, see `network_of`; "" for a new one.
        """
        subject = _named(f"morphnet {name}")
        builder = (
            _dated(x509.CertificateBuilder(), now, now + CA_LIFETIME)
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(serials())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(ca=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if network:
            builder = builder.add_extension(x509.UnrecognizedExtension(NETWORK, bytes.fromhex(network)), critical=False)
        return cls(builder.sign(key, None), key, serials)

    def server(self, key: PublicKey, names: Sequence[str], *, now: float) -> x509.Certificate:
        """
        A server's certificate.

        :param names: DNS names and IP addresses; the first is the server's name.
        :raises ConfigError: the CA is not good now.
        """
        return self._sign("server", key, names, now, SERVER_LIFETIME)

    def client(self, key: PublicKey, name: str, *, now: float, addresses: Sequence[str] = ()) -> x509.Certificate:
        """
        A client's certificate.

        :param addresses: those that it has inside the network, for its peers to know.
        :raises ConfigError: the CA is not good now.
        """
        return self._sign("client", key, [name, *addresses], now, CLIENT_LIFETIME)

    def invite(self, key: PublicKey, name: str, *, now: float, lifetime: float = INVITE_LIFETIME) -> x509.Certificate:
        """
        An invitation's certificate: lets its holder ask for a client certificate of that name.

        :param lifetime: seconds.
        :raises ConfigError: the CA is not good now.
        """
        return self._sign("invite", key, [name], now, lifetime)

    def certify(self, name: str, request_pem: str, now: float, addresses: Sequence[str] = ()) -> Issued:
        """
        A client's certificate, from its request.

        :param addresses: see `client`.
        :raises Refused: the request is no good.
        :raises ConfigError: the CA is not good now.
        """
        certificate = self.client(requested_key(request_pem), name, now=now, addresses=addresses)
        ends = int(certificate.not_valid_after_utc.timestamp())
        return Issued(as_pem(certificate).decode("ascii"), serial_text(certificate), ends)

    def revocations(
        self, revoked: Mapping[str, int] | Iterable[str], *, now: float, before: RevocationList | None = None
    ) -> RevocationList:
        """
        The list of these revoked certificates, for everybody to verify.

        :param revoked: serials (hex), with the Unix seconds when each was revoked; without, all were revoked now.
        :param before: the last list; see `draft_revocations`.
        """
        known = revoked if isinstance(revoked, Mapping) else dict.fromkeys(revoked, int(now))
        return self.sign_revocations(draft_revocations(known, before, now=now))

    def sign_revocations(self, draft: Draft) -> RevocationList:
        """The one place where a list is signed."""
        return sign_revocations(self.certificate, self._key, draft, self.announced)

    def _sign(self, kind: str, key: PublicKey, names: Sequence[str], now: float, lifetime: float) -> x509.Certificate:
        ends = self.certificate.not_valid_after_utc.timestamp()
        if not self.certificate.not_valid_before_utc.timestamp() <= now < ends:
            raise ConfigError(
                "the CA is not good at this time: set the clock, or found a new network if it has expired"
            )
        builder = (
            _dated(x509.CertificateBuilder(), now, min(now + lifetime, ends))
            .subject_name(_named(names[0]))
            .issuer_name(self.certificate.subject)
            .public_key(key)
            .serial_number(self._serials())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([_USAGES[kind]]), critical=False)
            .add_extension(x509.SubjectAlternativeName([_general(each) for each in names]), critical=False)
            .add_extension(self._identifier(), critical=False)
        )
        if kind != "invite":  # an invitation must stay short, and nobody looks for one by its key
            builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        return builder.sign(self._key, None)

    def _identifier(self) -> x509.AuthorityKeyIdentifier:
        subject = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[: LONGEST_NAME + 1])])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _dated(builder: x509.CertificateBuilder, now: float, until: float) -> x509.CertificateBuilder:
    begins, ends = (datetime.fromtimestamp(int(each), UTC) for each in (now - SKEW, until))
    return builder.not_valid_before(begins).not_valid_after(ends)


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _hash_for(key: PrivateKey) -> SHA256 | None:
    return None if isinstance(key, Ed25519PrivateKey) else SHA256()
