"""
Which uplinks of a machine lead out, and what share of new flows each of them gets. No clock, no sockets.

Each uplink is judged for each family by itself. What is asked are targets (at least two) by methods (at least two), so
that neither one dead target nor one method that is filtered makes an uplink dead:

    untried  nothing is known yet: nobody is sent there
    up       every EVERY one question, in turn. One that is not answered in time makes us ask all at once
    down     of all these none was answered; or a captive portal answers; or there is no carrier

A look that comes LATE tells nothing: the machine slept, or had no time, and what was answered meanwhile may be lost.
Then the round is void and asked once more, MOST_VOID times in a row.

An uplink that comes back has to answer several rounds in a row, and more of them the more often it has gone of late.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

EVERY = 1.0  # seconds between questions
PATIENCE = 0.5  # seconds that one question has while all is well, at least; slower uplinks have three times their RTT
ROUND_PATIENCE = 1.0  # seconds that a round of all questions has, at least
MOST_PATIENCE = 2.0  # seconds, whatever the RTT
PORTAL_EVERY = 10.0  # seconds between looks for a captive portal, while an uplink is up
PROOFS, MOST_PROOFS = 3, 30  # rounds that must be answered before one is up again
SIGNED_IN = 3  # rounds without a page until a portal is believed to be gone; it may only have been slow
CALM = 60.0  # seconds that an uplink must stay up until nobody remembers how often it was down
LATE, MOST_VOID = 0.5, 3  # seconds after the moment when something should have been answered; rounds
REMEMBERED = 64  # questions that an answer may still come to


class State(StrEnum):
    """Of an uplink, in one family."""

    UNTRIED = "untried"
    UP = "up"
    DOWN = "down"


class Check(NamedTuple):
    """What is asked, of whom."""

    target: str  # numeric address
    method: str  # "ping", "dns", "tcp", or PORTAL


PORTAL = "portal"


class Verdict(StrEnum):
    """What an address says that nobody has."""

    SILENT = "silent"
    ACCEPTS = "accepts"  # somebody takes every connection, and says nothing: such connections prove nothing
    PAGE = "page"  # and hands out his own page


class Question(NamedTuple):
    """One to be asked now."""

    number: int
    check: Check


@dataclass(slots=True)
class _Out:
    """One that was asked."""

    check: Check
    at: float
    until: float


class Health:
    """
    One uplink in one family.

    :param checks: what can be asked; at least one.
    :param portal: whom to ask for a captive portal; None not to.
    """

    def __init__(self, checks: Sequence[Check], portal: Check | None, every: float = EVERY) -> None:
        self._checks, self._portal, self._every = _in_turn(checks), portal, every
        self.state, self.why = State.UNTRIED, "nothing is known yet"
        self.changes = 0  # of state, since the start
        self.rtt: float | None = None  # seconds, smoothed
        self._numbers = 0
        self._turn = 0
        self._asked: dict[int, _Out] = {}  # by number, oldest first
        self._waited: set[int] = set()  # of these, those that the present round waits for
        self._full = False  # the present round asks everybody
        self._heard = False  # and was answered
        self._due_at = float("-inf")
        self._voided = 0  # rounds since the last one that told something
        self._portal_at = float("-inf")  # when to look for one again
        self._verdict, self._pageless = Verdict.SILENT, 0  # in a row, after a page
        self._proofs, self._needed = 0, 1
        self._falls = 0  # of late
        self._up_at = 0.0

    def look(self, now: float) -> list[Question]:
        """
        What to ask now. Call at `next_at`, or at any other time; after all answers that are there have been told.
        """
        if self._is_void(now):
            self._waited.clear()
            return self._ask_one(now) if self.state is State.UP and not self._full else self._ask_all(now)
        late = [number for number in self._waited if self._asked[number].until <= now]
        self._waited.difference_update(late)
        if any(self._asked[number].check == self._portal for number in late):
            self._judge(Verdict.SILENT)
        if late and not self._heard and not self._full:
            return self._ask_all(now)  # one was not answered: it may be that target
        if not self._waited:
            self._end_round(now)
        if self._waited or now < self._due_at:
            return []
        if self.state is State.UP:
            return self._ask_one(now)
        return self._ask_all(now)

    def _is_void(self, now: float) -> bool:
        """Whether we look too late to tell if what is waited for was answered."""
        if not self._waited or now - self.next_at <= LATE:
            return False
        self._voided += 1  # not set back by an answer: a portal's may never come
        return self._voided <= MOST_VOID

    @property
    def next_at(self) -> float:
        """When to look again."""
        if not self._waited and (self._full or self._heard):
            return float("-inf")  # a round has ended
        return min((self._asked[number].until for number in self._waited), default=self._due_at)

    def answered(self, number: int, now: float) -> None:
        """The target has answered; late is better than never."""
        asked = self._asked.pop(number, None)
        if asked is None:
            return
        self._waited.discard(number)
        if asked.check.method == "tcp" and self._verdict is not Verdict.SILENT:
            return  # whoever it was
        took = now - asked.at
        if took >= 0 and now <= asked.until + LATE:  # else the clock was set back, or the machine slept
            self.rtt = took if self.rtt is None else self.rtt + (took - self.rtt) / 8
        self._heard = True
        self._waited = {each for each in self._waited if self._asked[each].check == self._portal}

    def refused(self, number: int, now: float) -> None:
        """Nobody will answer that any more."""
        if number in self._waited:
            self._asked[number].until = now

    def nobody(self, number: int, verdict: Verdict, now: float) -> None:
        """What became of the call to an address that nobody has."""
        if self._asked.pop(number, None) is None:
            return
        self._waited.discard(number)
        self._portal_at = now + PORTAL_EVERY
        self._judge(verdict)
        if verdict is Verdict.PAGE:
            self._fall(now, "a captive portal answers: open a web page there and sign in")

    def _judge(self, verdict: Verdict) -> None:
        """One page tells a portal; that there is none any more, SIGNED_IN rounds."""
        self._pageless = 0 if verdict is Verdict.PAGE else self._pageless + 1
        if self._verdict is not Verdict.PAGE or self._pageless >= SIGNED_IN:
            self._verdict = verdict

    def lost(self, why: str, now: float) -> None:
        """The uplink is not there, or has no carrier."""
        self._forget(now)
        self._fall(now, why)

    def changed(self, now: float) -> None:
        """It is there again, or is another network now: ask at once."""
        self._forget(now)
        self._verdict, self._portal_at = Verdict.SILENT, now

    def _forget(self, now: float) -> None:
        self._asked.clear()
        self._waited.clear()
        self._full = self._heard = False
        self._due_at, self._proofs, self._voided = now, 0, 0

    def _ask_one(self, now: float) -> list[Question]:
        self._turn += 1
        check = self._checks[self._turn % len(self._checks)]
        self._begin(full=False)
        return [self._ask(check, now, max(PATIENCE, 3 * (self.rtt or 0.0))), *self._ask_portal(now)]

    def _ask_all(self, now: float) -> list[Question]:
        self._begin(full=True)
        patience = max(ROUND_PATIENCE, 3 * (self.rtt or 0.0))
        asked = [self._ask(each, now, patience) for each in self._checks]
        return [*asked, *(self._ask_portal(now) if self.state is not State.UP else ())]

    def _ask_portal(self, now: float) -> list[Question]:
        if self._portal is None or (self.state is State.UP and now < self._portal_at):
            return []
        self._portal_at = now + PORTAL_EVERY
        return [self._ask(self._portal, now, ROUND_PATIENCE)]

    def _begin(self, *, full: bool) -> None:
        self._waited, self._full, self._heard = set(), full, False

    def _ask(self, check: Check, now: float, patience: float) -> Question:
        self._numbers += 1
        self._asked[self._numbers] = _Out(check, now, now + min(MOST_PATIENCE, patience))
        self._waited.add(self._numbers)
        while len(self._asked) > REMEMBERED:
            oldest = next(iter(self._asked))
            del self._asked[oldest]
            self._waited.discard(oldest)
        self._due_at = now + self._every
        return Question(self._numbers, check)

    def _end_round(self, now: float) -> None:
        """All that was waited for has been answered, or will not be."""
        full, heard = self._full, self._heard
        if not full and not heard:
            return  # there was none
        self._full = self._heard = False
        self._voided = 0
        if self.state is State.UP:
            if not heard:
                self._fall(now, "no target answers")
            elif now - self._up_at >= CALM:
                self._falls = 0
        elif heard and self._verdict is not Verdict.PAGE:
            self._proofs += 1
            if self._proofs >= self._needed:
                self._rise(now)
        else:
            self._proofs = 0
            if self.state is State.UNTRIED:
                self._fall(now, "no target answers")

    def _rise(self, now: float) -> None:
        self.state, self.why, self._up_at = State.UP, "", now
        self.changes += 1

    def _fall(self, now: float, why: str) -> None:
        self._proofs, self.why = 0, why
        if self.state is State.DOWN:
            return
        self._falls += self.state is State.UP
        self._needed = min(PROOFS << min(max(0, self._falls - 1), 8), MOST_PROOFS) if self._falls else 1
        self.state = State.DOWN
        self.changes += 1


def _in_turn(checks: Sequence[Check]) -> list[Check]:
    """So that each has another target than the one before, and another method, as far as there are any."""
    left, found = list(checks), list[Check]()
    while left:
        last = found[-1] if found else Check("", "")
        best = max(left, key=lambda each: (each.target != last.target) + (each.method != last.method))
        left.remove(best)
        found.append(best)
    return found


LEAST_PEAK = 125_000.0  # bytes a second; less says nothing of what an uplink could carry
STEPS = 8  # the widest of the uplinks gets so many flows in a row
HALF_LIFE = 3600.0  # seconds in which a peak is forgotten by half


class Capacity:
    """The most that one uplink has carried of late, from the kernel's count of what it received."""

    def __init__(self) -> None:
        self.peak = 0.0  # bytes a second
        self._count: int | None = None
        self._at = 0.0

    def add(self, count: int, now: float) -> None:
        """:param count: bytes received since the device is there."""
        before, since, self._count, self._at = self._count, now - self._at, count, now
        if before is None or since <= 0 or count < before:
            return
        self.peak = max(self.peak * 0.5 ** (since / HALF_LIFE), (count - before) / since)


