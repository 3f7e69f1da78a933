"""Settings of the upload server."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.file import load, render
from morphnet.config.upload import UPLOAD_PORT, UploadConfig
from morphnet.errors import ConfigError


class UploadConfigTests(SynchronousTestCase):
    def test_file(self) -> None:
        """A file that says nothing but the secret's is enough, and what we render is read again."""
        path = Path(self.mktemp())
        path.write_text(render(UploadConfig, {"secret_file": "/s", "base": "/files/"}))
        config = load(UploadConfig, path, {})
        self.assertEqual((config.secret_file, config.base, config.port), (Path("/s"), "/files/", UPLOAD_PORT))

    def test_base(self) -> None:
        """The base is a path, from slash to slash."""
        for wrong in ("upload", "/upload", "upload/", "https://x/upload/", "/a b/", "/%41/"):
            with self.assertRaisesRegex(ConfigError, "base"):
                load(UploadConfig, None, {"base": wrong})
        self.assertEqual(load(UploadConfig, None, {"base": "/"}).base, "/")
