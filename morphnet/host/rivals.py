"""
Who else changes what we have set on this machine: how often, since when, and how soon we may set it again.

A rival that undoes us at once, in a loop, must not make a loop of us: what was set again BURST times within a minute
waits, twice as long each time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

BURST = 6  # times within WINDOW that a thing is set again at once
WINDOW = 60.0  # seconds
LONGEST_REST = 30.0  # seconds until the next attempt, at most: as long as between two looks that nobody asked for
REMEMBERED = 3600.0  # seconds that a rival who has gone quiet is spoken of


@dataclass(slots=True)
class Rival:
    """What somebody does to one kind of thing."""

    since: float  # Unix seconds at which it began
    last_at: float  # the caller's clock, seconds
    count: int = 0  # times that it was set again
    by: str = ""  # the program that did it last, if anybody knows
    error: str = ""  # why it could not be set again the last time
    rest: float = 0.0  # seconds to leave it alone after `last_at`
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=BURST + 1))  # when it was set again


class Rivals:
    """By label, see `Change.label`."""

    def __init__(self) -> None:
        self._known: dict[str, Rival] = {}

    def met(self, label: str, now: float, wall: float, by: str = "", error: str = "") -> None:
        """
        Somebody took this away, and it was set again; or, with an `error`, it could not be.

        :param wall: Unix seconds, for people.
        :param by: a program.
        """
        rival = self._known.get(label)
        if rival is None or now - rival.last_at > REMEMBERED:
            rival = self._known[label] = Rival(since=wall, last_at=now)
        if now - rival.last_at > WINDOW + rival.rest:
            rival.rest = 0.0
            rival.recent.clear()
        rival.count, rival.last_at, rival.by, rival.error = rival.count + 1, now, by or rival.by, error
        rival.recent.append(now)
        if rival.rest or (len(rival.recent) > BURST and now - rival.recent[0] < WINDOW):
            rival.rest = min(LONGEST_REST, max(1.0, 2 * rival.rest))

    def rests(self, label: str, now: float) -> bool:
        """Whether this shall be left as it is for now."""
        rival = self._known.get(label)
        return rival is not None and now < rival.last_at + rival.rest

    def rest_ends(self, now: float) -> float | None:
        """When the first of those that rest may be set again; None if none does."""
        ends = [each.last_at + each.rest for each in self._known.values()]
        return min((end for end in ends if end > now), default=None)

    def known(self, now: float) -> dict[str, Rival]:
        """Those that were met lately, by label."""
        self._known = {label: each for label, each in self._known.items() if now - each.last_at <= REMEMBERED}
        return dict(self._known)
