"""
The largest datagram that a path carries, found with probes alone: ICMP is welcome but never needed.

Source: RFC 8899 (DPLPMTUD). Sizes are bytes of UDP payload, before a shape makes it longer.
"""

from __future__ import annotations

from math import log

BASE = 1200  # passes everywhere (RFC 9000 section 14.1)
LADDER = (
    1466,
    1452,
    1432,
    1412,
    1392,
    1372,
    1352,
    1322,
    1292,
    1252,
    1232,
)  # tried below the ceiling
TRIES = 3  # probes of one size before it counts as too large
PROBE_PATIENCE = 0.4  # seconds for an answer, or two RTTs
BLACK_HOLE = 6  # runs of large datagrams lost, and none sent later has arrived: then the size is distrusted
CHANCE = 1e-4  # that so many in a row are lost where as many as usual are: more than that is no reason to distrust it
LASTS = 0.1  # seconds between when the first of them and the last was sent: a queue that is full for a moment is none
MOST_USUAL = 0.9  # share that may be lost usually; where more is, nothing is learned by waiting longer
FLOOR = 512  # what is sent by a path that does not even carry BASE
DOUBTS = 2  # probes of BASE that vanish before it is believed that not even that passes
DOUBT_PATIENCE = 0.15  # seconds for the answer to one, or one RTT and a half
DOUBT_AGAIN = 1.0  # seconds between probes of BASE afterwards
SETTLING = 1.0  # seconds after less was found to pass in which what waits there waits for that reason
RAISE_AFTER = 600.0  # seconds after which a lowered size is tried again


