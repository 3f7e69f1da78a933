"""
TCP as Linux speaks it, through the simulated tunnel or beside it: what a bond does to a flow that hates reordering, and
what others leave to a tunnel.

Bulk data in segments of one size, by `inner_control` or `inner_bbr`; losses found as RACK finds them, spurious
ones undone. It leaves out what does not matter here: handshake, receive window.

Source: RFC 9438 (CUBIC), RFC 8985 (RACK), RFC 9406 and linux/net/ipv4/tcp_cubic.c (HyStart), RFC 4015 (undoing).
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from morphnet.wire.batch import VNET_HDR
from morphnet.wire.ip import TCP
from tests.inner_control import Control, Cubic, News
from tests.simulation import CLIENT4, SERVER4, World

SEGMENT = 1400  # bytes of a full inner packet
ACK = 52  # bytes
IP_UDP = 28  # bytes that a Link does not count
LEAST_RTO = 0.2  # seconds
_ACK_BIT, _FLOW_AT = 1 << 47, 48


def packet(number: int, size: int, flow: int, *, up: bool) -> bytes:
    """
    A TCP packet behind an empty virtio header; `number` is in its payload, or in its options where it has none.
    """
    source, destination = (CLIENT4, SERVER4) if up else (SERVER4, CLIENT4)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, size, 0, 0x4000, 64, TCP, 0, source, destination)
    tcp = struct.pack("!HHIIBBHHH", flow, 9, 0, 0, 5 << 4 if size > ACK else 8 << 4, 0x10, 0xFFFF, 0, 0)
    return bytes(VNET_HDR) + (ip + tcp + struct.pack("!Q", number)).ljust(size, b"x")


def number_in(plain: bytes) -> int:
    """What `packet` put in."""
    return int(struct.unpack_from("!Q", plain, VNET_HDR + 40)[0])


class _Sent:
    __slots__ = ("at", "delivered", "delivered_at", "lost", "resent")

    def __init__(self, at: float, delivered: int, delivered_at: float) -> None:
        self.at, self.lost, self.resent = at, False, False
        self.delivered, self.delivered_at = delivered, delivered_at  # segments, and when that was so


class Bulk:
    """One TCP connection that has always more to send."""

    def __init__(self, world: World, carry: Callable[[int, int, bool], None], control: Control | None = None) -> None:
        """
        :param carry: sends (number, size in bytes, whether it goes the way of the data).
        """
        self.arrived = 0  # segments, in order
        self.losses = self.undone = self.timeouts = self.resent = 0  # ever
        self.control: Control = control or Cubic()
        self._world, self._carry = world, carry
        self._delivered, self._delivered_at = 0, world.now
        self._next_at, self._waits = 0.0, False  # paced: when the next may go; something waits for that
        self._next = self._una = 0
        self._out: dict[int, _Sent] = {}  # sent, not known to have arrived
        self._beyond: set[int] = set()  # known to have arrived, above _una
        self._pipe, self._stopped = 0, False
        self._missing: set[int] = set()  # lost, and not sent again yet
        self._newest = 0.0  # when what arrived was sent, the latest
        self._srtt = self._least = 0.0
        self._reordered, self._steps = False, 1
        self._recovery = -1  # until this segment has arrived
        self._before: tuple[float, float] | None = None
        self._retransmitted = 0
        self._alarm = float("inf")
        self._progress = world.now
        self._got: set[int] = set()  # receiver: above `arrived`
        self._news: list[tuple[int, bool]] = []  # (segment, seen before), to be acknowledged
        self._acks: dict[int, tuple[int, list[tuple[int, bool]]]] = {}
        self._ack_number = 0

    # -- the receiver ------------------------------------------------------------------------------------------------

    def data(self, segment: int) -> None:
        """One segment came out of the tunnel."""
        seen = segment < self.arrived or segment in self._got
        if not seen:
            self._got.add(segment)
            while self.arrived in self._got:
                self._got.discard(self.arrived)
                self.arrived += 1
        if not self._news:
            self._world.at(self._world.now, self._acknowledge)
        self._news.append((segment, seen))

    def _acknowledge(self) -> None:
        self._ack_number += 1
        self._acks[self._ack_number] = self.arrived, self._news
        self._news = []
        self._carry(_ACK_BIT | self._ack_number, ACK, False)

    def hear(self, number: int) -> None:
        """What was sent has come."""
        (self.ack if number & _ACK_BIT else self.data)(number & ~_ACK_BIT)

    # -- the sender --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to send."""
        self._progress = self._world.now
        self._fill()
        self._watch()

    def stop(self) -> None:
        """From now on nothing is sent any more."""
        self._stopped = True

    def ack(self, number: int) -> None:
        """An acknowledgement came out of the tunnel."""
        now = self._world.now
        una, news = self._acks.pop(number, (0, []))
        count, rtt, rate, before = 0, None, None, 0
        highest = max(self._beyond, default=self._una)
        for segment in [*(s for s, _ in news), *range(self._una, una)]:
            sent = self._out.pop(segment, None)
            if sent is None:
                continue
            count += 1
            self._missing.discard(segment)
            self._pipe -= not sent.lost or sent.resent
            self._delivered, self._delivered_at = self._delivered + 1, now
            before = max(before, sent.delivered)
            if now > sent.delivered_at:
                rate = (self._delivered - sent.delivered) / (now - sent.delivered_at)
            if not sent.resent:
                rtt = now - sent.at
                if segment < highest:
                    self._reordered = True
            elif self._before is not None and sent.at + self._least * 0.9 > now:
                self._regret()  # the first copy came: it was only late
            self._newest = max(self._newest, sent.at)
            if segment >= una:
                self._beyond.add(segment)
        self._doubt(sum(seen for _, seen in news))
        if una > self._una:
            self._una, self._progress = una, now
            self._beyond = {segment for segment in self._beyond if segment >= una}
        if rtt is not None:
            self._srtt = rtt if not self._srtt else self._srtt + (rtt - self._srtt) / 8
            self._least = min(self._least or rtt, rtt)
        if self._una >= self._recovery:
            self._recovery, self._before = -1, None
        if count:
            flown, recovering = (self._una, self._next, self._pipe, self._delivered), self._recovery >= 0
            self.control.acknowledged(News(count, rtt, rate, *flown, before, recovering), now)
        self._find_losses()
        self._fill()

    def _doubt(self, duplicates: int) -> None:
        """So many segments came twice: what was sent again had not been lost."""
        if duplicates:
            self._steps = min(16, self._steps + 1)
            self._retransmitted -= duplicates
            if self._before is not None and self._retransmitted <= 0:
                self._regret()

    def _regret(self) -> None:
        assert self._before is not None
        self.control.undo(self._before)
        self.undone += 1
        self._before, self._recovery = None, -1

    def _find_losses(self) -> None:
        """What was sent so long before something that arrived must be lost."""
        now = self._world.now
        window = 0.0
        if self._reordered or len(self._beyond) < 3:
            window = min(self._steps * self._least / 4, self._srtt)
            if self._recovery >= 0 and not self._reordered:
                window = 0.0
        due, highest = float("inf"), max(self._beyond, default=-1)
        for segment, sent in self._out.items():
            if sent.at > self._newest or (sent.at == self._newest and not self._beyond):
                break
            if (sent.lost and not sent.resent) or (sent.lost and sent.at >= self._newest):
                continue
            until = sent.at + max(self._srtt, self._least) + window
            if segment > highest:
                continue
            if until > now:
                due = min(due, until)
                continue
            sent.lost, sent.resent = True, False
            self._missing.add(segment)
            self._pipe -= 1
            if self._recovery < 0:
                self._recovery, self._retransmitted = self._next, 0
                self._before = self.control.lost()
                self.losses += 1
        if due < self._alarm:
            self._alarm = due
            self._world.at(due, self._rang)

    def _rang(self) -> None:
        self._alarm = float("inf")
        self._find_losses()
        self._fill()

    def _watch(self) -> None:
        """The retransmission timeout."""
        now = self._world.now
        if self._out and now - self._progress > max(LEAST_RTO, 2 * self._srtt) + LEAST_RTO:
            self.timeouts += 1
            self.control.lost()
            self.control.window = 1.0
            self._recovery, self._before, self._progress = -1, None, now
            for sent in self._out.values():
                sent.lost, sent.resent = True, False
            self._missing.update(self._out)
            self._pipe = 0
            self._fill()
        self._world.at(now + 0.05, self._watch)

    def _fill(self) -> None:
        if self._missing:
            for segment, sent in list(self._out.items()):
                if self._held_back():
                    return
                if sent.lost and not sent.resent:
                    self._missing.discard(segment)
                    del self._out[segment]  # the order of _out is that of sending
                    again = self._out[segment] = _Sent(self._world.now, self._delivered, self._delivered_at)
                    again.lost = again.resent = True
                    self._retransmitted += 1
                    self.resent += 1
                    self._send(segment)
        while not self._held_back():
            self._out[self._next] = _Sent(self._world.now, self._delivered, self._delivered_at)
            self._next += 1
            self._send(self._next - 1)

    def _held_back(self) -> bool:
        """Whether the window is full, or the next may not go yet."""
        now, pace = self._world.now, self.control.pace
        if self._stopped or self._pipe >= self.control.window:
            return True
        if pace is None:
            return False
        if self._next_at > now:
            if not self._waits:
                self._waits = True
                self._world.at(self._next_at, self._waited)
            return True
        self._next_at = max(self._next_at, now - 0.001) + 1 / pace
        return False

    def _waited(self) -> None:
        self._waits = False
        self._fill()

    def _send(self, segment: int) -> None:
        self._pipe += 1
        self._carry(segment, SEGMENT, True)


