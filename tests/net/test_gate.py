"""Who comes in next."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.blocks import Block
from morphnet.net.gate import ORDER_EVERY, PATIENCE, TURN, Gate
from morphnet.net.limits import TimeShare

COST = 0.001  # seconds that a handshake takes


class Caller:
    """At the door."""

    def __init__(self, case: GateTests, host: str) -> None:
        self.host, self._case = host, case

    def admit(self) -> None:
        """It is talked to, which takes a while."""
        self._case.worked += COST
        self._case.came_in.append(self.host)

    def turn_away(self) -> None:
        """It is not."""
        self._case.turned_away.append(self.host)


class Door:
    """What a listening socket was told."""

    def __init__(self) -> None:
        self.told: list[list[str]] = []

    def screen(self, screened: Mapping[Block, float]) -> None:
        """Remember it."""
        self.told.append([str(block) for block in screened])


class GateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.worked, self.called = Clock(), 0.0, 0
        self.came_in: list[str] = []
        self.turned_away: list[str] = []
        self.gate, self.door = Gate(self.clock, 50, lambda: self.worked), Door()
        self.gate.opened(self.door)

    def call(self, *hosts: str) -> None:
        """They are at the door."""
        for host in hosts:
            self.gate.arrived(Caller(self, host))

    def flood(self, first: str, count: int = 200) -> None:
        """As many from one network at the same moment."""
        self.call(*(f"{first}.{number % 251}.{number % 241}" for number in range(self.called, self.called + count)))
        self.called += count

    def test_at_once(self) -> None:
        """Where nobody waits, a caller comes in at once, and so do a few."""
        self.call("192.0.2.1", "192.0.2.2", "192.0.2.3")
        self.assertEqual(len(self.came_in), 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_quietest_first(self) -> None:
        """Who comes from a quiet block is in soon, however many wait and come: from elsewhere, and from beside them."""
        for _ in range(60):
            self.flood("198.18")
            self.clock.advance(TURN)
        for newcomer in ("203.0.113.5", "198.51.100.7"):
            self.call(newcomer)
            for _ in range(round(ORDER_EVERY / TURN) + 10):
                self.flood("198.18", 60)
                self.clock.advance(TURN)
            self.assertIn(newcomer, self.came_in)
            self.assertNotIn(newcomer, self.turned_away)

    def test_in_turn(self) -> None:
        """Of those who are as loud as one another the first is first."""
        hosts = [f"192.0.2.{number}" for number in range(1, 30)]
        self.call(*hosts)
        self.clock.pump([TURN] * 300)
        self.assertEqual([host for host in self.came_in if host in hosts[8:16]], hosts[8:16])

    def test_bounded(self) -> None:
        """So many may wait; the loudest is turned away for another."""
        self.flood("198.18", 500)
        self.assertEqual(self.gate.counters()["callers_waiting"], 50)
        self.assertEqual(len(self.came_in) + len(self.turned_away), 450)
        self.call("203.0.113.5")
        self.assertNotIn("203.0.113.5", self.turned_away)
        self.assertEqual(self.gate.counters()["callers_turned_away"], 451 - len(self.came_in))

    def test_share_of_the_time(self) -> None:
        """Handshakes take no more than their share of the loop's time, while it is punctual."""
        for _ in range(200):
            self.flood("198.18", 60)
            self.clock.advance(TURN)
        self.assertLess(self.worked, TimeShare.MOST * self.clock.seconds() + 0.02)
        self.assertGreater(self.worked, 0.5 * TimeShare.MOST * self.clock.seconds())

    def test_late(self) -> None:
        """A loop that is late has no time for strangers, but a little; when it is punctual again they get more."""
        self.flood("198.18")
        for _ in range(40):
            self.clock.advance(TURN + 0.02)
            self.flood("198.18", 60)
        before, at = self.worked, self.clock.seconds()
        for _ in range(100):
            self.clock.advance(TURN + 0.02)
            self.flood("198.18", 60)
        share = (self.worked - before) / (self.clock.seconds() - at)
        self.assertAlmostEqual(share, TimeShare.LEAST, delta=0.01)
        for _ in range(100):
            self.clock.advance(TURN)
            self.flood("198.18", 60)
        self.assertGreater(self.gate.handshakes.share, 0.3)

    def test_patience(self) -> None:
        """Who has waited for too long is not talked to: it has called again, or gone."""
        self.flood("198.18", 60)
        came_in = len(self.came_in)
        self.clock.advance(PATIENCE + TURN)
        self.assertEqual(len(self.came_in), came_in)
        self.assertEqual(self.gate.counters()["callers_waiting"], 0)

    def test_screened(self) -> None:
        """Doors are told which blocks to screen, also one that opens later, and when there are none any more."""
        while not self.door.told[-1]:
            self.flood("198.18", 64)
            self.clock.advance(0.02)
            self.assertLess(self.clock.seconds(), 20.0)
        self.assertEqual(self.door.told[-1], ["198.18.0.0/16"])
        late = Door()
        self.gate.opened(late)
        self.assertEqual(late.told, [["198.18.0.0/16"]])
        self.clock.pump([1.0] * 60)
        self.assertEqual((self.door.told[-1], late.told[-1]), ([], []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_opens_again(self) -> None:
        """What was loud before the last door closed is let alone when there is one again, and is quiet by then."""
        while not self.door.told[-1]:
            self.flood("198.18", 64)
            self.clock.advance(0.02)
        self.gate.closed(self.door)
        self.clock.advance(60.0)
        self.gate.opened(self.door)
        self.assertEqual((self.door.told[-1], self.gate.counters()["blocks_screened"]), ([], 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_out_of_files(self) -> None:
        """Without a file for another the loudest who waits goes, then who has been half in for longest."""
        asked = list[str]()

        def shed(name: str) -> bool:
            asked.append(name)
            return name != "first"

        for name in ("first", "second", "third"):
            self.gate.gives_way(partial(shed, name))
        self.call(*(f"192.0.2.{number}" for number in range(1, 20)))
        waiting = self.gate.counters()["callers_waiting"]
        self.gate.out_of_files("Too many open files")
        self.assertEqual((self.gate.counters()["callers_waiting"], asked), (waiting - 1, []))
        self.clock.pump([TURN] * 300)
        self.gate.out_of_files("Too many open files")
        self.assertEqual(asked, ["first", "second"])
        self.assertEqual(self.gate.counters()["callers_without_file"], 2)
        self.assertEqual(len(self.flushLoggedErrors()), 0)

    def test_closed(self) -> None:
        """With the last door all who wait are sent away, and nothing is left to do."""
        self.flood("198.18")
        self.gate.closed(self.door)
        self.assertEqual(len(self.came_in) + len(self.turned_away), 200)
        self.assertEqual(self.clock.getDelayedCalls(), [])
