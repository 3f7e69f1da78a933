"""The settings of several upload servers."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.file import loads
from morphnet.config.upload import UploadConfig
from morphnet.errors import ConfigError


class SharedTests(SynchronousTestCase):
    def test_redis(self) -> None:
        """The password in it is in no text; what is no URL is refused."""
        text = '[shared]\nredis_url = "redis://:s3cret@h"\nfiles = "/srv/files"'
        config = loads(UploadConfig, text, Path("upload.toml"))
        self.assertEqual((config.shared.redis_url, config.shared.files), ("redis://:s3cret@h", "/srv/files"))
        self.assertNotIn("s3cret", repr(config))
        with self.assertRaises(ConfigError):
            loads(UploadConfig, '[shared]\nredis_url = "h"', Path("upload.toml"))