def bulk(world: World, flows: int, *, up: bool, first: int = 1) -> list[Bulk]:
    """So many connections through the tunnel, begun; the world tells them what comes out."""

    def inside(flow: int) -> Callable[[int, int, bool], None]:
        def carry(number: int, size: int, along: bool) -> None:
            world.send(packet(flow << _FLOW_AT | number, size, flow, up=up is along), up=up is along)

        return carry

    connections = {first + each: Bulk(world, inside(first + each)) for each in range(flows)}

    def told(_: bool, plain: bytes) -> None:
        number = number_in(plain)
        connection = connections.get(number >> _FLOW_AT)
        if connection is not None:
            value = number & ((1 << _FLOW_AT) - 1)
            world.at(world.now, lambda: connection.hear(value))

    world.on_deliver = told
    for connection in connections.values():
        connection.start()
    return list(connections.values())


def rival(world: World, uplink: int, *, up: bool, control: Control | None = None) -> Bulk:
    """Somebody else's connection over the same uplink, without a tunnel; begun."""

    def carry(number: int, size: int, along: bool) -> None:
        link = world.links[uplink][0 if up is along else 1]
        arrives = link.take(size - IP_UDP, world.now, world.random)
        if arrives is not None:
            world.at(arrives, lambda: connection.hear(number))

    connection = Bulk(world, carry, control)
    connection.start()
    return connection
