"""How loud each block of addresses is at our door, from a single host to a whole registry's. Time is an argument."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from dataclasses import dataclass

from morphnet.net.limits import numeric

LEVELS = {4: (8, 16, 24, 32), 6: (24, 32, 48, 64)}  # prefix lengths, the widest first
RATES = (2000.0, 1000.0, 200.0, 100.0)  # callers a second from a block of each level that get to us
RECENT, LATELY = 1.5, 30.0  # seconds after which a caller counts for a third: for a block's rate, and for its loudness
YOUNG = 0.75  # seconds that a block is taken to have called for at least: a few at once are no flood
REMEMBERED = 8192  # blocks of each level
SCREENED = 24  # blocks that are screened at a time
LEAST_SHARE = 0.001  # of a loud block's callers that get to us at least

Loudness = tuple[int, ...]  # powers of two of what each level has asked for of late, the widest first; compare them


@dataclass(frozen=True, slots=True)
class Block:
    """The addresses that begin alike."""

    family: int  # 4 or 6
    bits: int  # that they begin with
    value: int  # of these bits

    def __str__(self) -> str:
        width = 32 if self.family == 4 else 128
        host = (ipaddress.IPv4Address if self.family == 4 else ipaddress.IPv6Address)(self.value << width - self.bits)
        return f"{host}/{self.bits}"


def blocks_of(host: str) -> tuple[Block, ...]:
    """The blocks that a numeric address is in, one of each level, the widest first; none for what is no address."""
    address = numeric(host)
    if address is None:
        return ()
    family, width, value = address.version, address.max_prefixlen, int(address)
    return tuple(Block(family, bits, value >> width - bits) for bits in LEVELS[family])


class _Heard:
    """How often a block has called: two sums that time wears away."""

    __slots__ = ("at", "begun", "lately", "recent")

    def __init__(self, now: float) -> None:
        self.recent = self.lately = 0.0  # callers
        self.at = self.begun = now  # of these sums; since when it calls

    def pass_time(self, now: float) -> None:
        """Until now."""
        passed = now - self.at
        if passed > 0.0:
            self.recent *= math.exp(-passed / RECENT)
            self.lately *= math.exp(-passed / LATELY)
            self.at = now
            if self.recent < 1.0:
                self.begun = now

    def rate(self, now: float) -> float:
        """Callers a second."""
        self.pass_time(now)
        return self.recent / (RECENT * (1.0 - math.exp(-max(YOUNG, now - self.begun) / RECENT)))


class Blocks:
    """
    Counts callers by block, and forgets them with time.

    A flood from one network makes none of its hosts loud, but the network.
    """

    def __init__(self) -> None:
        self._heard: tuple[OrderedDict[Block, _Heard], ...] = tuple(OrderedDict() for _ in RATES)
        self._loud: dict[Block, int] = {}  # those that may be above their rate, and their level
        self.screened: dict[Block, float] = {}  # of whose callers only that share gets to us

    def called(self, host: str, *, now: float) -> Loudness:
        """One more caller from there; how loud its blocks were before."""
        loudness = list[int]()
        for level, block in enumerate(blocks_of(host)):
            weight = 1.0 / self.screened.get(block, 1.0)  # it stands for those of that block who were kept away
            heard = self._of(level, block, now)
            heard.pass_time(now)
            loudness.append(int(heard.lately).bit_length())
            heard.recent += weight
            heard.lately += weight
            if heard.recent > RATES[level] * RECENT / 2 and heard.rate(now) > RATES[level]:
                self._loud[block] = level
        return tuple(loudness)

    def loudness(self, host: str, *, now: float) -> Loudness:
        """How loud its blocks are now."""
        found = list[int]()
        for level, block in enumerate(blocks_of(host)):
            heard = self._heard[level].get(block)
            if heard is not None:
                heard.pass_time(now)
            found.append(0 if heard is None else int(heard.lately).bit_length())
        return tuple(found)

    def _of(self, level: int, block: Block, now: float) -> _Heard:
        known = self._heard[level]
        heard = known.get(block)
        if heard is not None:
            known.move_to_end(block)
            return heard
        if len(known) >= REMEMBERED:
            self._loud.pop(known.popitem(last=False)[0], None)
        heard = known[block] = _Heard(now)
        return heard

    def screen(self, *, now: float) -> bool:
        """
        Choose anew what is to be screened, by the share that its rate allows; whether that has changed.

        Narrow blocks come before the wide ones around them, for which only what passes counts. Small changes are none,
        or it would never rest.
        """
        chosen: dict[Block, float] = {}
        for block, level in sorted(self._loud.items(), key=lambda each: -each[1]):
            rate = self._heard[level][block].rate(now)
            if rate <= RATES[level]:
                del self._loud[block]
            elif len(chosen) < SCREENED:
                chosen[block] = max(LEAST_SHARE, RATES[level] / rate)
        if chosen.keys() == self.screened.keys() and all(
            0.7 < share / self.screened[block] < 1.4 for block, share in chosen.items()
        ):
            return False
        self.screened = chosen
        return True
