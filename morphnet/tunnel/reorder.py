"""
Putting packets back in order, lane by lane, with a bound on packets, bytes and time.

A lane is 1 of 256 orders in a session, for each kind of payload; a flow always uses the same. What is missing in one
lane never holds another up.
Where the sender sends again what was lost, a gap in front of TCP's data waits for that, and one in front of anything
else if it will come soon enough. Else a gap is given up as soon as every path has brought something that was sent
after it (each path keeps its own order). In any case it is when a packet behind it has waited long enough. What comes
after that is still delivered, late, if it is no duplicate.

Source: docs/protocol section 9.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from typing import Any, Generic, Protocol, TypeVar

from morphnet.tunnel.events import Effects
from morphnet.tunnel.patience import Patience
from morphnet.tunnel.replay import WINDOW, ReplayWindow
from morphnet.wire.batch import VNET_HDR
from morphnet.wire.header import LANES, unwrap
from morphnet.wire.ip import tcp_payload

T = TypeVar("T")  # a packet for the TUN, or a carried datagram with its session


class Held(Generic[T]):
    """Consecutive packets of one lane, joined, that came before their turn."""

    __slots__ = ("count", "first", "packet", "patient", "sent_at", "size", "until", "waits")

    def __init__(self, first: int, count: int, packet: T, size: int, sent_at: int) -> None:
        self.first, self.count, self.packet = first, count, packet
        self.size = size  # bytes
        self.sent_at = sent_at  # microseconds mod 2**32 on the sender's clock
        self.until = 0.0  # seconds: it waits no longer
        self.waits = False  # it is held back
        self.patient = False  # for what is sent again, though every path has brought something later

    def __lt__(self, other: Held[T]) -> bool:
        return self.first < other.first


def _first(held: Held[Any]) -> int:
    return held.first


def _until(held: Held[Any]) -> float:
    return held.until


class Lane:
    """One order of packets, as it is received."""

    __slots__ = ("arrived", "enduring", "expected", "held", "seen")

    def __init__(self) -> None:
        self.seen = ReplayWindow()
        self.expected = -1  # next sequence (unwrapped); -1 until the first packet
        self.held: list[Held[Any]] = []  # in their order
        # the same, and some that wait no more, as they came: TCP's data apart, so that in each of the two those that
        # came first are due first
        self.arrived: deque[Held[Any]] = deque()
        self.enduring: deque[Held[Any]] = deque()

    def oldest(self) -> Held[Any] | None:
        """The one that is due first."""
        for came in (self.arrived, self.enduring):
            while came and not came[0].waits:
                came.popleft()
        if self.arrived and self.enduring:
            return min(self.arrived[0], self.enduring[0], key=_until)
        return self.arrived[0] if self.arrived else self.enduring[0] if self.enduring else None

    def unwrap(self, sequence: int, bits: int) -> int:
        """The full number of a sequence of `bits` bits."""
        return unwrap(sequence, max(self.seen.highest, 0), bits)


class Ways(Protocol):
    """What a receiver knows of the paths that feed its lanes."""

    def passed(self, sent_at: int) -> bool:
        """Whether every path has brought something sent after that time (microseconds mod 2**32)."""
        ...

    def repaired_within(self) -> float:
        """Seconds in which what is lost on any of the paths has been sent again and is here."""
        ...


class Reorder:
    """All lanes of one session."""

    def __init__(self, ways: Ways, patience: Patience, most_packets: int, most_bytes: int) -> None:
        self._ways, self._patience = ways, patience
        self._most_packets, self._most_bytes = most_packets, most_bytes
        self.midway = False  # the peer has counted for long: the first of a lane is whichever comes first
        self._lanes: dict[int, Lane] = {}
        self._waiting: set[int] = set()  # lanes that hold something
        self.packets = self.bytes = 0  # held now
        self.gaps = self.overflows = self.late = self.reordered = 0  # ever

    def count_on(self, before: Reorder) -> None:
        """It takes the place of that one."""
        self.gaps, self.overflows = before.gaps, before.overflows
        self.late, self.reordered = before.late, before.reordered

    def lane(self, number: int) -> Lane:
        """Lane 0 .. 255 of packets, LANES and so on of what is carried."""
        lane = self._lanes.get(number)
        if lane is None:
            lane = self._lanes[number] = Lane()
        return lane

    def fresh_among(self, number: int, sequence: int, bits: int, count: int) -> int:
        """How many of `count` packets of lane `number` from `sequence` (`bits` bits) on are new. Changes nothing."""
        lane = self._lanes.get(number)
        return count if lane is None else lane.seen.fresh_among(lane.unwrap(sequence, bits), count)

    def follows(self, number: int, sequence: int, count: int) -> bool:
        """
        Whether `count` packets of lane `number`, from `sequence` (unwrapped) on, are new and the next in their order,
        with none waiting for them; then they are delivered, and remembered as such.
        """
        lane = self.lane(number)
        if sequence != lane.expected or lane.held or not lane.seen.add_run(sequence, count):
            return False
        lane.expected = sequence + count
        return True

    def accept(self, number: int, item: Held[T], ordered: bool, now: float, out: list[T]) -> None:
        """
        One or more fresh consecutive packets of lane `number`; what may be delivered now is appended to `out`.

        :param item: its `first` is unwrapped.
        """
        lane = self.lane(number)
        end = item.first + item.count
        if lane.expected < 0:  # a peer counts from 0, but we may be the ones who are new
            lane.expected = item.first if self.midway or item.first >= WINDOW else 0
        if item.first <= lane.expected or not ordered:
            if item.first < lane.expected:
                self.late += item.count
            out.append(item.packet)
            if item.first <= lane.expected:
                lane.expected = max(lane.expected, end)
            if lane.held:
                self._release(number, lane, now, out)
            return
        insort(lane.held, item)
        lane.oldest()  # forgets those that are done
        self._let_wait(lane, item, now)
        self._waiting.add(number)
        self.packets += item.count
        self.bytes += item.size
        self.reordered += item.count
        self._release(number, lane, now, out)
        if self.packets > self._most_packets or self.bytes > self._most_bytes:
            self.overflows += 1
            self._force(number, lane, out)

    def _let_wait(self, lane: Lane, item: Held[T], now: float) -> None:
        """Say how long `item` waits, and for what."""
        item.waits = True
        payload = tcp_payload(item.packet, VNET_HDR) if isinstance(item.packet, bytearray) else None
        if payload and self._patience.tcp:
            item.patient, item.until = True, now + self._patience.longest
            lane.enduring.append(item)
            return
        item.patient = payload is None and self._patience.tcp > 0 and self._ways.repaired_within() < self._patience.rest
        item.until = now + self._patience.rest
        lane.arrived.append(item)

    def _release(self, number: int, lane: Lane, now: float, out: list[T]) -> None:
        """Deliver what is in order, and what follows a gap that nobody can fill in order any more."""
        held = lane.held
        while held:
            first = held[0].first
            if first > lane.expected:
                if held[0].until > now and (held[0].patient or not self._ways.passed(held[0].sent_at)):
                    break
                self.gaps += 1
            self._deliver(lane, held.pop(0), out)
        if not held:
            self._at_rest(number, lane)

    def _deliver(self, lane: Lane, item: Held[T], out: list[T]) -> None:
        item.waits = False
        self.packets -= item.count
        self.bytes -= item.size
        lane.expected = max(lane.expected, item.first + item.count)
        out.append(item.packet)

    def _at_rest(self, number: int, lane: Lane) -> None:
        """It holds nothing."""
        lane.held.clear()
        lane.arrived.clear()
        lane.enduring.clear()
        self._waiting.discard(number)

    def _force(self, number: int, lane: Lane, out: list[T]) -> None:
        """The bound is reached: deliver all that this lane holds."""
        for item in lane.held:
            self._deliver(lane, item, out)
        self._at_rest(number, lane)

    def due_at(self) -> float:
        """When the next packet has waited long enough; infinity when none waits."""
        if not self._waiting:
            return float("inf")
        due = float("inf")
        for number in self._waiting:
            oldest = self._lanes[number].oldest()
            if oldest is not None and oldest.until < due:
                due = oldest.until
        return due

    def expire(self, now: float, effects: Effects) -> None:
        """
        Deliver what has waited long enough, and all before it.

        Each packet is looked at once, however many there are: the peer chooses in which order they come.
        """
        for number in list(self._waiting):
            lane, last = self._lanes[number], -1
            out: list[Any] = effects.delivers if number < LANES else effects.carried
            while (oldest := lane.oldest()) is not None and oldest.until <= now:
                oldest.waits = False
                last = max(last, oldest.first)
            if last < 0:
                continue
            due = bisect_right(lane.held, last, key=_first)
            for item in lane.held[:due]:
                self.gaps += item.first > lane.expected
                self._deliver(lane, item, out)
            del lane.held[:due]
            self._release(number, lane, now, out)
