"""
One path of a session: packet numbers, what is in flight, what came in, and whether it is alive.

Source: docs/protocol sections 5 and 7; RFC 9000 sections 8 and 9, RFC 9002 section 5 for the shape of it.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum

from morphnet.tunnel import ackdebt
from morphnet.tunnel.ackdebt import AckDebt
from morphnet.tunnel.flight import Flight
from morphnet.tunnel.landing import Landing
from morphnet.tunnel.lateness import Lateness, PathLateness
from morphnet.tunnel.mtu import MtuSearch
from morphnet.tunnel.recovery import Recovery, acknowledged, sent_at
from morphnet.tunnel.replay import WINDOW, ReplayWindow
from morphnet.tunnel.rtt import LossMeter, RateMeter, RttEstimate
from morphnet.tunnel.window import Model, Window
from morphnet.wire.batch import Endpoint
from morphnet.wire.notes import MAX_RANGES, Ack

AMPLIFICATION = 3  # times the bytes received may be sent to an address that has not proved itself
BURST = 3 * 1500  # bytes that may wait there, however slow it is
MADE_UP = 0.01  # seconds of its pace that it may have more for having been idle
GRAIN = 0.002  # seconds of its pace that are worth a wake-up
SAMPLE = 0.2  # seconds, and a round trip, that a sample of the rate spans at least
BURSTS = 0.01  # seconds by which samples differ since packets come in bursts; more than that is jitter
QUEUE = 0.03  # seconds of waiting in the network, besides what the window provokes, that mean congestion
MAX_FLIGHTS = 65536  # runs in flight that are remembered

SHUNNED, MOST_SHUNNED = 0.05, 20.0  # seconds, doubled with each fall, that a path is not used after it
PROOFS = 8  # probes in a row that were answered: it is in use again
FORGIVEN = 30.0  # seconds of use after which its falls are forgotten
_MICRO = 1_000_000


class State(StrEnum):
    """Where a path is in its life."""

    PROBING = "probing"  # not proved yet: probes only, and answers
    ACTIVE = "active"
    STANDBY = "standby"  # works, but loses too much: others carry the traffic
    SILENT = "silent"  # nothing comes back
    CLOSED = "closed"


def not_before(one: int, other: int) -> bool:
    """Whether the time `one` is `other` or later; both microseconds mod 2**32, less than 35 minutes apart."""
    return (one - other) & 0xFFFFFFFF < 1 << 31


class Path:
    """One way to the peer; ids are never used twice in a session, so that a nonce never is."""

    def __init__(
        self, path_id: int, door: int, remote: Endpoint, ceiling: int, now: float, own: Lateness | None = None
    ) -> None:
        self.id, self.lateness = path_id, PathLateness(own)
        self.uplink, self.shown = "", b""  # its name; the issued id (20 bytes) that datagrams on this path carry
        self.door, self.remote, self.rank = door, remote, 0
        self.left: tuple[int, Endpoint] | None = None  # door and address before we moved it ourselves
        self.seen_as: Endpoint | None = None  # our own address on it as the peer sees it; None until it says
        self.state, self.since = State.PROBING, now
        self.number, self.acked = 0, -1  # next packet number to use; the highest that the peer has seen
        self.flights, self.in_flight = deque[Flight](), 0  # bytes
        self.recovery, self.window, self.landing = Recovery(), Window(), Landing(now)
        self.limited_at = float("-inf")  # when the window, or the pace, last held traffic back
        self.free_at = now  # when what was sent will have passed the bottleneck, as far as its pace is known
        self.rtt, self.loss, self.mtu = RttEstimate(), LossMeter(), MtuSearch(ceiling)
        self.seen = ReplayWindow()
        self.unanswered_at: float | None = None  # since when something waits for an Ack, or for more of them
        self.heard_at = self.moved_at = now
        self.asked_at = float("-inf")  # last datagram sent that asks for an answer
        self.probe_at, self.probed = now, -1  # the next probe; the last's number
        self.probes = self.proofs = 0  # unanswered, while silent or probing; answered in a row
        self.validated = False
        self.token = self.answered = b""  # of the challenge under way to `remote`; that made us show another id last
        self.falls = 0  # times that it fell silent soon after it had come back
        self.shunned_until = now  # a silent path is not used before, unless there is no other
        self.proof_from = 0  # packet number from which an Ack proves that a silent path lives again
        self.nudged_at: float | None = None  # the `unanswered_at` for which a probe was sent already
        self.allowance = 0  # bytes that may still go to an address that is not validated
        self.sent_packets = self.sent_bytes = self.resent_packets = self.received_packets = self.received_bytes = 0
        self.recent_bytes = 0.0  # sent of late, decaying: for `share`
        self.sent_seen: int | None = None  # latest send time in what came: microseconds mod 2**32, the peer's clock
        self.debt = AckDebt()
        self._largest_at, self._largest_echo = 0.0, 0
        self._rates = RateMeter()
        self._modelled_at, self._modelled = float("-inf"), Model(0.0, 0.0, 0.0)
        self._crowded_at = now  # when a queue last stood in it, or its rate was not known

    # -- receiving -------------------------------------------------------------------------------------------------

    def came(self, number: int, count: int, size: int, sent_at: int, at: float) -> None:
        """`count` authentic datagrams up to packet `number`, `size` bytes together, arrived at that time."""
        self.received_packets += count
        self.received_bytes += size
        self.heard_at = at
        if self.sent_seen is None or not_before(sent_at, self.sent_seen):
            self.sent_seen = sent_at
        if number >= self.seen.highest:
            self._largest_at, self._largest_echo = at, sent_at

    def owe_ack(self, count: int, now: float) -> None:
        """`count` of them ask for an Ack."""
        self.debt.owe(count, self.rtt.smoothed, now)

    def make_ack(self, now: float) -> Ack:
        """What to tell the peer, now; the debt is paid."""
        self.debt.paid(now)
        return Ack(
            path=self.id,
            largest=max(0, self.seen.highest),
            delay=max(0, min(0xFFFFFFFF, round((now - self._largest_at) * _MICRO))),
            echo=self._largest_echo,
            packets=self.received_packets & 0xFFFFFFFF,
            total=self.received_bytes,
            received_at=round(self._largest_at * _MICRO) & 0xFFFFFFFF,
            ranges=self.seen.ranges(MAX_RANGES, WINDOW),
        )

    # -- sending ---------------------------------------------------------------------------------------------------

    def room(self, now: float, *, best: bool = True) -> int:
        """
        Bytes that may be sent: what the window allows, and what makes no long queue at the bottleneck.

        :param best: no other path is better. Then it is not held back while its rate is being found, and may make up
            for what it was not given while it was idle: by another one that burst would come late, out of its order.
        """
        window = self.window
        room = (window.size if best or not window.startup else window.modest) + self.lateness.extra - self.in_flight
        if not (best and window.startup):
            pace = self.pace(now)
            spent = min(now - self.free_at, MADE_UP if best else 0.0)
            room = min(room, max(BURST, window.ahead(self.lateness.pause) * pace) + spent * pace)
        return int(room)

    def takes(self, count: int, size: int, now: float, *, best: bool) -> int:
        """
        How many of `count` datagrams of `size` bytes it has room for; with nothing in flight it always takes one.

        A fast path takes no crumbs of a run, so that batches stay batches.

        :param best: no other path is better.
        """
        fitting = self.room(now, best=best) // size
        if fitting >= count:
            return count
        self.limited_at = now
        if not self.in_flight:
            return max(fitting, 1)
        return fitting if fitting * size >= GRAIN * self.pace(now) else 0

    def room_at(self, count: int, size: int, now: float) -> float:
        """When it takes some of `count` datagrams of `size` bytes without any news; infinity: not before an Ack."""
        pace, ahead = self.pace(now), self.window.ahead(self.lateness.pause)
        least = size * min(count, 1 + int(GRAIN * pace / size)) + 1  # fewer would be crumbs
        if self.in_flight and least > self.window.size + self.lateness.extra - self.in_flight:
            return float("inf")
        return max(now, self.free_at - max(ahead, BURST / pace) + max(GRAIN, least / pace))

    def arrival(self, now: float) -> float:
        """Seconds until a packet handed to it now would arrive: half the lowest RTT, and a queue; jitter is none."""
        base, queue = self._model(now).base, self.free_at - now
        if self.in_flight:
            shaken = self.window.shaken - BURSTS if self.window.shaken > BURSTS else 0.0
            seen = self.rtt.queue - self.rtt.calm - shaken
            queue = seen if seen > queue else queue
            if seen > 0.01 and not self.window.startup:  # what is in flight tells it before Acks do
                rate = self.window.rate(now)
                queue = max(queue, self.in_flight / rate - base - shaken - ackdebt.DELAY) if rate else queue
        return base / 2 + queue if queue > 0 else base / 2

    def sent(self, count: int, size: int, total: int, now: float, *, asks: bool) -> Flight | None:
        """
        Account for `count` datagrams of `size` bytes (`total` together) from packet `number` on.

        :param asks: whether they ask for an Ack; then they are in flight until one comes.
        """
        first = self.number
        self.number += count
        self.sent_packets += count
        self.sent_bytes += total
        self.recent_bytes += total
        if not self.validated:
            self.allowance -= total
        if not asks:
            return None
        flight, model = Flight(first, count, size, now), self._model(now)
        flight.calm = self.in_flight <= model.calm
        self.flights.append(flight)
        self.in_flight += size * count
        self.free_at = (self.free_at if self.free_at > now else now) + total / model.pace
        self.landing.sent(total, now)
        self.asked_at = now
        self.unanswered_at = now if self.unanswered_at is None else self.unanswered_at
        if len(self.flights) > MAX_FLIGHTS:
            self.in_flight -= self.flights.popleft().outstanding
        return flight

    def acknowledge(self, ack: Ack, now: float, late: float = 0.0) -> int:
        """
        Fold in one Ack about this path.

        :param late: seconds ago that it arrived.
        :returns: datagrams newly acknowledged.
        """
        if ack.largest >= self.number:  # acknowledges what was never sent
            return 0
        calm = next((each.calm for each in self.flights if each.first + each.count > ack.largest), False)
        news, size, lost = self._settle(ack, now)
        if ack.largest > self.acked:
            self.acked = ack.largest
            self.lateness.answered(ack.delay, now)
            sample = (((round((now - late) * _MICRO) - ack.echo) & 0xFFFFFFFF) - ack.delay) / _MICRO
            if 0 < sample < 60:
                there, unsure = (ack.received_at - ack.echo) & 0xFFFFFFFF, self.lateness.own.sending(ack.echo)
                self.rtt.add(sample, now=now, there=there, calm=calm, unsure=unsure)
        self.loss.add(ack.largest, ack.packets, now)
        floor = self.rtt.floor(now)
        if self.window.startup or floor is None or self.rtt.queue > 0.25 * floor + QUEUE:
            self._crowded_at = now
        interval = max(SAMPLE, smoothed := self.rtt.smoothed or 0.0)
        rate = self._rates.add(ack.received_at, ack.total, interval)
        self.window.lost(lost)
        limited = now - self.limited_at <= smoothed + interval / 4  # still so when what this tells of was sent
        self.window.acknowledged(size, self.in_flight + size, rate, limited, self.rtt, now)
        self.lateness.extra = self.lateness.known and self.lateness.known * self.window.rate(now)
        self._modelled_at = float("-inf")
        seen = self.window.rate(now) if rate is not None else None
        self.landing.told(seen, self.in_flight, now - late - ack.delay / _MICRO)
        if news:
            self.unanswered_at = now if self.flights else None
        return news

    def proves_life(self, ack: Ack) -> bool:
        """Whether `ack` tells of something sent since the path fell silent; what was learned before is void then."""
        if self.state is not State.SILENT or not self.validated or not self.proof_from <= ack.largest < self.number:
            return False
        self.proofs += ack.largest > self.acked
        self.rtt = RttEstimate()
        self.relearn()
        return True

    def _settle(self, ack: Ack, now: float) -> tuple[int, int, int]:
        """Cross off what arrived: (datagrams, bytes) that are news, and bytes given up as lost."""
        news = size = lost = 0
        kept: list[Flight] = []
        while self.flights and self.flights[0].first <= ack.largest:
            flight = self.flights.popleft()
            before = flight.missing
            flight.missing &= ~acknowledged(flight, ack.ranges)
            got = (before ^ flight.missing).bit_count()
            if got:
                news += got
                size += got * flight.size
                self.mtu.delivered(flight.size, flight.at)
            if flight.missing:
                kept.append(flight)
            self.in_flight -= got * flight.size
        if kept or self.recovery.doubted:
            lost = self._judge(kept, ack, now)  # when it is known what arrived that was sent later
        return news, size, lost

    def _judge(self, kept: list[Flight], ack: Ack, now: float) -> int:
        """Which of those that later ones have overtaken are lost: bytes. The others go on being in flight."""
        newest, patience, lost = sent_at(ack, now), self._patience(now), 0
        overtaken = newest - self.recovery.tolerance(self.rtt.floor(now) or patience, now)
        for flight in reversed(kept):
            if now - flight.at >= patience or flight.at <= overtaken:
                lost += self._lose(flight, now)
            else:
                self.flights.appendleft(flight)
        self.window.found(self.recovery.learn(ack, newest, patience, now))
        return lost

    def _lose(self, flight: Flight, now: float) -> int:
        """It is given up: bytes."""
        lost = flight.outstanding
        self.in_flight -= lost
        self.mtu.lost(flight.size, flight.at, now)
        self.recovery.give_up(flight)
        return lost

    def _patience(self, now: float) -> float:
        """Seconds after which a flight that later ones have overtaken counts as lost in any case."""
        usual = 1.25 * (self.rtt.smoothed or 0.1) + 2 * self.rtt.variation + ackdebt.DELAY
        return usual + self.recovery.tolerance(0.0, now)

    def expire(self, now: float) -> None:
        """Forget flights that later ones have overtaken for good, though no further Ack comes to say so."""
        limit = now - 2 * self._patience(now)
        while self.flights and self.flights[0].at < limit and self.flights[0].first < self.acked:
            self._lose(self.flights.popleft(), now)
        self.unanswered_at = self.unanswered_at if self.flights else None

    def take_flights(self) -> list[Flight]:
        """Everything in flight, no longer in flight: the path has moved or fallen silent."""
        taken = [*self.take_spilt(), *self.flights]
        self.flights.clear()
        self.in_flight, self.unanswered_at, self.free_at = 0, None, 0.0
        return taken

    def take_spilt(self) -> list[Flight]:
        """What is to be sent again though the path works."""
        taken, self.recovery.spilt = self.recovery.spilt, []
        return taken

    def count_anew(self) -> None:
        """There are new keys, and a peer that never heard of this path: what is sent counts from the start again."""
        self.take_flights()
        self.number, self.acked, self.proof_from = 0, -1, 0
        self.mtu.forget_probe()
        self.loss.clear()

    # -- life ------------------------------------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Whether traffic may be given to it."""
        return self.state is State.ACTIVE or self.state is State.STANDBY

    def enter(self, state: State, now: float) -> None:
        """Begin another part of its life."""
        if state is not self.state:
            if state is State.SILENT:
                self._fell(now)
            self.state, self.since = state, now
            self.probes, self.probe_at, self.proofs = 0, now, 0
            self.proof_from = self.number

    def _fell(self, now: float) -> None:
        """It fell silent: the sooner again, the longer it is left alone while others work."""
        self.falls = 1 if now - self.since > FORGIVEN else self.falls + 1
        self.shunned_until = now + min(MOST_SHUNNED, SHUNNED * 2 ** min(self.falls, 16))

    @property
    def doubtful(self) -> bool:
        """Whether it fell silent more than once of late: it must show that it loses little before it is used again."""
        return self.falls > 1 and self.proofs < PROOFS

    def rested(self, now: float) -> bool:
        """Whether it has been left alone for long enough since it fell silent, or has answered for a while."""
        return now >= self.shunned_until or self.proofs >= PROOFS

    def silence_limit(self) -> float:
        """Seconds without news, with something in flight, until it counts as silent: below max(3 RTT, 200 ms), A2."""
        if self.rtt.smoothed is None:
            return 1.0
        likely = 1.5 * self.rtt.smoothed + 4 * self.rtt.variation + 0.05
        return min(max(likely, 0.1), max(0.17, 2.5 * self.rtt.smoothed)) + 2 * self.lateness.known

    def excused(self, now: float) -> bool:
        """Whether what it seems to lose now may be our own doing: a queue stood in it, or its rate was searched."""
        return now - self._crowded_at < 2 * (self.rtt.smoothed or 0.0) + 0.5

    def pace(self, now: float) -> float:
        """
        Bytes a second that it may be given: what it was seen to deliver, and more while that makes no queue.

        Otherwise a path that once got little would be thought slow, and get little for ever.
        """
        return self._model(now).pace

    def _model(self, now: float) -> Model:
        """What is known of it, kept while neither the time nor that changes, since a batch asks often."""
        if self._modelled_at != now:
            self._modelled_at, self._modelled = now, self.window.model(self.rtt, now)
            self.landing.way = self._modelled.base / 2
        return self._modelled

    def relearn(self) -> None:
        """What it can deliver is not known any more."""
        self.window.restart()
        self._modelled_at = float("-inf")

    def moved(self, door: int, remote: Endpoint, now: float, *, only_ports: bool) -> None:
        """
        The same path by another address: what was learned of the old way is no longer sure.

        :param only_ports: of the same machines, on the same networks; then it holds. Source: RFC 9000 section 9.4.
        """
        self.door, self.remote, self.seen_as = door, remote, None
        self.loss.clear()
        if not only_ports:
            self.relearn()
            self.mtu.restart(self.mtu.ceiling)
        self.heard_at = self.moved_at = now

    def peer_restarted(self) -> None:
        """The peer is a new process: it knows no id, counts from the start, by another clock; the way is the same."""
        self.seen, self.sent_seen, self.shown = ReplayWindow(), None, b""
        self.loss.clear()
        self.rtt.other_clock()
        self._rates = RateMeter()
        self.falls, self.shunned_until = 0, float("-inf")  # the peer was silent, not the way to it
