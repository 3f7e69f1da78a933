"""Names and passwords for TURN servers."""

from __future__ import annotations

import base64
import hmac
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.home import TurnConfig
from morphnet.errors import ConfigError
from morphnet.roles.home.turn import LASTS, TurnServers

URLS = ("turn:turn.example:443?transport=tcp",)


class TurnTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.file = Path(self.mktemp())
        self.file.write_text("s3cret\n")

    def test_none(self) -> None:
        """Where no server is set nothing is told."""
        self.assertEqual(TurnServers.read(TurnConfig()).of_session("ab" * 16, 0.0), [])

    def test_shared_secret(self) -> None:
        """A name that ends in time, and its HMAC, as coturn computes it."""
        told = TurnServers.read(TurnConfig(URLS, "", str(self.file))).of_session("ab" * 16, 1000.5)
        name = f"{1000 + LASTS}:abababab"
        password = base64.b64encode(hmac.digest(b"s3cret", name.encode(), "sha1")).decode()
        self.assertEqual(told, [{"urls": list(URLS), "username": name, "credential": password}])

    def test_user(self) -> None:
        """A user with a password."""
        told = TurnServers.read(TurnConfig(URLS, "anna", str(self.file))).of_session("ab" * 16, 0.0)
        self.assertEqual((told[0]["username"], told[0]["credential"]), ("anna", "s3cret"))

    def test_no_secret(self) -> None:
        """It is one sentence, whatever is missing."""
        self.assertIn("secret_file", str(self.assertRaises(ConfigError, TurnServers.read, TurnConfig(URLS))))
        absent = TurnConfig(URLS, "", "/nowhere/secret")
        self.assertIn("/nowhere/secret", str(self.assertRaises(ConfigError, TurnServers.read, absent)))
