"""Who fights with us, and how we do not make a war of it."""

from __future__ import annotations

from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.rivals import BURST, LONGEST_REST, REMEMBERED, WINDOW, Rivals

WALL = 1.7e9


class RivalsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rivals = Rivals()

    def fought(self, seconds: float) -> list[float]:
        """When things are set again, if somebody undoes them in the very moment, for so long."""
        now, made = 0.0, list[float]()
        while now < seconds:
            if not self.rivals.rests("routes", now):
                self.rivals.met("routes", now, WALL + now)
                made.append(now)
            now += 0.25
        return made

    def test_some_times(self) -> None:
        """The first times a thing is set again at once."""
        for turn in range(BURST):
            self.rivals.met("routes", float(turn), WALL)
            self.assertFalse(self.rivals.rests("routes", float(turn)))
        self.assertIsNone(self.rivals.rest_ends(float(BURST)))

    def test_loop(self) -> None:
        """Against somebody who undoes it in a loop, each attempt waits longer, up to LONGEST_REST."""
        made = self.fought(600.0)
        gaps = [later - earlier for earlier, later in pairwise(made)]
        self.assertEqual(gaps[-1], LONGEST_REST)
        self.assertEqual(gaps, sorted(gaps))
        self.assertLess(len(made), BURST + 6 + 600 / LONGEST_REST)
        end = self.rivals.rest_ends(made[-1])
        self.assertEqual(end, made[-1] + LONGEST_REST)

    def test_peace(self) -> None:
        """After a quiet time a thing is set again at once as in the beginning."""
        self.fought(120.0)
        quiet = 120.0 + LONGEST_REST + WINDOW + LONGEST_REST
        self.rivals.met("routes", quiet, WALL)
        self.assertFalse(self.rivals.rests("routes", quiet))

    def test_seldom(self) -> None:
        """Somebody who comes every half a minute, for ever, is no loop."""
        for turn in range(100):
            self.rivals.met("routes", 30.0 * turn, WALL)
            self.assertFalse(self.rivals.rests("routes", 30.0 * turn))

    def test_each_for_itself(self) -> None:
        """One thing that rests does not make another rest."""
        self.fought(60.0)
        self.assertTrue(self.rivals.rests("routes", 60.0))
        self.assertFalse(self.rivals.rests("policy rules", 60.0))

    def test_known(self) -> None:
        """They are counted since the first time, and forgotten when they have gone quiet for long."""
        self.rivals.met("routes", 1.0, WALL, by="nft")
        self.rivals.met("routes", 2.0, WALL + 1, error="no")
        known = self.rivals.known(3.0)["routes"]
        self.assertEqual((known.since, known.count, known.by, known.error), (WALL, 2, "nft", "no"))
        self.assertEqual(self.rivals.known(3.0 + REMEMBERED), {})
        self.rivals.met("routes", 9999.0, WALL + 9999)
        self.assertEqual(self.rivals.known(9999.0)["routes"].count, 1)
