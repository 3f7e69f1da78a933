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
CHALLENGES = 4  # for one path in that time, to however many addresses


class Migration:
    """A path's move to an address from which authentic datagrams of it came, and that has not proved itself yet."""

    __slots__ = ("allowance", "challenged_at", "shown", "token", "way")

    def __init__(self, arrival: Arrival, token: bytes) -> None:
        self.way = arrival.door, arrival.source
        self.token = token
        self.shown = b""  # the issued id that came from there; nobody on the old way shall see it
        self.allowance = 0  # bytes
        self.challenged_at = float("-inf")


class Migrations:
    """At most one for each path: the latest."""

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._by_path: dict[int, Migration] = {}
        self._challenged: dict[int, list[float]] = {}  # when each path's addresses were, within RECHALLENGE

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
        migration.allowance += AMPLIFICATION * train.came
        return migration

    def challenge(self, path_id: int, size: int, now: float) -> bool:
        """Whether the path's migration is challenged now, with so many bytes: neither it nor the path too often."""
        migration = self._by_path[path_id]
        if now - migration.challenged_at < RECHALLENGE or migration.allowance < size:
            return False
        recent = [at for at in self._challenged.get(path_id, ()) if now - at < RECHALLENGE]
        self._challenged[path_id] = recent
        if len(recent) >= CHALLENGES:
            return False
        recent.append(now)
        migration.challenged_at = now
        return True

    def proved(self, path_id: int, token: bytes, arrival: Arrival) -> Migration | None:
        """A token came back from there: the migration that it proves, which is over."""
        migration = self._by_path.get(path_id)
        if migration is None or token != migration.token or (arrival.door, arrival.source) != migration.way:
            return None
        return self._by_path.pop(path_id)
