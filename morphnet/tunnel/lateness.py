"""
How late the two ends of a path are, because their processes had to wait for a processor: no fault of the path.

Three waits are known. A datagram waited with the kernel until it was read (the door tells by the kernel's timestamp); a
timer fired late; and a turn took long, so that what it sent left later than the time that was stamped on it. How late
the peer is, it says in its Acks.

Source: docs/protocol sections 5 and 8.
"""

from __future__ import annotations

from morphnet.tunnel import ackdebt

GRAIN = 0.001  # seconds that nobody counts
SPAN = 0.5  # seconds for which the worst is remembered
MOST = 0.25  # seconds: who is later than that is asleep, and cannot be waited for
TURNS = 256  # long turns that are remembered

_MICRO = 1_000_000


class Peak:
    """The most of what was told of late, in seconds."""

    def __init__(self) -> None:
        self.most, self._at = 0.0, float("-inf")

    def add(self, late: float, now: float) -> None:
        """So late was somebody now; what is more than MOST counts as that."""
        if late >= self.most or now - self._at > SPAN:
            self.most, self._at = min(late, MOST), now

    def recent(self, now: float) -> float:
        """Seconds."""
        return self.most if now - self._at <= SPAN else 0.0


class Lateness:
    """That of this process."""

    def __init__(self) -> None:
        self.peak = Peak()
        self._turns: dict[int, float] = {}  # send time as datagrams carry it -> seconds that its turn took

    def woke(self, late: float, now: float) -> None:
        """What is done now was due `late` seconds ago."""
        if late > GRAIN:
            self.peak.add(late, now)

    def turned(self, began: float, ended: float) -> None:
        """What was sent with the time `began` left until `ended`."""
        took = ended - began
        if took > GRAIN:
            self.peak.add(took, ended)
            if len(self._turns) >= TURNS:
                del self._turns[next(iter(self._turns))]
            self._turns[round(began * _MICRO) & 0xFFFFFFFF] = took

    def sending(self, sent_at: int) -> float:
        """Seconds by which what carries this send time (microseconds mod 2**32) may have left later."""
        return self._turns.get(sent_at, 0.0) if self._turns else 0.0

    def recent(self, now: float) -> float:
        """The most of late, in seconds."""
        return self.peak.recent(now)


class PathLateness:
    """That of both ends."""

    def __init__(self, own: Lateness | None = None) -> None:
        self.own = own or Lateness()
        self.pause = self.known = 0.0  # seconds, as the last Ack found us, and both ends together
        self.extra = 0.0  # bytes that are in flight more than fills the path, while an end is late
        self._peer = Peak()

    def answered(self, delay: int, now: float) -> None:
        """The peer says that its Ack waited `delay` microseconds, which is at most ackdebt.DELAY when it is in time."""
        late = delay / _MICRO - ackdebt.DELAY
        if late > GRAIN:
            self._peer.add(late, now)
        if self.own.peak.most or self._peer.most:
            self.pause = self.own.peak.recent(now)
            self.known = self.pause + self._peer.recent(now)

    def peers(self, now: float) -> float:
        """Seconds by which the peer was late of late, at most."""
        return self._peer.recent(now)

    def both(self, now: float) -> float:
        """Seconds that a round trip may take longer because neither end runs all the time."""
        return self.own.recent(now) + self._peer.recent(now)
