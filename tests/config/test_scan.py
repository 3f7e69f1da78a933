"""Where the scanner is."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.file import loads
from morphnet.config.upload import UploadConfig
from morphnet.errors import ConfigError


class ScanTests(SynchronousTestCase):
    def test_place(self) -> None:
        """A socket here, or a port elsewhere."""
        for place in ("/run/clamav/clamd.ctl", "127.0.0.1:3310", "[::1]:3310", ""):
            config = loads(UploadConfig, f'[scan]\nclamd = "{place}"', Path("upload.toml"))
            self.assertEqual(config.scan.clamd, place)
        for place in ("clamd", "h:x", "h:0", ":3310"):
            with self.assertRaises(ConfigError):
                loads(UploadConfig, f'[scan]\nclamd = "{place}"', Path("upload.toml"))
