"""Where Redis is."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.file import loads
from morphnet.config.redis_url import RedisUrl, redis_url_of
from morphnet.config.roles import RelayConfig
from morphnet.errors import ConfigError


class RedisTests(SynchronousTestCase):
    def test_places(self) -> None:
        """Every kind of URL, with the user and the password that are spelled in it."""
        self.assertEqual(redis_url_of("redis://meet.example"), RedisUrl("meet.example", 6379))
        self.assertEqual(redis_url_of("redis://:p%40w@192.0.2.1:7"), RedisUrl("192.0.2.1", 7, password="p@w"))
        self.assertEqual(redis_url_of("rediss://u:p@[::1]:6380/"), RedisUrl("::1", 6380, "", True, "u", "p"))
        self.assertEqual(redis_url_of("unix:///run/redis.sock"), RedisUrl(path="/run/redis.sock"))

    def test_refused(self) -> None:
        """What is no such URL is refused with a sentence that does not repeat it: there may be a password in it."""
        for url in (
            "redis://",
            "http://h",
            "redis://h:99999",
            "redis://h:0",
            "redis://:s3cret@h/3",
            "unix://h/p",
            "h:1",
        ):
            with self.assertRaises(ConfigError) as caught:
                loads(RelayConfig, f'name = "x"\nredis_url = "{url}"', Path("relay.toml"))
            self.assertIn("line 2: 'redis_url' must be redis://", str(caught.exception))
            self.assertNotIn("s3cret", str(caught.exception))

    def test_secret(self) -> None:
        """No password is in what Python prints of a configuration, or of a place."""
        url = "redis://:s3cret@h"
        place = redis_url_of(url)
        for text in (repr(RelayConfig(redis_url=url)), repr(place), str(place)):
            self.assertNotIn("s3cret", text)
