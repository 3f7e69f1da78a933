"""How much one source of connections may ask of us before it has proven who it is. Time is an argument."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar


@dataclass(frozen=True, slots=True)
class Limits:
    """What the control port stands."""

    rate: float = 20.0  # connections a second from one source
    burst: int = 5  # of them at once
    sources: int = 1 << 16  # remembered at a time
    connections: int = 4096  # in all
    half_open: int = 1024  # of them not authenticated yet
    half_open_per_source: int = 64


LIMITS = Limits()


def numeric(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """A numeric address, an IPv4-mapped one as what it maps; None for anything else."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def source_of(host: str) -> str:
    """
    Whom a numeric address is counted for: an IPv4 address itself, of an IPv6 address its /64.

    Whoever has one address of a /64 has them all.
    """
    address = numeric(host)
    if address is None:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.IPv6Address(int(address) >> 64 << 64)) + "/64"


class TokenBucket:
    """At most `burst` at once and `rate` a second in the long run."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: int, *, now: float) -> None:
        self._rate, self._burst = rate, float(burst)
        self._tokens, self._at = float(burst), now

    def take(self, *, now: float) -> bool:
        """One more; False when it is too many."""
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = max(self._at, now)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class TimeShare:
    """
    What share of the loop's time strangers may take: the more, the less others notice; counted by what each one costs.

    Others notice when the loop is late. Nobody else's load is asked for: a loop that has to wait for its processor is
    late as well, and has no time to give away.
    """

    LEAST, FIRST, MOST = 0.03, 0.2, 0.5  # shares of the time
    LATE, PROMPT = 0.004, 0.002  # seconds that a turn is late when there are too many, and when there may be more
    AT_ONCE = 0.004  # seconds' worth that may be used up in one go
    CHEAPEST, DEAREST = 0.0003, 0.02  # seconds that one may cost

    def __init__(self, *, now: float) -> None:
        self.share, self.cost = self.FIRST, 0.001
        self._level, self._at = self.AT_ONCE, now
        self._charged, self._spent = 0, 0.0  # since `cost` was looked at

    def refill(self, *, now: float) -> None:
        """Time has passed."""
        self._level = min(self.AT_ONCE, self._level + max(0.0, now - self._at) * self.share)
        self._at = now

    def affords(self) -> bool:
        """Whether there is time for one more."""
        return self._level > 0.0

    def charge(self) -> None:
        """One more has come."""
        self._level -= self.cost
        self._charged += 1

    def spent(self, seconds: float) -> None:
        """So long one of those who were charged for has taken; maybe not for the last time."""
        self._spent += seconds

    def heed(self, late: float) -> None:
        """A turn was `late` seconds late."""
        if late > self.LATE:
            self.share = max(self.LEAST, self.share * 0.7)
        elif late < self.PROMPT:
            self.share = min(self.MOST, self.share + 0.01)
        if self._charged >= 8:
            found = min(self.DEAREST, max(self.CHEAPEST, self._spent / self._charged))
            self.cost += (found - self.cost) / 4
            self._charged, self._spent = 0, 0.0


class SourceLimiter:
    """A token bucket for each source; the source heard of longest ago is forgotten first."""

    def __init__(self, rate: float, burst: int, sources: int) -> None:
        self._rate, self._burst, self._most = rate, burst, sources
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        self.refused = 0  # since start

    def admit(self, source: str, *, now: float) -> bool:
        """Whether `source` (see source_of) may have one more."""
        bucket = self._buckets.get(source)
        if bucket is None:
            if len(self._buckets) >= self._most:
                self._buckets.popitem(last=False)
            bucket = self._buckets[source] = TokenBucket(self._rate, self._burst, now=now)
        else:
            self._buckets.move_to_end(source)
        if bucket.take(now=now):
            return True
        self.refused += 1
        return False

    def __len__(self) -> int:
        return len(self._buckets)


Guest = TypeVar("Guest", bound=Hashable)


class Lobby(Generic[Guest]):
    """
    Those who came in and have not proven who they are. When it is full the one waiting longest has to leave.

    An honest guest proves himself within a few round trips; one who only wants to sit there is the one who waits.
    """

    def __init__(self, most: int, most_per_source: int) -> None:
        self._most, self._most_per_source = most, most_per_source
        self._guests: OrderedDict[Guest, str] = OrderedDict()
        self._by_source: dict[str, OrderedDict[Guest, None]] = {}
        self.evicted = 0  # since start

    def enter(self, guest: Guest, source: str) -> Guest | None:
        """Take `guest` in; answers with the one who has to leave for it, no longer in the lobby."""
        leaving: Guest | None = None
        if len(self._by_source.get(source, ())) >= self._most_per_source:
            leaving = next(iter(self._by_source[source]))
        elif len(self._guests) >= self._most:
            leaving = next(iter(self._guests))
        if leaving is not None:
            self.leave(leaving)
            self.evicted += 1
        self._guests[guest] = source
        self._by_source.setdefault(source, OrderedDict())[guest] = None
        return leaving

    def oldest(self) -> Guest | None:
        """The one waiting longest."""
        return next(iter(self._guests), None)

    def leave(self, guest: Guest) -> None:
        """Forget `guest`, if it is here."""
        source = self._guests.pop(guest, None)
        if source is None:
            return
        del self._by_source[source][guest]
        if not self._by_source[source]:
            del self._by_source[source]

    def __len__(self) -> int:
        return len(self._guests)
