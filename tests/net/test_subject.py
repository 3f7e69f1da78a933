"""A certificate is that of the machine that was called, or it is not."""

from __future__ import annotations

import ipaddress

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.subject import carries
from tests.fakes_tls import SERVER, FakeCa


class SubjectTests(SynchronousTestCase):
    def test_carries(self) -> None:
        """A name is compared with names, without capitals, an address with addresses; a common name says nothing."""
        names = [x509.DNSName("gw.example"), x509.IPAddress(ipaddress.ip_address("192.0.2.1"))]
        named = FakeCa().identity("common", SERVER, names=names)
        certificate = x509.load_pem_x509_certificate(named.certificate)
        for host, good in (
            ("gw.example", True),
            ("GW.example", True),
            ("192.0.2.1", True),
            ("192.0.2.2", False),
            ("example", False),
            ("a.gw.example", False),
            ("common", False),
            ("", False),
        ):
            self.assertEqual(carries(certificate, host), good, host)

    def test_no_names(self) -> None:
        """A certificate without names is nobody's."""
        bare = FakeCa().identity("gw.example", SERVER, names=[])
        self.assertFalse(carries(x509.load_pem_x509_certificate(bare.certificate), "gw.example"))
