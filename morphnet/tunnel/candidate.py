"""
Where a path may have moved to.

Source: docs/protocol section 8; RFC 9000 section 9.
"""

from __future__ import annotations

from collections.abc import Callable

from morphnet.tunnel.validation import AMPLIFICATION
from morphnet.wire.batch import Arrival, Train
from morphnet.wire.frames import TOKEN
from morphnet.wire.header import Header

RECHALLENGE = 0.1  # seconds between challenges to an address that sends on


class Candidate:
    """An address from which authentic datagrams of a path came, and that has not proved itself yet."""

    __slots__ = ("allowance", "challenged_at", "shown", "token", "way")

    def __init__(self, arrival: Arrival, token: bytes) -> None:
        self.way = arrival.door, arrival.source
        self.token = token
        self.shown = b""  # the issued id that came from there; nobody on the old way shall see it
        self.allowance = 0  # bytes
        self.challenged_at = float("-inf")

    def due(self, size: int, now: float) -> bool:
        """Whether a challenge of so many bytes may go there now."""
        return now - self.challenged_at >= RECHALLENGE and self.allowance >= size


class Candidates:
    """At most one for each path: the latest."""

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._by_path: dict[int, Candidate] = {}

    def heard(self, header: Header, train: Train, *, newest: bool) -> Candidate | None:
        """
        Authentic datagrams of a path came from elsewhere: that address, unless they are old news.

        :param newest: none with a higher number came before. One that was held back, or captured, says nothing about
            where the peer is.
        """
        arrival, candidate = train.arrival, self._by_path.get(header.path)
        if candidate is None or candidate.way != (arrival.door, arrival.source):
            if not newest:
                return None
            candidate = self._by_path[header.path] = Candidate(arrival, self._entropy(TOKEN))
        if newest:
            candidate.shown = header.issued
        candidate.allowance += AMPLIFICATION * (train.end - train.at)
        return candidate

    def proved(self, path_id: int, token: bytes, arrival: Arrival) -> Candidate | None:
        """A token came back from there: the candidate that it proves, which is none any more."""
        candidate = self._by_path.get(path_id)
        if candidate is None or token != candidate.token or (arrival.door, arrival.source) != candidate.way:
            return None
        return self._by_path.pop(path_id)
