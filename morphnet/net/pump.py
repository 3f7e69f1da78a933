"""
The pump: moves batches between the doors and the data plane, and keeps its one timer.

It is the place where white code meets the world; it decides nothing.

Source: docs/architecture, "A packet".
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from morphnet.status import by_kind
from morphnet.tunnel.carrier import PLAIN, Carrier
from morphnet.tunnel.events import Effects, Event, Mapped
from morphnet.tunnel.guard import Guard
from morphnet.tunnel.session import Session
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Arrival, Departure
from morphnet.wire.carried import Carried, CarriedRun

Outlet = Callable[[Sequence[tuple[str, Carried | CarriedRun]]], None]  # takes each with its session's peer

LONGEST = 1.0  # seconds between two looks at the time: the reactor's timers stand still while the machine sleeps


def since_boot() -> float:
    """Seconds since the machine was started, sleep included: what a key has lived, a peer has lived through as well."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class DatagramDoor(Protocol):
    """What the pump needs of what carries datagrams: a UDP socket, a line to a relay, a stream."""

    @property
    def number(self) -> int:
        "Its name in every Arrival and Departure, from `Pump.new_number`."

    def send(self, departures: Sequence[Departure]) -> None:
        "Send, or count why not."

    def counters(self) -> Mapping[str, int]:
        "What it has counted, by name: see `status.COUNTERS`."


class DoorWatch(Protocol):
    """Who wants to know which doors there are."""

    def opened(self, door: DatagramDoor) -> None:
        "Datagrams may leave by it from now on."

    def closed(self, number: int) -> None:
        "No longer; it may have been none."


class PacketDoor(Protocol):
    """What the pump needs of a TUN device."""

    def write(self, packets: Sequence[bytes | bytearray | memoryview]) -> None:
        "Write, or count why not."

    def doRead(self) -> object:
        "Hand over what can be read, if there is something."


