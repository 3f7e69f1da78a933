"""
QUIC as RFC 9002 has it, through the simulated tunnel: bulk data in numbered packets, CUBIC with HyStart, paced.

A packet is lost when one that was sent three later was acknowledged, or one that was sent an eighth of a round trip
later. No number is used twice, and a loss that was none is not undone. It leaves out what does not matter here:
handshake, flow control, persistent congestion.

Source: RFC 9002 sections 6.1, 6.2 and 7.7; RFC 9000 section 13.2.
"""

from __future__ import annotations

import struct

from morphnet.wire.batch import VNET_HDR
from tests.inner_control import Control, Cubic, News
from tests.simulation import World, packet

SIZE = 1308  # bytes of a full inner packet: a datagram of 1280
ACK = 70  # bytes of one that acknowledges
PLACES = 3  # kPacketThreshold
OF_RTT, GRANULARITY = 9 / 8, 0.001  # kTimeThreshold, kGranularity in seconds
ACK_DELAY, ACK_EVERY = 0.025, 2  # seconds, and packets, at most
REMEMBERED = 128  # numbers that an acknowledgement tells of
GAIN, BURST = 1.25, 10  # the pace, in windows of a round trip; packets that may leave at once
_ACK_BIT, _UDP_AT = 1 << 62, 28


class _Receiver:
    """Acknowledges what comes: every other packet, and at once one that is out of its order."""

    def __init__(self, download: Download, world: World) -> None:
        self.came: list[int] = []  # numbers, as they came
        self._download, self._world = download, world
        self._owed, self._highest, self._due = 0, -1, float("inf")

    def packet(self, number: int) -> None:
        """One came out of the tunnel."""
        now, jumped = self._world.now, number != self._highest + 1
        self.came.append(number)
        self._owed, self._highest = self._owed + 1, max(self._highest, number)
        if jumped or self._owed >= ACK_EVERY:
            self._acknowledge()
        elif self._due == float("inf"):
            self._due = now + ACK_DELAY
            self._world.at(self._due, self._rang)

    def _rang(self) -> None:
        if self._due <= self._world.now:
            self._acknowledge()

    def _acknowledge(self) -> None:
        self._owed, self._due = 0, float("inf")
        self._download.acknowledge(self.came[-REMEMBERED:])


