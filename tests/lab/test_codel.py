"""CoDel in a wire, with packets as moments."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.codel import INTERVAL, TARGET, CoDel

SPACE = 0.001  # seconds between two packets that leave


def dropped(codel: CoDel, waits: list[float], begin: float = 0.0) -> list[float]:
    """When packets that waited so long were dropped; the others take SPACE each."""
    now, found = begin, []
    for waited in waits:
        if codel.drops(waited, now):
            found.append(round(now, 6))
        else:
            now += SPACE
    return found


class CoDelTests(SynchronousTestCase):
    def test_short_queue(self) -> None:
        """Who waits less than the target is never dropped."""
        self.assertEqual(dropped(CoDel(), [TARGET * 0.99] * 1000), [])

    def test_burst(self) -> None:
        """A burst that has gone within the interval costs nothing, and the next one begins anew."""
        burst = [5 * TARGET] * round(INTERVAL / SPACE - 2) + [0.0]
        self.assertEqual(dropped(CoDel(), burst * 5), [])

    def test_control_law(self) -> None:
        """In a queue that stays, one is dropped after an interval, the next ones closer and closer: 1, 1/sqrt 2, .."""
        found = dropped(CoDel(), [2 * TARGET] * 340)
        expected = [0.1, 0.2, 0.2 + 0.1 / 2**0.5, 0.2 + 0.1 / 2**0.5 + 0.1 / 3**0.5]
        self.assertEqual(len(found), len(expected))
        for at, wanted in zip(found, expected, strict=True):
            self.assertTrue(wanted - 1e-6 <= at <= wanted + SPACE, (at, wanted))

    def test_one_short_wait_ends_it(self) -> None:
        """A single packet below the target ends the dropping; another whole interval is waited for."""
        codel = CoDel()
        first = dropped(codel, [2 * TARGET] * 150)
        self.assertEqual(len(first), 1)
        self.assertEqual(dropped(codel, [0.0] + [2 * TARGET] * 100, 1.0), [])

    def test_remembers_how_often(self) -> None:
        """Soon after, it drops as often as was needed; long after, it begins with one in an interval."""
        for pause, expected in ((0.2, 6), (5.0, 2)):
            codel = CoDel()
            self.assertEqual(len(dropped(codel, [2 * TARGET] * 600)), 10)
            dropped(codel, [0.0], 0.6)
            self.assertEqual(len(dropped(codel, [2 * TARGET] * 260, 0.6 + pause)), expected)
