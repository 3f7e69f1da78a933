"""What a home is known by."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError
from morphnet.roles.home.identity import KEY, link, name_of, read_identity
from morphnet.wire.messages.home.calls import to_text


class IdentityTests(SynchronousTestCase):
    def test_key(self) -> None:
        """It is read from its file; its absence is told."""
        state = Path(self.mktemp())
        state.mkdir()
        self.assertRaises(ConfigError, read_identity, state)
        (state / KEY).write_text(to_text(b"k" * 32))
        self.assertEqual(len(name_of(read_identity(state))), 43)

    def test_link(self) -> None:
        """The key stands behind #, which no browser tells a server."""
        self.assertEqual(link("https://c.example/", "KEY"), "https://c.example/#KEY")
