"""
What was sent by one path and is in flight: what an Ack settles of it, and what is given up as lost.

Source: docs/protocol section 8; RFC 9002 sections 5 and 6.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from morphnet.tunnel import ackdebt
from morphnet.tunnel.flight import Flight
from morphnet.tunnel.lateness import PathLateness
from morphnet.tunnel.mtu import MtuSearch
from morphnet.tunnel.recovery import REMEMBERED, REPAIRS, Recovery, acknowledged, sent_at
from morphnet.tunnel.rtt import RttEstimate
from morphnet.wire.frames import Ack

MAX_FLIGHTS = 65536  # runs in flight that are remembered
DOUBTED = 0.3  # seconds, and two RTTs, for which what may be too long waits for others to tell
SHORTER = 2  # times that what proves to be too long is sent once more than REPAIRS: the path takes less, and less again
AWAITED = 15.0  # seconds for which somebody may wait for what was lost


class Settled(NamedTuple):
    """What one Ack told."""

    newest: bool  # it tells of a higher number than any Ack before
    calm: bool  # there was no queue of our making in front of the highest
    packets: int  # newly acknowledged
    bytes: int  # likewise
    lost: int  # bytes given up
    found: int | None  # bytes that had been given up and arrived all the same; None: it was not looked for


class Delivery:
    """Of one path."""

    def __init__(self, rtt: RttEstimate, mtu: MtuSearch, lateness: PathLateness) -> None:
        """
        :param rtt: the path's: it says how long an answer may take, and `lateness` by how much its two ends prolong it.
        :param mtu: told which sizes arrive.
        """
        self._rtt, self._mtu, self._lateness = rtt, mtu, lateness
        self.number, self.acked = 0, -1  # next packet number to use; the highest that the peer has seen
        self.flights, self.in_flight = deque[Flight](), 0  # bytes
        self.recovery = Recovery()
        self.overdue_at = float("inf")  # when what later ones have overtaken is lost, if no Ack tells of it before
        self._took = 0.0  # seconds from when the newest that arrived was sent until its Ack came
        self._untold = 0  # bytes given up since the last Ack
        self.asked_at = float("-inf")  # last datagram sent that asks for an answer
        self.unanswered_at: float | None = None  # since when something waits for an Ack, or for more of them
        self.sent_packets = self.sent_bytes = self.resent_packets = 0  # ever
        self.recent_bytes = 0.0  # sent of late, decaying: for `share`

    def sent(self, count: int, size: int, total: int, now: float, *, asks: bool) -> Flight | None:
        """
        Number and count `count` datagrams of `size` bytes, `total` together, and keep in flight what asks for an Ack.

        :returns: what is in flight now; None when nothing is.
        """
        first = self.number
        self.number += count
        self.sent_packets += count
        self.sent_bytes += total
        self.recent_bytes += total
        if not asks:
            return None
        flight = Flight(first, count, size, now)
        self.flights.append(flight)
        self.in_flight += size * count
        self.asked_at = now
        if self.unanswered_at is None:
            self.unanswered_at = now
        if len(self.flights) > MAX_FLIGHTS:
            self.in_flight -= self.flights.popleft().outstanding
        return flight

    # -- what an Ack settles -----------------------------------------------------------------------------------------

    def settle(self, ack: Ack, now: float) -> Settled:
        """Cross off what arrived, and give up what later ones have overtaken."""
        packets = size = lost = 0
        calm, found = False, None
        for flight in self.flights:
            if flight.first + flight.count > ack.largest:
                calm = flight.calm
                break
        kept: list[Flight] = []
        while self.flights and self.flights[0].first <= ack.largest:
            flight = self.flights.popleft()
            before = flight.missing
            flight.missing &= ~acknowledged(flight, ack.ranges)
            got = (before ^ flight.missing).bit_count()
            if got:
                packets += got
                size += got * flight.size
                self._mtu.delivered(flight.size, flight.at)
            if flight.missing:
                kept.append(flight)
            self.in_flight -= got * flight.size
        newest = ack.largest > self.acked
        if newest:
            self.acked, self._took = ack.largest, now - sent_at(ack, now)
        self._untold, lost = 0, self._untold
        if kept or self.recovery.doubted:
            lost += self._judge(kept, now)  # when it is known what arrived that was sent later
            found = self.recovery.learn(ack, (self._took, self._lateness.known), self._patience(now), now)
        if packets:
            self.unanswered_at = now if self.flights else None
        return Settled(newest, calm, packets, size, lost, found)

    def _judge(self, kept: list[Flight], now: float) -> int:
        """
        Which of those that later ones have overtaken are lost; the others go on being in flight.

        :returns: bytes that are lost.
        """
        lost, limits = 0, self._limits(now)
        for flight in reversed(kept):
            if now >= self._lost_at(flight, limits):
                lost += self._lose(flight, now)
            else:
                self.flights.appendleft(flight)
        self.overdue_at = self._lost_at(self.flights[0], limits) if self.flights else float("inf")
        return lost

    def _limits(self, now: float) -> tuple[float, float]:
        """Seconds after which a flight is lost that later ones have overtaken; and one of which some have arrived."""
        patience = self._patience(now)
        overtaken = min(patience, self._took + self.recovery.tolerance(self._rtt.floor(now) or patience, now))
        return overtaken, patience + self._lateness.known  # an end that is late may have read the first alone

    def _lost_at(self, flight: Flight, limits: tuple[float, float]) -> float:
        """When `flight` is lost. Of one sent at once the last may be on their way long after the first have arrived."""
        if flight.first > self.acked:
            return float("inf")
        return flight.at + limits[flight.first + flight.count > self.acked + 1]

    def _lose(self, flight: Flight, now: float) -> int:
        """It is given up: bytes."""
        lost = flight.outstanding
        self.in_flight -= lost
        self._mtu.lost(flight.size, flight.at, now)
        self.recovery.give_up(flight, overtaken=flight.first + flight.count <= self.acked + 1)
        return lost

    def _patience(self, now: float) -> float:
        """Seconds after which a flight that later ones have overtaken counts as lost in any case."""
        usual = 1.25 * (self._rtt.smoothed or 0.1) + 2 * self._rtt.variation + ackdebt.DELAY
        return usual + self.recovery.tolerance(0.0, now)

    # -- without an Ack ----------------------------------------------------------------------------------------------

    def expire(self, now: float) -> None:
        """Give up what later ones have overtaken for long enough, though no further Ack has come to say so."""
        if now < self.overdue_at:
            return
        limits = self._limits(now)
        while self.flights and now >= self._lost_at(self.flights[0], limits):
            self._untold += self._lose(self.flights.popleft(), now)
        self.overdue_at = self._lost_at(self.flights[0], limits) if self.flights else float("inf")
        self.unanswered_at = self.unanswered_at if self.flights else None

    def take_flights(self) -> list[Flight]:
        """Everything in flight, no longer in flight."""
        taken = [*self.take_spilt(), *self.flights]
        self.flights.clear()
        self.in_flight, self.unanswered_at = 0, None
        return taken

    def take_spilt(self) -> list[Flight]:
        """What is to be sent again though the path works."""
        taken, self.recovery.spilt = self.recovery.spilt, []
        return taken

    def too_long(self, lost: Sequence[Flight], now: float) -> list[Flight]:
        """
        What the path carries no more, as is known by now: it was never a question of room, and goes again in pieces.

        What may turn out to be so is kept until it is known, or nobody waits for it any more; where nothing passes that
        would tell, it goes again as it is after a while.
        :param lost: what nothing else is to become of.
        """
        awaited = [each for each in lost if each.run and now - each.born <= AWAITED]
        doubtful = [each for each in awaited if self._mtu.suspects(each.size, each.at)]
        enough = DOUBTED + 2 * (self._rtt.smoothed or 0.0)
        stale = [each for each in doubtful if now - each.at > enough]
        known = [each for each in awaited if each.size > self._mtu.proven or each in stale]
        known = [each for each in known if each.again < REPAIRS + SHORTER]
        self.recovery.spilt += [each for each in doubtful if each not in known][-REMEMBERED:]
        return known

    def count_anew(self) -> None:
        """What is sent counts from the start again."""
        self.number, self.acked = 0, -1
