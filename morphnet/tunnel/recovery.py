"""
What is lost on a path: told by what was sent later and has arrived.

A path keeps the order of what it carries, or nearly: a datagram is lost when one that was sent a little later has
arrived. How much later is measured, by what arrives after it was given up.

Source: RFC 8985 (RACK), RFC 9002 section 6.1.2; docs/protocol section 8.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from morphnet.tunnel.flight import Flight
from morphnet.wire.frames import Ack

SHARE, LEAST = 0.125, 0.001  # of the lowest RTT, and seconds: by so much any path may change the order
REMEMBERED = 64  # runs given up that may yet arrive
FORGET = 10.0  # seconds after which a path that changed the order is trusted anew
REPAIRS = 3  # times that a slice is sent again at most, as long as its path works
_MICRO = 1_000_000


class Recovery:
    """Of one path."""

    __slots__ = ("_late", "_late_at", "doubted", "spilt")

    def __init__(self) -> None:
        self.spilt: list[Flight] = []  # given up, and not yet looked at by who may send it again
        self.doubted: deque[Flight] = deque()  # given up of late
        self._late, self._late_at = 0.0, 0.0  # seconds by which one came after a later one, and when that was seen

    def tolerance(self, floor: float, now: float) -> float:
        """
        Seconds by which a later datagram must be later for an earlier one to be lost.

        :param floor: the lowest RTT of late.
        """
        usual = max(LEAST, SHARE * floor)
        return usual if now - self._late_at > FORGET else max(usual, self._late)

    def overtakes(self, now: float) -> bool:
        """Whether one came of late that others had overtaken by more than any path may do."""
        return self._late > 0.0 and now - self._late_at <= FORGET

    def give_up(self, flight: Flight, *, overtaken: bool) -> None:
        """
        It is lost, as it seems.

        :param overtaken: something that was sent after it has arrived. If not, only its end is late, and that may be
            since an end of the path was: what comes of it after all tells nothing of the path.
        """
        flight.overtaken = overtaken
        if flight.run is not None:
            self.spilt.append(flight)
            self.doubted.append(flight)
            if len(self.doubted) > REMEMBERED:
                self.doubted.popleft()

    def learn(self, ack: Ack, took: tuple[float, float], most: float, now: float) -> int:
        """
        What was given up and arrived all the same: the path changes the order by more than was thought.

        :param took: seconds from when the newest that arrived was sent until its Ack came; and by how many an end of
            the path was late: of what an Ack tells after a pause, all came at once as it seems.
        :param most: seconds that are believed at most.
        :returns: bytes of them.
        """
        found = 0
        while self.doubted and now - self.doubted[0].at > 4 * most:
            self.doubted.popleft()
        for flight in self.doubted:
            got = acknowledged(flight, ack.ranges) & flight.missing
            if got:
                flight.missing &= ~got
                found += got.bit_count() * flight.size
                if flight.overtaken:
                    late = 1.25 * (now - sum(took) - flight.at)
                    self._late, self._late_at = min(most, max(self._late, late)), now
        return found


def sent_at(ack: Ack, now: float) -> float:
    """When the newest that `ack` tells of was sent; in the past, whatever it says."""
    return now - ((round(now * _MICRO) - ack.echo) & 0xFFFFFFFF) / _MICRO


def acknowledged(flight: Flight, ranges: Sequence[tuple[int, int]]) -> int:
    """Which of `flight`'s datagrams are within `ranges` (newest first): bit i for the i-th."""
    got, end = 0, flight.first + flight.count - 1
    for first, last in ranges:
        if last < flight.first:
            break
        if first <= flight.first and end <= last:
            return (1 << flight.count) - 1
        low, high = max(first, flight.first), min(last, end)
        if low <= high:
            got |= ((1 << (high - low + 1)) - 1) << (low - flight.first)
    return got
