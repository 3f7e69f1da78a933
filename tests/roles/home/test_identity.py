"""What a home is known by."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError
from morphnet.roles.home.identity import INVITE, KEY, link, name_of, read_keys
from morphnet.wire.messages.home.calls import to_text


class IdentityTests(SynchronousTestCase):
    def test_keys(self) -> None:
        """They are read from their files; what is missing is told."""
        state, coordinator = Path(self.mktemp()), to_text(b"c" * 32)
        state.mkdir()
        self.assertRaises(ConfigError, read_keys, state, coordinator)
        (state / KEY).write_text(to_text(b"k" * 32))
        self.assertEqual(read_keys(state, coordinator).invite, "")
        (state / INVITE).write_text("token\n")
        keys = read_keys(state, coordinator)
        self.assertEqual((keys.invite, keys.coordinator), ("token", b"c" * 32))
        self.assertRaises(ConfigError, read_keys, state, "")
        self.assertEqual(len(name_of(keys.identity)), 43)

    def test_link(self) -> None:
        """The key stands behind #, which no browser tells a server."""
        self.assertEqual(link("https://c.example/", "KEY"), "https://c.example/#KEY")
