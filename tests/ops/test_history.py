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

    def test_listen(self) -> None:
        """A listener hears of everything until it stops, also when it stops while it hears."""
        history = History(lambda: 7.0)
        heard: list[Happening] = []

        def once(happening: Happening) -> None:
            heard.append(happening)
            stop()

        stop = history.listen(once)
        also: list[Happening] = []
        history.listen(also.append)
        history.add("path-up", "laptop", "path 0 is active")
        history.add("path-gone", "laptop", "path 0 is gone")
        stop()
        self.assertEqual((len(heard), len(also)), (1, 2))
        self.assertEqual(heard[0], Happening(1, 7.0, "path-up", "laptop", "path 0 is active"))
