"""
Which shapes the paths over one network wear: the cheapest that it lets through, found by trying.

A rung is a shape; the cheapest comes first. Below the last one is the stream by TCP, which comes and goes by itself.
All that is decided here is which rungs are open, each by a socket of its own: an open one is a path as any other, so
that traffic goes by whatever works while this is still undecided, and nothing is lost when one is given up. What counts
is data that the other end acknowledges and that comes back, never that a call was answered.

Source: docs/shapes, "auto".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

STAGGER = 0.4  # seconds between the starts of two rungs in a search
HOLD_OFF = 0.3  # seconds that the one in use does not answer before others are looked for
SETTLE = 2.0  # seconds that a rung has worked before it is taken though a cheaper one may still answer
SEARCH = 6.0  # seconds that a search lasts in which nothing works, after the last one was opened
TRIAL = 3.0  # seconds that a cheaper rung has to answer
PROOF, PROOF_FOR = 65536, 20.0  # bytes both ways that it has carried before the old one is let go, or seconds
FIRST_REST = 10.0  # seconds until the next search when nothing has worked; doubling, up to `every`
LEAST_WAIT = 0.7  # share of `every` after which the next trial comes at the earliest
MOST_DOUBLINGS = 3  # of how long a rung is left out that worked and was stopped then


class Phase(StrEnum):
    """What goes on."""

    SEARCHING = "searching"  # several are open: which one works?
    HOLDING = "holding"  # one is in use
    TRYING = "trying"  # one is in use, and a cheaper one beside it
    RESTING = "resting"  # none works: one is left open, should it answer


class Seen(NamedTuple):
    """How it stands with a rung that is open."""

    works: bool  # data that goes by it is acknowledged
    since: float  # when that began, or ended
    carried: int = 0  # bytes both ways since it was opened


class Ladder:
    """
    Of one uplink on one network. Time is an argument, in seconds.

    :param rungs: the cheapest first; not empty.
    :param every: seconds between two trials of cheaper ones, at most.
    :param chance: 0 .. 1, evenly.
    :param home: the rung that worked here the last time; "" where that is not known.
    """

    def __init__(
        self, rungs: Sequence[str], every: float, chance: Callable[[], float], now: float, home: str = ""
    ) -> None:
        self.rungs, self._every, self._chance = tuple(rungs), every, chance
        self.home = home if home in self.rungs else self.rungs[0]
        self.phase = Phase.SEARCHING
        self.open: dict[str, int] = {}  # by rung: which opening of it, so that a new one gets another socket
        self._openings = 0
        self._opened_at: dict[str, float] = {}
        self._worked: set[str] = set()  # of the open ones: those that have
        self._stopped: dict[str, tuple[float, int]] = {}  # left out until then; how often it was stopped
        self._queue: list[str] = []  # to be opened in a search, or tried
        self._trial = ""
        self._next_at = self._began_at = now
        self._rests = 0
        self._search(now)

    def look(self, seen: Mapping[str, Seen], now: float, *, otherwise: bool = False) -> None:
        """
        Decide what is open; called several times a second.

        :param seen: of rungs that are open, those of which something is known.
        :param otherwise: whether the server is reached in another way: then what is silent was stopped.
        """
        works = [rung for rung in self.rungs if rung in self.open and rung in seen and seen[rung].works]
        self._worked.update(works)
        match self.phase:
            case Phase.SEARCHING:
                self._searching(seen, works, now, otherwise)
            case Phase.HOLDING | Phase.TRYING if self.home not in works:
                since = seen[self.home].since if self.home in seen else self._opened_at[self.home]
                if now - since >= HOLD_OFF:
                    self._search(now)
            case Phase.HOLDING if now >= self._next_at:
                self._try_next([rung for rung in self._cheaper() if self._hopeful(rung, now)], now)
            case Phase.TRYING:
                self._trying(seen, works, now)
            case Phase.RESTING if self.home in works:
                self._take(self.home, works, now)
            case Phase.RESTING if now >= self._next_at:
                if any(self._hopeful(rung, now) for rung in self.rungs):
                    self._close(self.home)  # its socket may have been what was stopped
                    self._search(now)

    # -- what works? -------------------------------------------------------------------------------------------------

    def _search(self, now: float) -> None:
        """Open what may work, one after the other, the one of the last time first."""
        self.phase, self._began_at, self._next_at = Phase.SEARCHING, now, now
        order = dict.fromkeys((self.home, *self.rungs))
        self._queue = [rung for rung in order if rung not in self.open and self._hopeful(rung, now)]
        self._open_next(now)

    def _open_next(self, now: float) -> None:
        if self._queue and now >= self._next_at:
            self._open(self._queue.pop(0), now)
            self._began_at, self._next_at = now, now + STAGGER

    def _searching(self, seen: Mapping[str, Seen], works: Sequence[str], now: float, otherwise: bool) -> None:
        self._open_next(now)
        if works:
            best = works[0]
            hopeful = [rung for rung in self.rungs if self._hopeful(rung, now)]
            if best in hopeful[:1] or now - seen[best].since >= SETTLE:
                self._take(best, works, now)
        elif not self._queue and now - self._began_at >= SEARCH:
            for rung in self._worked & set(self.open) if otherwise else ():
                self._stop(rung, now)
            for rung in [rung for rung in self.open if rung != self.home]:
                self._close(rung)
            if self.home not in self.open:
                self._open(self.home, now)
            self.phase = Phase.RESTING
            self._next_at = now + min(self._every, FIRST_REST * 2.0 ** min(self._rests, 16)) * self._share()
            self._rests += 1

    def _take(self, rung: str, works: Sequence[str], now: float) -> None:
        """This is the one from now on; what has worked and does not any more, while this one does, was stopped."""
        for other in [other for other in self.open if other != rung]:
            if other in self._worked and other not in works:
                self._stop(other, now)
            self._close(other)
        self.home, self.phase, self._trial, self._rests = rung, Phase.HOLDING, "", 0
        self._next_at = now + self._every * self._share()

    # -- does a cheaper one work by now? -----------------------------------------------------------------------------

    def _cheaper(self) -> list[str]:
        return list(self.rungs[: self.rungs.index(self.home)])

    def _try_next(self, queue: list[str], now: float) -> None:
        self._queue = queue
        if not queue:
            self.phase, self._trial = Phase.HOLDING, ""
            self._next_at = now + self._every * self._share()
            return
        self.phase, self._trial = Phase.TRYING, self._queue.pop(0)
        self._open(self._trial, now)

    def _trying(self, seen: Mapping[str, Seen], works: Sequence[str], now: float) -> None:
        trial = self._trial
        if trial in works:
            if seen[trial].carried >= PROOF or now - seen[trial].since >= PROOF_FOR:
                self._stopped.pop(trial, None)
                self._take(trial, works, now)
            return
        if trial in self._worked:
            self._stop(trial, now)
        elif now - self._opened_at[trial] < TRIAL:
            return
        self._close(trial)
        self._try_next(self._queue, now)

    # -- one rung ----------------------------------------------------------------------------------------------------

    def _share(self) -> float:
        return LEAST_WAIT + (1.0 - LEAST_WAIT) * self._chance()

    def _hopeful(self, rung: str, now: float) -> bool:
        """Whether it may be opened: it was not stopped of late."""
        return self._stopped.get(rung, (now, 0))[0] <= now

    def _open(self, rung: str, now: float) -> None:
        self._openings += 1
        self.open[rung], self._opened_at[rung] = self._openings, now

    def _close(self, rung: str) -> None:
        self.open.pop(rung, None)
        self._worked.discard(rung)

    def _stop(self, rung: str, now: float) -> None:
        times = self._stopped.get(rung, (now, 0))[1]
        wait = self._every * self._share() * 2.0 ** min(times, MOST_DOUBLINGS)
        self._stopped[rung] = now + wait, times + 1
