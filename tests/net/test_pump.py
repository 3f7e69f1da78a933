"""The pump's doors, its timer, and the clock that the data plane lives by."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from morphnet.net.pump import LONGEST, DatagramDoor, Pump, since_boot
from morphnet.tunnel.carrier import PLAIN, RELAYED, STREAM, Carrier
from morphnet.tunnel.events import Effects, Event, Forgotten, Mapped, Rekeyed
from morphnet.tunnel.lateness import Lateness
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Departure, Endpoint
from morphnet.wire.carried import Carried, CarriedRun
from tests.fakes_door import FakeDoor


class FakeTun:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.answers: Callable[[], None] = lambda: None

    def write(self, packets: Sequence[bytes | bytearray | memoryview]) -> None:
        self.written += map(bytes, packets)

    def doRead(self) -> None:
        self.answers()


class FakeWatch:
    """Knows which doors there are."""

    def __init__(self) -> None:
        self.open: list[int] = []

    def opened(self, door: DatagramDoor) -> None:
        """One more."""
        self.open.append(door.number)

    def closed(self, number: int) -> None:
        """One less."""
        self.open.remove(number)


class FakeTunnel:
    """Wants to be called at a time, and notes when it was."""

    def __init__(self) -> None:
        self.due: float | None = None
        self.lateness = Lateness()
        self.turns: list[float] = []

    def next_timer(self) -> float | None:
        """When the test wants it to be called; None for never."""
        return self.due

    def on_timer(self, now: float) -> Effects:
        """Note when it was called; what was due by then is done."""
        self.turns.append(now)
        if self.due is not None and self.due <= now:
            self.due = None
        return Effects()


class DoorTests(SynchronousTestCase):
    """Where datagrams leave, and what is known of what carries them."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.tunnel = Tunnel(server=False, entropy=random.Random(7).randbytes)
        self.pump = Pump(self.clock, self.tunnel, self.clock.seconds)
        self.addCleanup(self.pump.stop)

    def attach(self, carrier: Carrier = PLAIN) -> FakeDoor:
        """One more door."""
        door = FakeDoor(self.pump.new_number())
        self.pump.attach(door, carrier)
        return door

    def send(self, number: int) -> Departure:
        """The data plane has something to send by that door."""
        departure = Departure(number, Endpoint("192.0.2.1", 1), b"x", 1)
        self.pump.carry_out(Effects(sends=[departure]))
        return departure

    def test_leaves_at_once(self) -> None:
        """By a socket, while the data plane goes on; by other doors, and while somebody traces, when it has ended."""
        doors = [self.attach(), self.attach()]
        doors[1].quick = True
        session, now = self.tunnel.add_session("laptop", b"L" * 16, Tuning()), self.pump.now()
        for line, seen in ((None, True), (lambda text: None, False), (None, True)):
            self.pump.trace(session, line)
            effects = Effects(leave=self.tunnel.leave)
            for door in doors:
                door.sent.clear()
                effects.send(Departure(door.number, Endpoint("192.0.2.1", 1), b"x", 1))
            self.assertEqual([len(door.sent) for door in doors], [0, int(seen)])
            self.pump.carry_out(effects, now)
            self.assertEqual([len(door.sent) for door in doors], [1, 1])

    def test_watched(self) -> None:
        """Who wants to know of doors learns of those that there are, and of those that come and go."""
        watch, first = FakeWatch(), self.attach()
        self.pump.watch_doors(watch)
        second = self.attach()
        self.assertEqual(watch.open, [first.number, second.number])
        self.pump.detach(first.number)
        self.assertEqual(watch.open, [second.number])

    def test_counters(self) -> None:
        """What a door had counted stays in the sums when it is detached, once; what waited at it does not."""
        one, other = self.attach(), self.attach()
        for number in (one.number, other.number, one.number, one.number):
            self.send(number)
        self.assertEqual(self.pump.counters(), {"sent": 4, "waiting_bytes": 2, "no_door": 0})
        for _ in range(2):
            self.pump.detach(one.number)
            self.assertEqual(self.pump.counters(), {"sent": 4, "waiting_bytes": 1, "no_door": 0})

    def test_numbers(self) -> None:
        """No two doors ever have the same number, though one is gone."""
        first = self.attach()
        self.pump.detach(first.number)
        self.assertNotEqual(self.attach().number, first.number)

    def test_leaves_by_its_door(self) -> None:
        """What names a door leaves by it and by no other."""
        one, other = self.attach(), self.attach()
        departure = self.send(other.number)
        self.assertEqual((one.sent, other.sent, self.pump.no_door), ([], [departure], 0))

    def test_inside(self) -> None:
        """A packet goes to the TUN, what is carried to who carries; who is not there gets nothing."""
        carried, taken, tun = ("laptop", Carried(1, 2, b"x")), list[object](), FakeTun()
        effects = Effects(delivers=[bytearray(b"packet")], carried=[carried])
        self.pump.carry_out(effects)
        self.pump.tun = tun
        self.pump.carry(taken.extend)
        self.pump.carry_out(effects)
        self.assertEqual((tun.written, taken), ([b"packet"], [carried]))
        self.assertTrue(self.tunnel.add_session("laptop", b"L" * 16, Tuning()).inbound.carries)

    def test_answered(self) -> None:
        """Behind a packet that was written alone its answer is read in the same turn; behind several nobody looks."""
        asked: list[int] = []
        self.pump.tun = tun = FakeTun()
        tun.answers = lambda: asked.append(len(tun.written))
        for packets in ([bytearray(b"one")], [], [bytearray(b"two"), bytearray(b"three")]):
            self.pump.carry_out(Effects(delivers=packets))
        self.assertEqual(asked, [1])

    def test_from_local(self) -> None:
        """What a program here sends is for one session; after the end nothing is taken in."""
        for count in (1, 1):
            self.pump.from_local("nobody", [CarriedRun(1, 2, [b"x"])])
            self.assertEqual(self.tunnel.counts["no_session"], count)
            self.pump.stop()

    def test_leaving(self) -> None:
        """Once it has taken leave nothing comes in by doors or the TUN, and what programs here say still leaves."""
        had, other = list[object](), FakeTunnel()

        def called(name: str, *_: object) -> Effects:
            had.append(name)
            return Effects()

        for name, method in (
            ("leave", "take_leave"),
            *((name, name) for name in ("from_tun", "from_path", "from_local")),
        ):
            setattr(other, method, partial(called, name))
        pump = Pump(self.clock, cast(Tunnel, other), self.clock.seconds)
        for _ in range(2):
            pump.take_leave()
            pump.from_tun([])
            pump.from_door([])
            pump.from_local("laptop", [])
        pump.stop()
        pump.from_local("laptop", [])
        self.assertEqual(had, ["leave", "from_local", "from_local"])

    def test_gone(self) -> None:
        """What would leave by a door that is gone is counted, and nothing is known of the door any more."""
        door = self.attach(Carrier(STREAM, "tcp"))
        self.assertEqual((self.pump.door(door.number), self.pump.carrier(door.number).name), (door, "tcp"))
        self.pump.detach(door.number)
        self.send(door.number)
        self.assertEqual((door.sent, self.pump.no_door), ([], 1))
        self.assertEqual((self.pump.door(door.number), self.pump.carrier(door.number)), (None, PLAIN))
        self.assertEqual(self.tunnel.carriers, {})
        self.pump.detach(door.number)  # harmless

    def test_plain(self) -> None:
        """Of a plain door the data plane knows nothing, so that no two of them are taken for the same network."""
        door = self.attach()
        self.assertEqual(self.tunnel.carriers, {})
        self.assertIs(self.pump.carrier(door.number), PLAIN)

    def test_describe(self) -> None:
        """A door whose rank changes takes its paths with it, and those of other doors stay as they are."""
        near, far = self.attach(Carrier(RELAYED, "near")), self.attach(Carrier(RELAYED + 1, "far"))
        session = self.tunnel.add_session("bert", b"n" * 16, Tuning(), [])
        session.install(b"a" * 32, b"b" * 32, 1, 0.0)
        ids = self.tunnel.issue_ids(session, 4)
        session.add_ids(ids)
        for door in (near, far):
            session.open_path(door.number, Endpoint("bert", 0), "relay", 0.0, Effects())
        self.assertEqual([path.rank for path in session.paths.values()], [RELAYED, RELAYED + 1])
        self.pump.describe(far.number, Carrier(RELAYED + 5, "far"))
        self.assertEqual([path.rank for path in session.paths.values()], [RELAYED, RELAYED + 5])
        self.assertEqual(self.pump.carrier(far.number), Carrier(RELAYED + 5, "far"))


