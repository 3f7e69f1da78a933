"""The bounded history."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.history import History
from morphnet.status import Happening


class HistoryTests(SynchronousTestCase):
    @given(added=st.integers(0, 30), remembered=st.integers(1, 10), after=st.integers(-5, 40))
    def test_after(self, added: int, remembered: int, after: int) -> None:
        """What is given back are the last `remembered`, numbered from 1, less those already known."""
        history = History(lambda: 7.0, remembered)
        for _ in range(added):
            history.add("rekeyed", "laptop", "a new key")
        kept = range(max(1, added - remembered + 1), added + 1)
        self.assertEqual([each.number for each in history.after(after)], [n for n in kept if n > after])

    def test_printable(self) -> None:
        """What it gives back is what was added, as text that steers no terminal."""
        history = History(lambda: 7.0)
        history.add("path-up", "laptop", "path \x1b[2J0")
        self.assertEqual(history.after(0), [Happening(1, 7.0, "path-up", "laptop", "path ?[2J0")])