class MtuSearch:
    """What one path is known to carry, and the probe that is due."""

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling  # what the device would take, or the configured inner MTU needs
        self.proven = min(BASE, ceiling)
        self._sizes = self._candidates()
        self._tries = 0
        self._probe: tuple[int, int] | None = None  # (packet number, size) under way
        self._due_at = 0.0
        self._lost_large, self._passed_at = 0, float("-inf")  # runs; when the newest large one that arrived was sent
        self._vanished = (0.0, 0.0)  # when the first and the last of those lost were sent
        self._usual, self._gone = 0.0, 0  # share of large ones that is lost anyway, 0 .. 1; runs of them lost in a row
        self._settled_at: float | None = None
        self._halving = False
        self._doubted = False  # large datagrams vanish: whether BASE still passes is being found out
        self.crippled = False  # it does not: little passes here
        self._shrank_at = float("-inf")  # when that was seen last

    def _candidates(self) -> list[int]:
        sizes = {self.ceiling, *(size for size in LADDER if size < self.ceiling)}
        return sorted(size for size in sizes if size > self.proven)

    def restart(self, ceiling: int) -> None:
        """The path goes another way now."""
        self.__init__(ceiling)  # type: ignore[misc]

    def due(self, now: float) -> int:
        """Bytes of the probe to send now, or 0."""
        if self._doubted:
            return min(BASE, self.ceiling) if now >= self._due_at else 0
        if self._settled_at is not None and self.proven < self.ceiling and now - self._settled_at > RAISE_AFTER:
            self._sizes, self._tries, self._settled_at, self._halving = self._candidates(), 0, None, False
        return self._pick() if self._sizes and now >= self._due_at else 0

    def _pick(self) -> int:
        """The top first, as most paths carry it; then the middle of what is left."""
        return self._sizes[len(self._sizes) // 2 if self._halving else -1]

    def due_at(self) -> float:
        """When the next probe is due; infinity when none is."""
        return self._due_at if self._sizes or self._doubted else float("inf")

    def sent(self, number: int, size: int, rtt: float, now: float) -> None:
        """The probe went out as packet `number`."""
        self._tries += 1
        if self._doubted:
            if self._tries > DOUBTS:
                self.crippled, self.proven = True, min(FLOOR, self.ceiling)
            self._probe = number, size
            self._due_at = now + (DOUBT_AGAIN if self.crippled else max(DOUBT_PATIENCE, 1.5 * rtt))
            return
        if self._tries > self._by_chance(TRIES):
            self._too_large(now)
            return
        self._probe = number, size
        self._due_at = now + max(PROBE_PATIENCE, 2 * rtt)

    def _too_large(self, now: float) -> None:
        failed = self._pick()
        self._sizes = [size for size in self._sizes if size < failed]
        self._halving = True
        self._tries, self._probe, self._due_at = 0, None, now
        if not self._sizes:
            self._settled_at = now

    def refused(self, size: int, now: float) -> None:
        """The kernel would not send a datagram of `size` bytes."""
        self._sizes = [candidate for candidate in self._sizes if candidate < size]
        self._tries, self._probe, self._due_at = 0, None, now
        if size <= self.proven:
            self.proven = max(BASE, max((s for s in LADDER if s < size), default=BASE))
            self._sizes = []
        if not self._sizes:
            self._settled_at = now

    def acknowledged(self, number: int, now: float) -> bool:
        """Packet `number` arrived; True when that proved a larger size."""
        if self._probe is None or number != self._probe[0]:
            return False
        self.proven = self._probe[1]
        if self._doubted:
            self._doubted = self.crippled = False
            self._sizes = self._candidates()
        self._sizes = [size for size in self._sizes if size > self.proven]
        self._probe, self._tries, self._due_at, self._lost_large = None, 0, now, 0
        if not self._sizes:
            self._settled_at = now
        return True

    def lengthened(self, by: int) -> None:
        """Each datagram is `by` bytes longer on the way from now on (shorter, if less than 0): try what else passes."""
        if by:
            self.proven = min(max(self.proven - by, min(FLOOR, self.ceiling)), self.ceiling)
            self._sizes = self._candidates()
            self._tries, self._probe, self._settled_at, self._halving = 0, None, None, False

    def trust(self) -> None:
        """What carries this path takes every size."""
        self.proven, self._sizes = self.ceiling, []

    def forget_probe(self) -> None:
        """Nobody will acknowledge the probe under way."""
        self._probe = None

    @property
    def probing(self) -> int:
        """Packet number of the probe under way, or -1."""
        return self._probe[0] if self._probe else -1

    def delivered(self, size: int, sent_at: float) -> None:
        """A datagram of `size` bytes arrived."""
        if size > self._small():
            self._lost_large, self._passed_at = 0, max(self._passed_at, sent_at)
            self._usual += (self._gone / (self._gone + 1) - self._usual) / 32
            self._gone = 0

    def _small(self) -> int:
        """Bytes of what may arrive where the proven size does not."""
        return BASE if self.proven > BASE else FLOOR

    def shrinks(self, now: float) -> bool:
        """Whether it was seen of late that less passes than before."""
        return now - self._shrank_at < SETTLING

    def _by_chance(self, least: int) -> float:
        """How many in a row have to be lost, `least` or more, until that cannot be what is lost anyway."""
        usual = min(self._usual, MOST_USUAL)
        return max(least, log(CHANCE) / log(usual)) if usual > 0 else least

    def suspects(self, size: int, sent_at: float) -> bool:
        """Whether one of that size that was lost may have been too long, though that is not believed yet."""
        return size > self._small() and sent_at > self._passed_at and not self._doubted

    def lost(self, size: int, sent_at: float, now: float) -> bool:
        """One was lost though later ones arrived; True when the proven size was given up."""
        if size <= self._small() or self._doubted:
            return False
        self._gone += 1
        if sent_at <= self._passed_at:
            return False  # of one size, some arrive and some do not: that is a queue, however many it takes at once
        first, last = self._vanished if self._lost_large else (sent_at, sent_at)  # they come in any order
        first, last = self._vanished = min(first, sent_at), max(last, sent_at)
        self._lost_large += 1
        if self._lost_large < self._by_chance(BLACK_HOLE) or last - first < LASTS:
            return False
        given_up, self._lost_large, self._doubted, self._shrank_at = self.proven > BASE, 0, True, now
        self.proven = min(BASE, self.proven)
        self._sizes, self._tries, self._probe, self._due_at = self._candidates(), 0, None, now
        self._settled_at, self._halving = None, False
        return given_up
