"""Settings of the upload server."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.file import load, loads, render
from morphnet.config.upload import UPLOAD_PORT, ComponentConfig, UploadConfig
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

    def test_component(self) -> None:
        """Who is served: the domain above, or those that are named; what is no domain or place is refused."""
        self.assertEqual(ComponentConfig(jid="upload.x.org").served(), ("x.org",))
        self.assertEqual(ComponentConfig(jid="upload.x.org", hosts=("y.org",)).served(), ("y.org",))
        for key, wrong in (("jid", "a b"), ("jid", "x/"), ("server", "here"), ("server", "x:0"), ("hosts", ["a@b"])):
            self.assertRaises(
                ConfigError, loads, UploadConfig, f"[component]\n{key} = {json.dumps(wrong)}\n", Path("x")
            )
