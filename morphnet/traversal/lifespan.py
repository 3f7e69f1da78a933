"""
How long the NAT on one uplink keeps a socket's mapping, however it is used: learned from those that have ended.

Most NATs keep a mapping while it is used (RFC 4787 section 4.3); some end each after a fixed time (figure C5).

Pure. Times are seconds on any one clock.
"""

from __future__ import annotations

from morphnet.wire.batch import Endpoint

SHORTEST, LONGEST = 10.0, 7200.0  # seconds: ages at which an end is one of that kind
ALIKE = 0.2  # of the longer one: two ages that differ by less are a rule
IN_TIME = 0.7  # of the life span, after which there should be another socket


class Lifespan:
    """Of the mappings on one uplink, which has one socket after the other."""

    def __init__(self) -> None:
        self.seconds: float | None = None  # None until it is known that there is one
        self._seen: Endpoint | None = None
        self._began = 0.0
        self._age: float | None = None  # of the mapping that ended last

    def opened(self, now: float) -> None:
        """There is a new socket: its mapping begins with what it sends."""
        self._seen, self._began = None, now

    def seen_as(self, seen: Endpoint, now: float) -> None:
        """A relay sees the socket there. If that is elsewhere than before, the mapping has ended, and another begun."""
        before, self._seen = self._seen, seen
        if before is None or before == seen:
            return
        age, self._began = now - self._began, now
        if age < SHORTEST:
            return  # not an end: another relay that sees us elsewhere, or a network that is not settled
        known, self._age = self._age, age if age <= LONGEST else None
        if known is not None and self._age is not None and abs(known - age) <= ALIKE * max(known, age):
            self.seconds = min(known, age)

    def due_at(self) -> float:
        """When there should be another socket; infinity while none is needed."""
        return self._began + IN_TIME * self.seconds if self.seconds is not None else float("inf")
