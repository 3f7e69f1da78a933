"""The contest on a shared bottleneck: its cases by name, and what is made of rates over time."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError
from morphnet.lab.shape import check
from tests.bench.bench_fairness import NEVER, values
from tests.bench.cases import HOME, QUICK, Case, chosen, known, named
from tests.bench.contest import AGAIN, ALONE, BESIDE_FOR, COUNTED, EVERY, Outcome
from tests.bench.jitter import Jittery, jittery

CASE = Case(100, 20, "q100ms")


def outcome(
    alone: float, beside: list[tuple[float, float, float]], again: list[tuple[float, float]], who: str = "morphnet"
) -> Outcome:
    """Of one that has `alone`, then shares (seconds, ours, theirs) beside, then shares (seconds, ours)."""
    ours, theirs = [alone] * round(ALONE / EVERY), [0.0] * round(ALONE / EVERY)
    for seconds, mine, other in beside:
        ours += [mine] * round(seconds / EVERY)
        theirs += [other] * round(seconds / EVERY)
    for seconds, mine in again:
        ours += [mine] * round(seconds / EVERY)
        theirs += [0.0] * round(seconds / EVERY)
    return Outcome(CASE, who, ours, theirs, [40.0, 90.0])


class CaseTests(SynchronousTestCase):
    def test_named(self) -> None:
        """Every case is found again by its name, and its wire takes what it says."""
        for name, case in known().items():
            self.assertEqual((jittery(name) or named(name), name), (case, case.name))
            ways = [each.there for each in case.uplinks()] if isinstance(case, Jittery) else [case.way()]
            for way in ways:
                check(way.parameters())
        self.assertEqual(named("7M/15ms/q30ms/up/3bbr/2inner"), Case(7, 15, "q30ms", "up", 3, "bbr", 2))
        self.assertEqual(named("7M/15ms/4bdp/up/3bbr/late"), Case(7, 15, "4bdp", "up", 3, "bbr", late=True))

    def test_queue(self) -> None:
        """A queue is told in milliseconds, in products of rate and RTT, or left to CoDel."""
        for queue, more in (("q50ms", 50), ("0.5bdp", 10), ("4bdp", 80)):
            self.assertEqual(Case(100, 20, queue).way().more, {"queue_ms": more})
        self.assertEqual((Case(100, 20, "codel").way().more or {})["codel"], True)

    def test_chosen(self) -> None:
        """Patterns over all that are known, names beside them, each once; nonsense is refused."""
        found = chosen(["500M/100ms/codel/*/1bbr", "500M/100ms/codel/up/1bbr", "7M/15ms/q30ms/up/1reno"], False)
        told = ["500M/100ms/codel/down/1bbr", "500M/100ms/codel/up/1bbr", "7M/15ms/q30ms/up/1reno"]
        self.assertEqual([case.name for case in found], told)
        self.assertEqual((chosen([], True), chosen([], False)), (list(QUICK), list(HOME)))
        self.assertRaises(ConfigError, chosen, ["fast"], False)


class OutcomeTests(SynchronousTestCase):
    def test_fair(self) -> None:
        """Half for each from the third second on, and all again a second after the other's end."""
        seen = outcome(0.9, [(3.0, 0.2, 0.8), (BESIDE_FOR - 3.0, 0.5, 0.5)], [(1.0, 0.5), (AGAIN - 1.0, 0.9)])
        self.assertAlmostEqual(seen.alone, 0.9)
        self.assertAlmostEqual(seen.beside, 1.0)
        self.assertAlmostEqual(seen.left, 1.0)
        self.assertEqual((seen.reached, seen.recovered), (2.5, 1.0))  # half of two seconds is smoothed over
        self.assertEqual([each.kept for each in values(seen, []) if each.wanted is not None], [True] * 5)

    def test_starved(self) -> None:
        """Who is starved never has its share, though it had it for a moment, and what is not measured is not kept."""
        beside = [(BESIDE_FOR - COUNTED, 0.5, 0.5), (COUNTED, 0.02, 0.95)]
        seen = outcome(0.9, beside, [(AGAIN, 0.5)])
        self.assertAlmostEqual(seen.beside, 0.04)
        self.assertEqual((seen.reached, seen.recovered), (None, None))
        told = {each.case.rpartition(", ")[2]: each for each in values(seen, [])}
        self.assertEqual({name for name, each in told.items() if each.kept is False}, {"share", "reached", "back"})
        self.assertEqual(told["back"].value, NEVER)

    def test_starves(self) -> None:
        """Who starves the others is told so."""
        seen = outcome(0.9, [(BESIDE_FOR, 0.9, 0.1)], [(AGAIN, 0.9)])
        self.assertEqual([each.kept for each in values(seen, []) if each.case.endswith("others")], [False])

    def test_late(self) -> None:
        """Who comes second is measured alone at the end."""
        seen = outcome(0.0, [(BESIDE_FOR, 0.5, 0.5)], [(AGAIN / 2, 0.5), (AGAIN / 2, 0.9)])
        self.assertEqual((seen.alone, replace(seen, case=replace(CASE, late=True)).alone), (0.0, 0.9))

    def test_queue_of_its_own(self) -> None:
        """An echo that is slow while nobody else is there is told."""
        seen = replace(outcome(0.9, [(BESIDE_FOR, 0.5, 0.5)], [(AGAIN, 0.9)]), echoes=[61.0, 90.0])
        self.assertEqual(
            [each.case.rpartition(", ")[2] for each in values(seen, []) if each.kept is False], ["echo alone"]
        )

    def test_rivals(self) -> None:
        """Each value stands beside that of everybody else in the tunnel's place."""
        phases = [(BESIDE_FOR, 0.5, 0.5)], [(AGAIN, 0.9)]
        rivals = [outcome(0.9, *phases, "wireguard-go"), outcome(0.8, *phases, "bare cable")]
        told = [each for each in values(outcome(0.7, *phases), rivals) if each.case.endswith(", alone")]
        self.assertEqual(
            [(each.value, each.rival, each.rival_value) for each in told],
            [(70.0, "wireguard-go", 90.0), (70.0, "bare cable", 80.0)],
        )
