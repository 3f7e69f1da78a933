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

    def test_last(self) -> None:
        """Whose turn is ended may write what has come by then; who leaves by himself is not asked."""
        turns, wrote = Turns(), list[tuple[str, bool]]()
        first = turns.take(
            "a", lambda: wrote.append(("ended", first.current)), last=lambda: wrote.append(("last", first.current))
        )
        turns.take("a", lambda: None, last=lambda: wrote.append(("none", False))).leave()
        first.end()
        self.assertEqual(wrote, [("last", True), ("ended", False)])

    def test_late(self) -> None:
        """Who has come before, and is only now ready to write, has no turn, and takes nobody's."""
        turns, ended = Turns(), list[str]()
        first, second, third = turns.come(), turns.come(), turns.come()
        newer = turns.take("a", lambda: ended.append("second"), second)
        older = turns.take("a", lambda: ended.append("first"), first)
        self.assertEqual((ended, newer.current, older.current), (["first"], True, False))
        older.leave()
        self.assertEqual(len(turns), 1)
        turns.end("a", third)
        turns.end("a", second)
        self.assertFalse(turns.take("a", lambda: None, second).current)
        self.assertTrue(turns.take("a", lambda: None, third).current)
        turns.come()
        self.assertTrue(turns.take("b", lambda: None, first).current)
        turns.end("b")
        self.assertFalse(turns.take("b", lambda: None, third).current)
