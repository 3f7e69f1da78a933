"""
Whether a path is alive, or dead: when one that does not answer counts as silent, how often it is asked then, when it is
forgotten, and how long one is left alone that fell.

Source: docs/protocol section 7.
"""

from __future__ import annotations

from enum import StrEnum

from morphnet.tunnel.carrier import DIRECT
from morphnet.tunnel.lateness import PathLateness
from morphnet.tunnel.rtt import RttEstimate

ALONE = 0.5  # seconds without a word by the only path there is: the peer may be late, and there is no other to use
STREAMED = 0.5  # by one on TCP, which waits 0.2 s and a round trip before it sends again what was lost at the end
NUDGE = 0.45  # share of the silence limit after which a lonely packet gets a probe behind it
FIRST_PROBE = 0.1  # seconds between the first probes of a silent path; then doubling
LAST_PROBE = 1.0  # up to this
PROOF_EVERY = 0.2  # seconds, and 1.5 RTT, between those of one that answers, while it is left alone all the same
LONG_PROBE, PATIENT_PROBE = 2.0, 3.0  # and this, when it has been silent for long: under traffic, and without
LONG_SILENT = 60.0  # seconds; a server forgets such a path
NEVER = float("inf")
SHUNNED, MOST_SHUNNED = 0.05, 20.0  # seconds, doubled with each fall, that a path is not used after it
PROOFS = 8  # probes in a row that were answered: it is in use again
RENEWED = 1.0  # seconds of silence after which another connection is shown to who may have forgotten the old one
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
        self.renewed = False  # whether that was done in this silence
        self.rhythm = 1.0  # share of the usual time after which it shows next that it is there
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
            self.probes, self.probe_at, self.proofs, self.renewed = 0, now, 0, False
            self.proof_from = number

    def _fell(self, now: float) -> None:
        """It fell silent: the sooner again, the longer it is left alone while others work."""
        self.falls = 1 if now - self.since > FORGIVEN else self.falls + 1
        self.shunned_until = now + min(MOST_SHUNNED, SHUNNED * 2 ** min(self.falls, 16))

    def forgive(self) -> None:
        """The peer was silent, not the way to it; or the way is another one now."""
        self.falls, self.shunned_until = 0, float("-inf")

    @property
    def doubtful(self) -> bool:
        """Whether it fell silent more than once of late: it must show that it loses little before it is used again."""
        return self.falls > 1 and self.proofs < PROOFS

    def rested(self, now: float) -> bool:
        """Whether it has been left alone for long enough since it fell silent, or has answered for a while."""
        return now >= self.shunned_until or self.proofs >= PROOFS

    # -- one that does not answer ------------------------------------------------------------------------------------

    def silence_limit(self) -> float:
        """Seconds without news, with something in flight, until it counts as silent: below max(3 RTT, 200 ms), A2."""
        rtt = self._rtt
        if rtt.smoothed is None:
            return 1.0
        likely = 1.5 * rtt.smoothed + 4 * rtt.variation + 0.05
        return min(max(likely, 0.1), max(0.17, 2.5 * rtt.smoothed)) + 2 * self._lateness.known

    def silent_at(self, unanswered_at: float | None, rank: int, alone: bool) -> float:
        """
        When it counts as silent, and is used no more: later when it is the only one, for then the peer may be late, and
        nothing is gained; and when it is on TCP, which mends itself.

        :param unanswered_at: since when something waits for an Ack; None when nothing does.
        :param rank: of what carries it.
        :param alone: whether the session has no other path.

        Source: for TCP's least timeout, TCP_RTO_MIN in Linux, include/net/tcp.h; RFC 6298 section 2.
        """
        if unanswered_at is None:
            return NEVER
        limit = self.silence_limit()
        if rank != DIRECT and limit < STREAMED:
            limit = STREAMED
        if alone and limit < ALONE:
            limit = ALONE
        return unanswered_at + limit

    def nudge_at(self, unanswered_at: float) -> float:
        """When a packet without an answer gets a probe behind it, so that one lost packet is no silence."""
        return unanswered_at + NUDGE * self.silence_limit()

    def fell_silent(self, now: float) -> None:
        """It has just been probed for the first time since."""
        self.probe_at = now + FIRST_PROBE

    def probed_again(self, number: int, acked: int, now: float, *, flows: bool) -> None:
        """
        A probe was sent while it does not answer: the next one comes ever later, for as long as the path exists.

        :param number: of the probe's packet.
        :param acked: the highest number that the peer has seen.
        :param flows: whether traffic goes by another path.
        """
        if acked < self.probed:
            self.proofs = 0
        self.probes, self.probed = self.probes + 1, number
        if self.proofs:  # it answers again: for good?
            self.probe_at = now + max(PROOF_EVERY, 1.5 * (self._rtt.smoothed or 0.0))
        elif now - self.since > LONG_SILENT:
            self.probe_at = now + (LONG_PROBE if flows else PATIENT_PROBE)
        else:
            self.probe_at = now + min(LAST_PROBE, FIRST_PROBE * 2 ** min(self.probes // 3, 8))

    def renews(self, now: float) -> bool:
        """Whether it is time for another connection: once in each silence, while no probe was answered."""
        due = self.state is State.SILENT and not (self.renewed or self.proofs) and now - self.since > RENEWED
        self.renewed = self.renewed or due
        return due

    @staticmethod
    def forgotten(heard_at: float, now: float) -> bool:
        """Whether nothing has come by it, since `heard_at`, for so long that a server forgets it."""
        return now - heard_at > LONG_SILENT
