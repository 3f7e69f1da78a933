"""One writer at a time."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.transfer import Turns


class TurnsTests(SynchronousTestCase):
    def test_latest(self) -> None:
        """A new writer ends the one before, which is told once; the end of that one changes nothing."""
        turns, ended = Turns(), list[str]()
        first = turns.take("a", lambda: ended.append("first"))
        other = turns.take("b", lambda: ended.append("other"))
        second = turns.take("a", lambda: ended.append("second"))
        first.end()
        first.leave()
        self.assertEqual((ended, first.current, second.current, other.current), (["first"], False, True, True))
        self.assertEqual((len(turns), turns.taken_over), (2, 1))
        self.assertEqual(["a" in turns, "c" in turns], [True, False])
        second.leave()
        self.assertEqual(len(turns), 1)

    def test_end(self) -> None:
        """Nobody writes after the end of a turn, also if nobody follows."""
        turns, ended = Turns(), list[str]()
        turn = turns.take("a", lambda: ended.append("a"))
        turns.end("a")
        turns.end("a")
        self.assertEqual((ended, turn.current, len(turns)), (["a"], False, 0))
