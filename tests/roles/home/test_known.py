"""The coordinators that a home knows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.home import HomeConfig
from morphnet.errors import ConfigError, HostError
from morphnet.roles.home import known
from morphnet.roles.home.identity import INVITE
from morphnet.wire.messages.home.calls import to_text
from morphnet.wire.messages.home.invitation import Invitation

KEY = to_text(b"c" * 32)
OTHER = Invitation("other.example:3478", to_text(b"o" * 32), "https://other.example", "token")


class KnownTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.state = Path(self.mktemp())
        self.state.mkdir()
        self.config = HomeConfig(
            coordinator="c.example:3478", coordinator_key=KEY, page="https://c.example", state_dir=self.state
        )

    def test_settings(self) -> None:
        """Before any has named others there is the one in the settings, with the invitation that there is."""
        mine = Invitation("c.example:3478", KEY, "https://c.example", "")
        self.assertEqual(known.read(self.config), (mine,))
        (self.state / INVITE).write_text("come\n")
        self.assertEqual(known.read(self.config), (replace(mine, token="come"),))
        self.assertRaises(ConfigError, known.read, replace(self.config, coordinator_key=""))

    def test_kept(self) -> None:
        """What was kept is read again, for its owner alone, until the settings name another coordinator."""
        both = (OTHER, known.of_settings(self.config))
        known.keep(self.config, both)
        self.assertEqual(known.read(self.config), both)
        self.assertEqual((self.state / known.FILE).stat().st_mode & 0o777, 0o600)
        changed = replace(self.config, coordinator="d.example:3478")
        self.assertEqual(known.read(changed), (known.of_settings(changed),))

    def test_damaged(self) -> None:
        """A damaged file is told of; one that cannot be written is, too."""
        for text in ("{", "[]", "{}", f'{{"settings": ["c.example:3478", "{KEY}"], "first": "x"}}'):
            (self.state / known.FILE).write_text(text)
            self.assertRaises(ConfigError, known.read, self.config)
        gone = replace(self.config, state_dir=self.state / "gone")
        self.assertRaises(HostError, known.keep, gone, (OTHER,))

    def test_line(self) -> None:
        """An invitation to what is no address is none."""
        self.assertEqual(known.read_line(OTHER.line()), OTHER)
        self.assertRaises(ConfigError, known.read_line, replace(OTHER, coordinator="no_name:99999").line())