class Pump:
    """
    :param clock: for the timer only.
    :param now: seconds, never back: the time that the data plane lives by; it goes on while the machine sleeps.
    """

    def __init__(self, clock: IReactorTime, tunnel: Tunnel, now: Callable[[], float]) -> None:
        self.tunnel = tunnel
        self.now = now
        self.tun: PacketDoor | None = None  # where packets go
        self.guard: Guard | None = None  # says which of them may; None where the network has no policy
        self._outlet: Outlet | None = None  # where carried datagrams go
        self.no_door = 0  # datagrams for a socket that is gone, since start
        self._detached = Counter[str]()  # what doors had counted that are not attached any more
        self._left = False  # something has, while the data plane went on
        tunnel.leave = self._leave
        self._clock = clock
        self._followers: list[Callable[[Event], None]] = []
        self._watches: list[DoorWatch] = []
        self._session_followers: dict[str, Callable[[Event], None]] = {}
        self._doors: dict[int, DatagramDoor] = {}
        self._numbers = count()
        self._timer: IDelayedCall | None = None
        self._timer_at = float("inf")  # on `now`
        self._deaf = self._stopped = False
        self._calls: list[IDelayedCall] = []  # that others asked for

    # -- doors ---------------------------------------------------------------------------------------------------------

    def new_number(self) -> int:
        """For a door to be: one that no door has had."""
        return next(self._numbers)

    def attach(self, door: DatagramDoor, carrier: Carrier = PLAIN) -> None:
        """
        Datagrams may leave by this door from now on.

        :param carrier: what is known of what carries them.
        """
        self._doors[door.number] = door
        for watch in self._watches:
            watch.opened(door)
        if carrier is not PLAIN:
            self.tunnel.carriers[door.number] = carrier

    def describe(self, number: int, carrier: Carrier) -> None:
        """More is known of what carries the datagrams of an attached door: its paths have that rank from now on."""
        self.tunnel.carriers[number] = carrier
        for session in self.tunnel.sessions.values():
            for path in session.paths.values():
                if path.door == number:
                    path.rank = carrier.rank

    def detach(self, number: int) -> None:
        """That door is closed, or will be: what would leave by it is counted and dropped. Harmless when it is none."""
        for watch in self._watches:
            watch.closed(number)
        door = self._doors.pop(number, None)
        self.tunnel.carriers.pop(number, None)
        if door is not None:
            self._detached.update(by_kind(door.counters())[0])

    def counters(self) -> Counter[str]:
        """Sums over all doors that there are and have been."""
        found = Counter[str](self._detached)
        found["no_door"] += self.no_door
        for door in self._doors.values():
            found.update(door.counters())
        return found

    def watch_doors(self, watch: DoorWatch) -> None:
        """Let it know of every door, of those that there are at once."""
        self._watches.append(watch)
        for door in self._doors.values():
            watch.opened(door)

    def door(self, number: int) -> DatagramDoor | None:
        """The one of that number, while it is attached."""
        return self._doors.get(number)

    def carrier(self, number: int) -> Carrier:
        """What is known of a door; PLAIN for one that is gone."""
        return self.tunnel.carriers.get(number, PLAIN)

    # -- events --------------------------------------------------------------------------------------------------------

    def follow(self, hear: Callable[[Event], None]) -> None:
        """Have every event of the data plane from now on, in order."""
        self._followers.append(hear)

    def follow_session(self, peer: str, hear: Callable[[Event], None]) -> None:
        """Have what happens to the session with that peer, whichever it is, in place of who had it before."""
        self._session_followers[peer] = hear

    def leave_session(self, peer: str) -> None:
        """Have it no more; harmless when nobody had."""
        self._session_followers.pop(peer, None)

    def _tell(self, event: Event) -> None:
        for hear in self._followers:
            hear(event)
        if not isinstance(event, Mapped) and (follower := self._session_followers.get(event.session)) is not None:
            follower(event)

    # -- batches -------------------------------------------------------------------------------------------------------

    def from_tun(self, packets: Sequence[memoryview]) -> None:
        """A batch from inside."""
        if self._deaf:
            return
        now = self.now()
        if self.guard is not None:
            self.guard.sent(packets, now)
        self.carry_out(self.tunnel.from_tun(packets, now), now)

    def carry(self, outlet: Outlet) -> None:
        """From now on new sessions may bring carried datagrams: `outlet` has them, each with its session."""
        self.tunnel.carries, self._outlet = True, outlet

    def from_local(self, peer: str, batch: Sequence[CarriedRun]) -> None:
        """Datagrams of programs here, for the session with that peer."""
        if self._stopped:
            return
        now = self.now()
        self.carry_out(self.tunnel.from_local(peer, batch, now), now)

    def from_door(self, arrivals: Sequence[Arrival]) -> None:
        """A batch from outside."""
        if self._deaf:
            return  # it is not acknowledged: the peer sends it again, to who comes after us
        now = self.now()
        self.carry_out(self.tunnel.from_path(arrivals, now), now)

    def trace(self, session: Session, line: Callable[[str], None] | None) -> None:
        """Have a line for each run of datagrams of that session, or no more; nothing leaves before it was seen."""
        session.trace = line
        traced = any(each.trace for each in self.tunnel.sessions.values())
        self.tunnel.leave = None if traced else self._leave

    def _leave(self, departure: Departure) -> bool:
        """Send at once by a door that does nothing else meanwhile; by others only when the data plane has finished."""
        door = self._doors.get(departure.door)
        if door is None or not getattr(door, "quick", False):
            return False
        door.send((departure,))
        self._left = True
        return True

    def carry_out(self, effects: Effects, began: float | None = None) -> None:
        """
        Send, deliver and tell what a call into the data plane asked for.

        :param began: the time that what is sent carries. The processor may have been taken from us since then.
        """
        by_door: dict[int, list[Departure]] = {}
        for departure in effects.sends:
            by_door.setdefault(departure.door, []).append(departure)
        for number, departures in by_door.items():
            door = self._doors.get(number)
            if door is None:
                self.no_door += len(departures)
            else:
                door.send(departures)
        if began is not None and (by_door or self._left):
            self.tunnel.lateness.turned(began, self.now())
        self._left = False
        if effects.delivers and self.tun is not None:
            let_in = effects.delivers if self.guard is None else self.guard.admit(effects.delivers, self.now())
            if let_in:
                self.tun.write(let_in)
        if effects.carried and self._outlet is not None:
            self._outlet(effects.carried)
        for event in effects.events:
            self._tell(event)
        if len(effects.delivers) == 1 and self.tun is not None:
            self.tun.doRead()  # this machine's answer to a packet that came alone is often there, without another turn
        self._arm()

    def _arm(self) -> None:
        """
        Have the timer fire no later than the data plane wants.

        A timer that would fire too early is left alone: moving it costs more than one idle turn.
        """
        due = self.tunnel.next_timer()
        if due is None or self._stopped or due >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        now = self.now()
        self._timer_at = min(due, now + LONGEST)
        self._timer = self._clock.callLater(max(0.0, self._timer_at - now), self._fire)

    def _fire(self) -> None:
        self._timer, self._timer_at = None, float("inf")
        now = self.now()
        self.carry_out(self.tunnel.on_timer(now), now)

    def take_leave(self) -> None:
        """
        Nothing is taken in from doors and the TUN any more; what was taken in is delivered and acknowledged.

        While the doors are open. What programs here answer to that may still leave, until `stop`.
        """
        if not self._deaf:
            self._deaf = True
            self.carry_out(self.tunnel.take_leave(self.now()))

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call that then, unless all has stopped by then."""
        self._calls = [each for each in self._calls if each.active()]
        self._calls.append(self._clock.callLater(seconds, call))

    def stop(self) -> None:
        """No timer any more."""
        self._deaf = self._stopped = True
        for each in self._calls:
            if each.active():
                each.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
