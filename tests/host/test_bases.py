"""Two of us on one machine."""

from __future__ import annotations

import os
from collections.abc import Collection

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.host.bases import FIRST, MOST, STEP, Base


def base(used: Collection[int] = (), mine: Collection[int] = ()) -> Base:
    """One among those of this process: other tests may run on this machine at the same time."""
    return Base(used, f"morphnet-test-{os.getpid()}", mine)


class BaseTests(SynchronousTestCase):
    def test_two(self) -> None:
        """Each has its own, also beside what another left that was killed; what is let go is free again."""
        first = base()
        self.addCleanup(first.let_go)
        second = base({first.number + 3})
        self.assertNotEqual(second.number, first.number)
        free = second.number
        second.let_go()
        avoiding = base({free})
        self.addCleanup(avoiding.let_go)
        self.assertNotIn(avoiding.number, (first.number, free))
        again = base()
        self.addCleanup(again.let_go)
        self.assertEqual(again.number, free)

    def test_mine(self) -> None:
        """Who was killed has again what it had, unless somebody else has it by now."""
        left = {FIRST + STEP + 2}
        again = base({FIRST + 1, *left}, left)
        self.addCleanup(again.let_go)
        self.assertEqual(again.number, FIRST + STEP)
        other = base({FIRST + 1, *left}, left)
        self.addCleanup(other.let_go)
        self.assertEqual(other.number, FIRST + 2 * STEP)

    def test_all_taken(self) -> None:
        """There is an end to it; what another left is taken when there is nothing else."""
        held: list[Base] = []

        def take_all() -> None:
            while True:
                held.append(base(range(FIRST, FIRST + STEP * MOST)))
                self.addCleanup(held[-1].let_go)

        self.assertRaises(HostError, take_all)
        self.assertEqual(len({each.number for each in held}), len(held))
