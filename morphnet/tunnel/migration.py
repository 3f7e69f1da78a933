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


class Migration:
    """A path's move to an address from which authentic datagrams of it came, and that has not proved itself yet."""

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


class Migrations:
    """At most one for each path: the latest."""

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._by_path: dict[int, Migration] = {}

    def heard(self, header: Header, train: Train, *, newest: bool) -> Migration | None:
        """
        Authentic datagrams of a path came from elsewhere: that address, unless they are old news.

        :param newest: none with a higher number came before. One that was held back, or captured, says nothing about
            where the peer is.
        """
        arrival, migration = train.arrival, self._by_path.get(header.path)
        if migration is None or migration.way != (arrival.door, arrival.source):
            if not newest:
                return None
            migration = self._by_path[header.path] = Migration(arrival, self._entropy(TOKEN))
        if newest:
            migration.shown = header.issued
        migration.allowance += AMPLIFICATION * (train.end - train.at)
        return migration

    def proved(self, path_id: int, token: bytes, arrival: Arrival) -> Migration | None:
        """A token came back from there: the migration that it proves, which is over."""
        migration = self._by_path.get(path_id)
        if migration is None or token != migration.token or (arrival.door, arrival.source) != migration.way:
            return None
        return self._by_path.pop(path_id)
