"""The relays that a server has told."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.store.relays import MOST, ToldRelays

PLACES = ("relay.example", "[2001:db8::1]:443")


class ToldRelaysTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.relays = ToldRelays(self.path)

    def test_kept(self) -> None:
        """What was said last is known to the next process, and is nobody else's to read."""
        self.assertEqual(self.relays.recall(), ())
        self.relays.keep(PLACES)
        self.assertEqual(ToldRelays(self.path).recall(), PLACES)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.relays.keep(())
        self.assertEqual(ToldRelays(self.path).recall(), ())

    def test_written_once(self) -> None:
        """The same is not written again."""
        self.relays.keep(PLACES)
        before = self.path.stat().st_ino, self.path.stat().st_mtime_ns
        self.relays.keep(PLACES)
        self.assertEqual((self.path.stat().st_ino, self.path.stat().st_mtime_ns), before)

    def test_nonsense(self) -> None:
        """What is no list of places was never said."""
        for text in ("", "{}", "[" * 9999, '["a b", 7, ["x"], "good.example\\n"]', "\0"):
            self.path.write_text(text)
            self.assertEqual(self.relays.recall(), ())
        self.path.write_text(f'["good.example", {", ".join(["7"] * MOST)}, "late.example"]')
        self.assertEqual(self.relays.recall(), ("good.example",))

    def test_cannot(self) -> None:
        """A directory that is not there costs nothing but that."""
        ToldRelays(self.path / "nowhere" / "x").keep(PLACES)
