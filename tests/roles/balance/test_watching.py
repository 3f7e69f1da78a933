"""All uplinks are asked, each family by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.balance import BalanceConfig
from morphnet.host.uplinks import Uplink
from morphnet.net.probe import Listener
from morphnet.rendezvous.balance import PORTAL, Check, Question, State, Verdict
from morphnet.roles.balance.watching import NO_CARRIER, Change, Watched, Watching

CONFIG = BalanceConfig(targets=("192.0.2.7", "198.51.100.7", "2001:db8::7", "2001:db8:1::7"))
WAN0 = Uplink("wan0", 2, True, ("192.168.1.2",), ("2001:db8:2::2",), "192.168.1.1", "fe80::1", 1500, 100)
WAN1 = Uplink("wan1", 3, True, ("192.168.2.2",), (), "192.168.2.1", None, 1500, 101)


class FakeDoor:
    """An uplink whose world answers as it is told to."""

    def __init__(self, world: World, key: tuple[str, int], listener: Listener) -> None:
        self.world, self.key, self.listener = world, key, listener
        self.open_now = False
        world.doors.append(self)

    def open(self) -> None:
        self.open_now = True

    def ask(self, question: Question) -> None:
        if question.check.method == PORTAL:
            self.world.clock.callLater(0.05, self.listener.nobody, question.number, Verdict.SILENT)
        elif self.key not in self.world.dead and self.open_now:
            self.world.clock.callLater(0.05, self.listener.answered, question.number)

    def ask_who(self, target: str) -> None:
        if self.open_now:
            self.world.clock.callLater(0.05, self.listener.seen_at, "203.0.113.9")

    def close(self) -> None:
        self.open_now = False


class World:
    """Two uplinks, and a clock."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.doors: list[FakeDoor] = []
        self.dead: set[tuple[str, int]] = set()
        self.lose = 0  # so many questions, of busy doors
        self.changes: list[Change] = []
        self.watching = Watching(self.clock, CONFIG, self.door, self.changes.append)

    def door(self, device: str, family: int, listener: Listener) -> FakeDoor:
        kind = BusyDoor if isinstance(self.clock, BusyReactor) else FakeDoor
        return kind(self, (device, family), listener)

    def run(self, seconds: float) -> None:
        for _ in range(int(seconds * 20)):
            self.clock.advance(0.05)


class BusyReactor(Clock):
    """Runs in one turn what is due at its beginning, and reads what has come after that, as a real one does."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived: list[Callable[[], None]] = []

    def turn(self, seconds: float) -> None:
        """One that comes so much later than the last."""
        self.rightNow += seconds
        arrived, self.arrived = self.arrived, []  # while we were busy
        for call in [each for each in self.calls if each.getTime() <= self.rightNow]:
            if call in self.calls:
                self.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)
        for answer in arrived:
            answer()


class BusyDoor(FakeDoor):
    """One whose answers wait until they are read."""

    def ask(self, question: Question) -> None:
        nobody = question.check.method == PORTAL
        told = partial(self.listener.nobody, question.number, Verdict.SILENT)
        answer = told if nobody else partial(self.listener.answered, question.number)
        assert isinstance(self.world.clock, BusyReactor)
        if not nobody and self.world.lose:
            self.world.lose -= 1
        else:
            self.world.clock.arrived.append(answer)


class WatchingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.watching = self.world.watching
        self.watching.uplinks_are([WAN0, WAN1])
        self.world.run(2)

    def test_up(self) -> None:
        """What answers is up; a family without a way is not asked."""
        self.assertEqual((self.watching.up(4), self.watching.up(6)), (["wan0", "wan1"], ["wan0"]))
        self.assertEqual({door.key for door in self.world.doors}, {("wan0", 4), ("wan0", 6), ("wan1", 4)})
        self.assertEqual(self.watching.seen_at(4), {"wan0": "203.0.113.9", "wan1": "203.0.113.9"})

    def test_untried(self) -> None:
        """Until it has answered, or has not, nothing is known of one that is new."""
        self.world.dead.add(("wan2", 4))
        self.watching.uplinks_are([WAN0, WAN1, Uplink("wan2", 4, True, *_rest(WAN1))])
        self.assertEqual((self.watching.untried(4), self.watching.untried(6)), (["wan2"], []))
        self.world.run(3)
        self.assertEqual((self.watching.untried(4), self.watching.up(4)), ([], ["wan0", "wan1"]))

    def test_apart(self) -> None:
        """One family may be dead while the other is well."""
        self.world.dead.add(("wan0", 6))
        self.world.run(5)
        self.assertEqual((self.watching.up(4), self.watching.up(6)), (["wan0", "wan1"], []))
        self.assertEqual(self.world.changes[-1], Change("wan0", 6, False, "no target answers", State.UP))

    def test_carrier(self) -> None:
        """Without carrier it is down at once and nothing is asked; with it again it is tried anew, by new doors."""
        self.watching.uplinks_are([WAN0, Uplink("wan1", 3, False, *_rest(WAN1))])
        self.assertEqual(self.watching.up(4), ["wan0"])
        self.assertEqual(self.world.changes[-1].why, NO_CARRIER)
        count = len(self.world.doors)
        self.watching.uplinks_are([WAN0, WAN1])
        self.world.run(6)
        self.assertEqual(self.watching.up(4), ["wan0", "wan1"])
        self.assertEqual(len(self.world.doors), count + 1)

    def test_changes_often(self) -> None:
        """Who is asked has one timer, however often its network is another; who is lost has none."""
        world, config = World(), replace(CONFIG, portal=False)
        world.dead.add(("wan0", 4))
        door = partial(world.door, "wan0", 4)
        watched = Watched(world.clock, [Check("192.0.2.7", "ping")], config, door, lambda was, health: None)
        watched.start()
        for _ in range(5):
            watched.renew()
        self.assertEqual(len(world.clock.getDelayedCalls()), 1)
        world.run(5)
        self.assertEqual(len(world.clock.getDelayedCalls()), 1)
        watched.lost(NO_CARRIER)
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_gone(self) -> None:
        """A device that is gone is down."""
        self.watching.uplinks_are([WAN0])
        self.world.run(5)
        self.assertEqual(self.watching.up(4), ["wan0"])
        self.assertEqual(self.watching.health()["wan1", 4].state, State.DOWN)

    def test_busy(self) -> None:
        """What has come before anybody looks is an answer in time, however late that is."""
        clock = BusyReactor()
        world = World(clock)
        world.watching.uplinks_are([WAN1])
        for seconds in (0.6, 0.9, 1.2, 1.45, 2.0, 7.0, 60.0):
            for _ in range(20):
                clock.turn(0.1)
            self.assertEqual(world.lose, 0)
            world.lose = 1
            while world.lose or len(clock.arrived) < 4:
                clock.turn(0.1)  # until all are asked
            clock.turn(seconds)
        self.assertEqual([(each.device, each.up) for each in world.changes], [("wan1", True)])

    def test_stop(self) -> None:
        """Nothing is left to do."""
        self.watching.stop()
        self.world.run(0.1)
        self.assertEqual(self.world.clock.getDelayedCalls(), [])
        self.assertFalse(any(door.open_now for door in self.world.doors))


def _rest(uplink: Uplink) -> tuple[tuple[str, ...], tuple[str, ...], str | None, str | None, int, int]:
    return uplink.addresses4, uplink.addresses6, uplink.gateway4, uplink.gateway6, uplink.mtu, uplink.metric