def measured_weights(peaks: Mapping[str, float]) -> dict[str, int]:
    """
    By the most that each has carried, STEPS for the widest and at least 1; all alike until each has carried enough
    to say something.
    """
    if not peaks or min(peaks.values()) < LEAST_PEAK:
        return dict.fromkeys(peaks, 1)
    widest = max(peaks.values())
    return {name: max(1, round(STEPS * peak / widest)) for name, peak in peaks.items()}


def shares(up: Sequence[str], weights: Mapping[str, int], last: Iterable[str]) -> dict[str, int]:
    """
    What each uplink gets of new flows, in parts; nothing where no uplink leads out: then the machine's own routes do.

    :param up: those that lead out.
    :param last: those that are used only if no other is up.
    """
    avoided = set(last)
    first = [name for name in up if name not in avoided]
    return {name: max(1, weights.get(name, 1)) for name in first or up}


def behind_one(seen_at: Mapping[str, str]) -> list[tuple[str, tuple[str, ...]]]:
    """
    Uplinks that the world sees at one address: they share what is behind it, and fall together.

    :param seen_at: the address by uplink; "" where it is not known.
    """
    by_address = dict[str, list[str]]()
    for name, address in seen_at.items():
        if address:
            by_address.setdefault(address, []).append(name)
    return [(address, tuple(names)) for address, names in by_address.items() if len(names) > 1]
