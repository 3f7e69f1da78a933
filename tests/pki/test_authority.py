"""What the CA signs, and what is refused."""

from __future__ import annotations

import itertools

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError, Refused
from morphnet.pki.authority import (
    CA_LIFETIME,
    CLIENT_LIFETIME,
    DAY,
    INVITE_USAGE,
    SKEW,
    Authority,
    check,
    describe,
    issuer_of,
    make_request,
    names_of,
    network_of,
    renewal_due,
    requested_key,
    serial_text,
)
from tests.fakes_pki import NOW, a_client, a_key, an_authority, an_invitation


def _usages(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


class SignTests(SynchronousTestCase):
    def test_ca(self) -> None:
        """The CA may sign certificates but no further CA, and nothing else."""
        ca = an_authority().certificate
        basic = ca.extensions.get_extension_for_class(x509.BasicConstraints)
        usage = ca.extensions.get_extension_for_class(x509.KeyUsage).value
        self.assertEqual((basic.critical, basic.value.ca, basic.value.path_length), (True, True, 0))
        self.assertEqual((usage.key_cert_sign, usage.crl_sign, usage.digital_signature), (True, True, False))
        self.assertEqual(describe(ca).kind, "ca")
        self.assertEqual(ca.not_valid_after_utc.timestamp(), NOW + CA_LIFETIME)

    def test_one_usage_each(self) -> None:
        """Server, client and invitation have one extended usage, each its own."""
        authority = an_authority()
        server = authority.server(a_key(5).public_key(), ["gw", "vpn.example.org", "192.0.2.1", "2001:db8::1"], now=NOW)
        self.assertEqual(_usages(server), [ExtendedKeyUsageOID.SERVER_AUTH])
        self.assertEqual(_usages(a_client(authority)), [ExtendedKeyUsageOID.CLIENT_AUTH])
        self.assertEqual(_usages(an_invitation(authority).certificate), [INVITE_USAGE])
        self.assertEqual(names_of(server), ["gw", "vpn.example.org", "192.0.2.1", "2001:db8::1"])

    def test_skew(self) -> None:
        """A certificate is good at once on a machine whose clock is five minutes late."""
        client = a_client(an_authority())
        self.assertEqual(client.not_valid_before_utc.timestamp(), NOW - SKEW)
        self.assertEqual(client.not_valid_after_utc.timestamp(), NOW + CLIENT_LIFETIME)

    def test_never_longer_than_the_ca(self) -> None:
        """Nothing outlives the CA."""
        client = a_client(an_authority(), now=NOW + CA_LIFETIME - DAY)
        self.assertEqual(client.not_valid_after_utc.timestamp(), NOW + CA_LIFETIME)

    def test_expired_ca(self) -> None:
        """A CA that has expired, or is of the future, signs nothing."""
        self.assertRaises(ConfigError, a_client, an_authority(), now=NOW + CA_LIFETIME)
        self.assertRaises(ConfigError, a_client, an_authority(), now=NOW - SKEW - 1)

    def test_long_name(self) -> None:
        """A name of 63 characters fits everywhere."""
        authority = Authority.found("n" * 63, a_key(1), itertools.count(1).__next__, now=NOW)
        self.assertEqual(describe(a_client(authority, "c" * 63)).name, "c" * 63)

    def test_addresses(self) -> None:
        """A client's certificate tells its inner addresses behind its name; one without says none."""
        authority, inner = an_authority(), ("10.73.0.2", "fd73::2")
        certificate = authority.client(a_key(5).public_key(), "laptop", now=NOW, addresses=inner)
        found = check(certificate, authority.certificate, "client", "laptop", now=NOW)
        self.assertEqual((found.name, found.addresses), ("laptop", inner))
        self.assertEqual(names_of(certificate), ["laptop", *inner])
        issued = authority.certify("laptop", make_request(a_key(9), "x"), NOW, inner)
        self.assertEqual(describe(x509.load_pem_x509_certificate(issued.pem.encode())).addresses, inner)
        self.assertEqual(describe(a_client(authority)).addresses, ())

    def test_issuer(self) -> None:
        """Every certificate says which network it is of, the CA's own as well; another network is another."""
        authority = an_authority()
        server = authority.server(a_key(5).public_key(), ["gw"], now=NOW)
        invitation = an_invitation(authority).certificate
        network = network_of(authority.certificate)
        for certificate in (server, a_client(authority), invitation, authority.certificate):
            self.assertEqual((describe(certificate).issuer, issuer_of(certificate)), (network, network))
        self.assertEqual(len(network), 40)
        self.assertNotEqual(network_of(an_authority(2).certificate), network)

    def test_no_issuer(self) -> None:
        """A certificate that does not say is of no network."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "laptop")])
        good = a_client(an_authority())
        plain = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(good.issuer)
            .public_key(a_key(3).public_key())
            .serial_number(9)
            .not_valid_before(good.not_valid_before_utc)
            .not_valid_after(good.not_valid_after_utc)
            .sign(a_key(1), None)
        )
        self.assertEqual(issuer_of(plain), "")

    def test_same_in_same_out(self) -> None:
        """No clock and no chance besides what is handed in."""
        self.assertEqual(a_client(an_authority()), a_client(an_authority()))

    def test_renewal_due(self) -> None:
        """A certificate is due when a third of its life is left."""
        client = a_client(an_authority())
        self.assertFalse(renewal_due(client, now=NOW + CLIENT_LIFETIME * 0.66))
        self.assertTrue(renewal_due(client, now=NOW + CLIENT_LIFETIME * 0.67))


class CheckTests(SynchronousTestCase):
    def _refused(
        self, certificate: x509.Certificate, kind: str = "client", name: str = "laptop", now: float = NOW
    ) -> str:
        refused = self.assertRaises(Refused, check, certificate, an_authority().certificate, kind, name, now=now)
        return str(refused)

    def test_good(self) -> None:
        """A client's certificate says whose it is."""
        certificate = a_client(an_authority())
        found = check(certificate, an_authority().certificate, "client", "laptop", now=NOW)
        self.assertEqual((found.name, found.kind, found.serial), ("laptop", "client", serial_text(certificate)))

    def test_refused(self) -> None:
        """Foreign, wrong usage, wrong name, too early, expired: each by its own reason."""
        client = a_client(an_authority())
        self.assertEqual(self._refused(a_client(an_authority(2))), "certificate of a foreign CA")
        self.assertEqual(self._refused(an_invitation(an_authority()).certificate), "certificate of a wrong usage")
        self.assertEqual(self._refused(client, "invite"), "certificate of a wrong usage")
        self.assertEqual(self._refused(client, name="other"), "certificate of another name")
        self.assertEqual(self._refused(client, now=NOW - SKEW - 1), "certificate not valid yet")
        self.assertEqual(self._refused(client, now=NOW + CLIENT_LIFETIME), "certificate expired")
        self.assertEqual(self._refused(an_authority().certificate), "certificate of a wrong usage")

    def test_two_usages(self) -> None:
        """A certificate with two roles has none."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "laptop")])
        good = a_client(an_authority())
        twofold = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(good.issuer)
            .public_key(a_key(3).public_key())
            .serial_number(9)
            .not_valid_before(good.not_valid_before_utc)
            .not_valid_after(good.not_valid_after_utc)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, INVITE_USAGE]), critical=False)
            .sign(a_key(1), None)
        )
        self.assertEqual(self._refused(twofold), "certificate of an unknown usage")


class RequestTests(SynchronousTestCase):
    def test_only_the_key(self) -> None:
        """Whatever a request wishes for, it gets a client certificate of the name that the caller proved."""
        key = a_key(9)
        request = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "admin")]))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("gw")]), critical=True)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, None)
        )
        issued = an_authority().certify("laptop", request.public_bytes(Encoding.PEM).decode(), NOW)
        certificate = x509.load_pem_x509_certificate(issued.pem.encode())
        found = check(certificate, an_authority().certificate, "client", "laptop", now=NOW)
        self.assertEqual((found.name, names_of(certificate)), ("laptop", ["laptop"]))
        self.assertEqual(certificate.public_key(), key.public_key())
        self.assertEqual((issued.serial, issued.not_after), (found.serial, int(found.not_after)))

    def test_curves(self) -> None:
        """Keys of security chips (P-256, P-384) are taken as well."""
        for curve in (ec.SECP256R1(), ec.SECP384R1()):
            key = ec.generate_private_key(curve)
            self.assertEqual(requested_key(make_request(key, "x")), key.public_key())

    def test_other_keys(self) -> None:
        """Keys of any other kind are refused."""
        name = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        for key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP521R1())):
            pem = name.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()
            self.assertRaises(Refused, requested_key, pem)

    def test_forged(self) -> None:
        """A request for somebody else's public key is refused: only its holder can sign it."""
        der = x509.load_pem_x509_csr(make_request(a_key(9), "x").encode()).public_bytes(Encoding.DER)
        other = a_key(10).public_key().public_bytes_raw()
        swapped = x509.load_der_x509_csr(der.replace(a_key(9).public_key().public_bytes_raw(), other))
        self.assertRaises(Refused, requested_key, swapped.public_bytes(Encoding.PEM).decode())

    @given(st.text(max_size=200), st.integers(0, 300), st.characters(max_codepoint=0x2FF))
    def test_garbage(self, text: str, at: int, letter: str) -> None:
        """Any text is a good request or refused, nothing else."""
        good = make_request(a_key(9), "laptop")
        for each in (text, good[:at] + letter + good[at + 1 :], good[:at]):
            try:
                self.assertEqual(requested_key(each), a_key(9).public_key())
            except Refused:
                pass

    def test_long(self) -> None:
        """A request that is far too long is not even parsed."""
        self.assertRaises(Refused, requested_key, make_request(a_key(9), "x") + "\n" * 10000)