class Download:
    """One connection that has always more to send; begun."""

    def __init__(self, world: World, *, up: bool = False, control: Control | None = None) -> None:
        self.control: Control = control or Cubic()
        self.receiver = _Receiver(self, world)
        self.lost = self.found = self.reductions = self.probes = 0  # packets given up; of these, what came; ever
        self._world, self._up = world, up
        # in flight: when it was sent; how much had been delivered then, and when
        self._out: dict[int, tuple[float, int, float]] = {}
        self._given_up: set[int] = set()
        self._next, self._largest = 0, -1
        self._delivered, self._delivered_at = 0, world.now
        self._smoothed = self._variation = self._latest = 0.0  # seconds
        self._recovery_at = float("-inf")  # what was sent before has had its answer
        self._alarm, self._next_at, self._waits = float("inf"), 0.0, False
        self._asked_at, self._backoff = world.now, 1
        self._acks: dict[int, list[int]] = {}
        world.on_deliver = self._told
        self._fill()

    @property
    def useful(self) -> int:
        """Packets that came, without those whose data was sent a second time."""
        return len(self.receiver.came) - self.found

    def _told(self, _: bool, plain: bytes) -> None:
        number = struct.unpack_from("!Q", plain, VNET_HDR + _UDP_AT)[0]
        self._world.at(self._world.now, lambda: self._hear(number))

    def _hear(self, number: int) -> None:
        if number & _ACK_BIT:
            self._acknowledged(self._acks.pop(number))
        else:
            self.receiver.packet(number)

    def _carry(self, number: int, size: int, *, along: bool) -> None:
        up = self._up is along
        self._world.send(packet(number, size, up=up), up=up)

    def acknowledge(self, numbers: list[int]) -> None:
        """Send back what has come of late."""
        name = _ACK_BIT | len(self.receiver.came)
        self._acks[name] = numbers
        self._carry(name, ACK, along=False)

    # -- the sender --------------------------------------------------------------------------------------------------

    def _acknowledged(self, numbers: list[int]) -> None:
        now, arrived, sample, rate, newest, before = self._world.now, 0, None, None, max(numbers), 0
        for number in numbers:
            if number in self._given_up:
                self._given_up.discard(number)
                self.found += 1
            sent = self._out.pop(number, None)
            if sent is None:
                continue
            arrived += 1
            self._delivered, self._delivered_at = self._delivered + 1, now
            before = max(before, sent[1])
            if now > sent[2]:
                rate = (self._delivered - sent[1]) / (now - sent[2])
            if number == newest:
                sample = now - sent[0]
                self._measured(sample)
        self._largest = max(self._largest, newest)
        self._backoff = 1 if arrived else self._backoff
        self._find_losses()
        if arrived:
            una, recovering = min(self._out, default=self._next), self._recovery_at >= now - self._smoothed
            self.control.acknowledged(
                News(arrived, sample, rate, una, self._next, len(self._out), self._delivered, before, recovering), now
            )
        self._fill()

    def _measured(self, sample: float) -> None:
        self._latest = sample
        if not self._smoothed:
            self._smoothed, self._variation = sample, sample / 2
            return
        self._variation += (abs(self._smoothed - sample) - self._variation) / 4
        self._smoothed += (sample - self._smoothed) / 8

    def _find_losses(self) -> None:
        """By places, and by time."""
        now, due = self._world.now, float("inf")
        span = max(OF_RTT * max(self._smoothed, self._latest), GRANULARITY)
        for number, (at, _, _) in list(self._out.items()):
            if number > self._largest:
                break
            if number <= self._largest - PLACES or at <= now - span:
                self._lose(number, at)
            else:
                due = min(due, at + span)
        if due < self._alarm:
            self._ring(due)

    def _lose(self, number: int, at: float) -> None:
        del self._out[number]
        self._given_up.add(number)
        self.lost += 1
        if at > self._recovery_at:
            self._recovery_at = self._world.now
            self.control.lost()
            self.reductions += 1

    def _ring(self, at: float) -> None:
        self._alarm = at
        self._world.at(at, self._rang)

    def _rang(self) -> None:
        if self._world.now < self._alarm:
            return
        self._alarm = float("inf")
        self._find_losses()
        timeout = self._backoff * (self._smoothed + max(4 * self._variation, GRANULARITY) + ACK_DELAY)
        if self._out and self._world.now >= self._asked_at + timeout:
            self.probes, self._backoff = self.probes + 1, 2 * self._backoff
            self._send()
        self._fill()

    def _fill(self) -> None:
        while not self._held_back():
            self._send()
        if self._alarm == float("inf"):
            wait = self._smoothed + max(4 * self._variation, GRANULARITY) + ACK_DELAY if self._smoothed else 1.0
            self._ring(self._asked_at + self._backoff * wait)

    def _held_back(self) -> bool:
        """Whether the window is full, or the next may not go yet."""
        now = self._world.now
        if len(self._out) >= self.control.window:
            return True
        if not self._smoothed:
            return False
        pace = GAIN * self.control.window / self._smoothed
        if self._next_at > now:
            if not self._waits:
                self._waits = True
                self._world.at(self._next_at, self._waited)
            return True
        self._next_at = max(self._next_at, now - BURST / pace) + 1 / pace
        return False

    def _waited(self) -> None:
        self._waits = False
        self._fill()

    def _send(self) -> None:
        self._asked_at = self._world.now
        self._out[self._next] = self._world.now, self._delivered, self._delivered_at
        self._next += 1
        self._carry(self._next - 1, SIZE, along=True)
