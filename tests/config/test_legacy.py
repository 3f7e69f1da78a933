"""Settings for clients and servers of the original."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.file import loads
from morphnet.config.legacy import address4, local_place, place, server_and_user, split_place
from morphnet.config.roles import ServerConfig


class LegacySettingTests(SynchronousTestCase):
    def test_places(self) -> None:
        """What each kind of place may be."""
        for check, good, bad in (
            (place, ("", "127.0.0.1:51820", "wg.example.org:1"), ("wg", "wg:0", ":5", "a b:5")),
            (server_and_user, ("", "a.example:12301:anna", "192.0.2.1:5:7 "), ("a:5", "a:5:", "a::u", ":5:u", "a:x:u")),
            (local_place, ("", "127.0.0.1:8080"), ("0.0.0.0:80", "192.0.2.1:80", "127.0.0.1:0", "127.0.0.1")),
            (address4, ("0.0.0.0", "192.0.2.1"), ("::", "", "a")),
        ):
            for value in good:
                self.assertIsNone(check(value), value)
            for value in bad:
                self.assertIsNotNone(check(value), value)
        self.assertEqual(split_place("127.0.0.1:51820"), ("127.0.0.1", 51820))

    def test_off(self) -> None:
        """Nobody of before is served who was not asked for."""
        self.assertFalse(loads(ServerConfig, "", None, {"name": "gw"}).legacy.morphprotocol.enabled)
