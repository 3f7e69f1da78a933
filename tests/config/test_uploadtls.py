"""The settings of an upload server with TLS."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.file import loads
from morphnet.config.upload import UploadConfig


class UploadTlsTests(SynchronousTestCase):
    def test_read(self) -> None:
        """Without them it speaks plain HTTP."""
        config = loads(UploadConfig, '[tls]\ncertificate = "/c.pem"\nkey = "/k.pem"', Path("upload.toml"))
        self.assertEqual((config.tls.certificate, config.tls.key), ("/c.pem", "/k.pem"))
        self.assertEqual(UploadConfig().tls.certificate, "")
