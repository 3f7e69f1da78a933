"""The certificate of an upload server."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.uploadtls import UploadTlsConfig
from morphnet.errors import ConfigError
from morphnet.roles.upload.certificate import Certificate
from tests.fakes_certificates import Pair


class CertificateTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        self.pair = Pair(directory)
        self.pair.renew("first")
        self.config = UploadTlsConfig(str(self.pair.certificate), str(self.pair.key))
        self.told: list[str] = []

    def looks(self, certificate: Certificate, times: int) -> list[str]:
        """What is told meanwhile."""
        self.told.clear()
        for _ in range(times):
            certificate.look(self.told.append)
        return list(self.told)

    def test_renewed(self) -> None:
        """New files are read once they stay as they are, and once; a wrong pair is told once, and the next is tried."""
        certificate = Certificate(self.config)
        self.assertEqual(self.looks(certificate, 3), [])
        self.pair.renew("second")
        self.assertEqual(self.looks(certificate, 1), [])
        self.assertEqual(self.looks(certificate, 5), [""])
        self.pair.renew("third", key_too=False)
        (said,) = self.looks(certificate, 5)
        self.assertIn("no certificate and its key", said)
        self.pair.certificate.unlink()
        (said,) = self.looks(certificate, 5)
        self.assertEqual(said, f"tls.certificate: {self.pair.certificate}: no such file or directory")
        self.pair.renew("fourth")
        self.assertEqual(self.looks(certificate, 5), [""])

    def test_modes(self) -> None:
        """Nobody else may read the key, but a group; nobody else may write either; mended, they are read."""
        certificate = Certificate(self.config)
        for file, mode, word in (
            (self.pair.key, 0o604, "read or write"),
            (self.pair.key, 0o660, "read or write"),
            (self.pair.certificate, 0o646, "write"),
        ):
            file.chmod(mode)
            refused = self.assertRaises(ConfigError, Certificate, self.config)
            self.assertIn(f"others may {word} {file}: chmod 600 it", str(refused))
            self.assertEqual(len(self.looks(certificate, 4)), 1)
            file.chmod(0o640)
            self.assertEqual(self.looks(certificate, 4), [""])
        Certificate(self.config)

    def test_one_alone(self) -> None:
        """One of the two settings is a mistake."""
        refused = self.assertRaises(ConfigError, Certificate, UploadTlsConfig("", str(self.pair.key)))
        self.assertEqual(str(refused), "tls.certificate and tls.key: the one needs the other")