class EventTests(SynchronousTestCase):
    """Who hears what the data plane tells."""

    def setUp(self) -> None:
        clock = Clock()
        self.pump = Pump(clock, Tunnel(server=False, entropy=bytes), clock.seconds)
        self.addCleanup(self.pump.stop)
        self.all: list[Event] = []
        self.berts: list[Event] = []

    def happens(self, *events: Event) -> None:
        """The data plane has something to tell."""
        self.pump.carry_out(Effects(events=list(events)))

    def test_everything(self) -> None:
        """Whoever follows hears all, in order."""
        self.pump.follow(self.all.append)
        told = (Rekeyed("bert", 2), Mapped("203.0.113.1", 3, Endpoint("198.51.100.2", 9)), Forgotten("carl"))
        self.happens(*told)
        self.assertEqual(self.all, list(told))

    def test_one_session(self) -> None:
        """Who follows a session hears of it and of no other, after those who follow all, until he leaves."""
        order: list[str] = []
        self.pump.follow_session("bert", lambda event: order.append("bert"))
        self.pump.follow(lambda event: order.append("all"))
        self.happens(Forgotten("carl"), Forgotten("bert"))
        self.assertEqual(order, ["all", "all", "bert"])
        self.pump.follow_session("bert", self.berts.append)
        self.happens(Forgotten("bert"))
        self.pump.leave_session("bert")
        self.pump.leave_session("nobody")
        self.happens(Forgotten("bert"))
        self.assertEqual(self.berts, [Forgotten("bert")])


class PumpTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.slept, self.tunnel = Clock(), 0.0, FakeTunnel()
        self.pump = Pump(self.clock, cast(Tunnel, self.tunnel), self.now)
        self.addCleanup(self.pump.stop)

    def now(self) -> float:
        """Time goes on while the machine sleeps; the reactor's clock does not."""
        return self.clock.seconds() + self.slept

    def arm(self, due: float) -> None:
        """The data plane wants to be called in so many seconds."""
        self.tunnel.due = self.now() + due
        self.pump.carry_out(Effects())

    def test_in_time(self) -> None:
        """It is called when it wants to be, and not again."""
        self.arm(0.25)
        self.clock.advance(0.2)
        self.assertEqual(self.tunnel.turns, [])
        self.clock.advance(0.05)
        self.assertEqual(self.tunnel.turns, [0.25])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_sooner(self) -> None:
        """What is due before the timer moves it."""
        self.arm(0.8)
        self.arm(0.1)
        self.clock.advance(0.1)
        self.assertEqual(self.tunnel.turns, [0.1])

    def test_slept(self) -> None:
        """After a sleep it is called within LONGEST, however far away the timer was."""
        self.arm(300)
        self.clock.advance(LONGEST / 2)
        self.slept = 3600.0
        self.clock.advance(LONGEST / 2)
        self.assertEqual((self.tunnel.turns, self.tunnel.due), ([3600.0 + LONGEST], None))

    def test_stopped(self) -> None:
        """A pump that was stopped leaves no timer, and makes none."""
        self.arm(0.5)
        self.pump.stop()
        self.arm(0.5)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_later(self) -> None:
        """What others want to be called for is called, each when it is due, unless the pump has stopped."""
        called: list[int] = []
        for seconds in (1, 2, 3):
            self.pump.later(float(seconds), lambda seconds=seconds: called.append(seconds))  # type: ignore[misc]
        self.clock.advance(1)
        self.clock.advance(1)
        self.pump.stop()
        self.clock.advance(1)
        self.assertEqual((called, self.clock.getDelayedCalls()), ([1, 2], []))

    def test_long_turn(self) -> None:
        """The data plane is told when a turn that sent something took long."""
        began = self.now()
        self.clock.advance(0.05)
        self.pump.carry_out(Effects(), began)
        self.assertEqual(self.tunnel.lateness.recent(self.now()), 0.0)
        self.pump.carry_out(Effects(sends=[Departure(9, Endpoint("192.0.2.1", 1), b"", 1)]), began)
        self.assertAlmostEqual(self.tunnel.lateness.recent(self.now()), 0.05)

    def test_since_boot(self) -> None:
        """The clock of real processes counts the sleep of the machine."""
        before = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.assertTrue(before <= since_boot() <= time.clock_gettime(time.CLOCK_BOOTTIME))
