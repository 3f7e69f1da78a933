"""
Whether a path is alive: its state, the probes of one that does not answer, and how long one is left alone that fell.

Source: docs/protocol section 7.
"""

from __future__ import annotations

from enum import StrEnum

from morphnet.tunnel.lateness import PathLateness
from morphnet.tunnel.rtt import RttEstimate

SHUNNED, MOST_SHUNNED = 0.05, 20.0  # seconds, doubled with each fall, that a path is not used after it
PROOFS = 8  # probes in a row that were answered: it is in use again
FORGIVEN = 30.0  # seconds of use after which its falls are forgotten


class State(StrEnum):
    """Where a path is in its life."""

    PROBING = "probing"  # not proved yet: probes only, and answers
    ACTIVE = "active"
    STANDBY = "standby"  # works, but loses too much: others carry the traffic
    SILENT = "silent"  # nothing comes back
    CLOSED = "closed"


class Liveness:
    """Of one path."""

    def __init__(self, rtt: RttEstimate, lateness: PathLateness, now: float) -> None:
        """
        :param rtt: the path's, and `lateness` that of its two ends: they say how long an answer may take.
        """
        self._rtt, self._lateness = rtt, lateness
        self.state, self.since = State.PROBING, now
        self.probe_at, self.probed = now, -1  # the next probe; the packet number of the last
        self.probes = self.proofs = 0  # unanswered, while silent or probing; answered in a row
        self.proof_from = 0  # packet number from which an Ack proves that a silent path lives again
        self.falls = 0  # times that it fell silent soon after it had come back
        self.shunned_until = now  # a silent path is not used before, unless there is no other
        self.nudged_at: float | None = None  # the `unanswered_at` for which a probe was sent already

    @property
    def usable(self) -> bool:
        """Whether traffic may be given to it."""
        return self.state is State.ACTIVE or self.state is State.STANDBY

    def enter(self, state: State, number: int, now: float) -> None:
        """
        Begin another part of its life.

        :param number: of the next packet that is sent.
        """
        if state is not self.state:
            if state is State.SILENT:
                self._fell(now)
            self.state, self.since = state, now
            self.probes, self.probe_at, self.proofs = 0, now, 0
            self.proof_from = number

    def _fell(self, now: float) -> None:
        """It fell silent: the sooner again, the longer it is left alone while others work."""
        self.falls = 1 if now - self.since > FORGIVEN else self.falls + 1
        self.shunned_until = now + min(MOST_SHUNNED, SHUNNED * 2 ** min(self.falls, 16))

    def forgive(self) -> None:
        """The peer was silent, not the way to it."""
        self.falls, self.shunned_until = 0, float("-inf")

    @property
    def doubtful(self) -> bool:
        """Whether it fell silent more than once of late: it must show that it loses little before it is used again."""
        return self.falls > 1 and self.proofs < PROOFS

    def rested(self, now: float) -> bool:
        """Whether it has been left alone for long enough since it fell silent, or has answered for a while."""
        return now >= self.shunned_until or self.proofs >= PROOFS

    def silence_limit(self) -> float:
        """Seconds without news, with something in flight, until it counts as silent: below max(3 RTT, 200 ms), A2."""
        rtt = self._rtt
        if rtt.smoothed is None:
            return 1.0
        likely = 1.5 * rtt.smoothed + 4 * rtt.variation + 0.05
        return min(max(likely, 0.1), max(0.17, 2.5 * rtt.smoothed)) + 2 * self._lateness.known
