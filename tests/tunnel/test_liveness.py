"""When a path counts as silent, and for how long one is left alone that fell."""

from __future__ import annotations

from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.carrier import DIRECT, RELAYED, STREAM
from morphnet.tunnel.lateness import PathLateness
from morphnet.tunnel.liveness import (
    ALONE,
    FORGIVEN,
    LAST_PROBE,
    LONG_PROBE,
    LONG_SILENT,
    MOST_SHUNNED,
    NEVER,
    PATIENT_PROBE,
    PROOF_EVERY,
    PROOFS,
    RENEWED,
    SHUNNED,
    STREAMED,
    Liveness,
    State,
)
from morphnet.tunnel.rtt import RttEstimate


class LivenessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rtt, self.lateness = RttEstimate(), PathLateness()
        self.life = Liveness(self.rtt, self.lateness, 0.0)

    def fall(self, at: float) -> float:
        """It is in use, falls silent at that time, and comes back at once: seconds that it is shunned."""
        self.life.enter(State.SILENT, 7, at)
        shunned = self.life.shunned_until - at
        self.life.enter(State.ACTIVE, 7, at)
        return shunned

    def test_usable(self) -> None:
        """Traffic goes by a path that is active or on stand-by, and by no other."""
        for state in State:
            self.life.enter(state, 0, 1.0)
            self.assertEqual(self.life.usable, state in (State.ACTIVE, State.STANDBY))

    def test_entered(self) -> None:
        """A part of its life begins with a probe that is due, nothing answered, and what is sent from then on."""
        life = self.life
        life.probes, life.proofs, life.probe_at = 3, 2, 9.0
        life.enter(State.SILENT, 41, 5.0)
        seen = life.since, life.probes, life.proofs, life.probe_at, life.proof_from
        self.assertEqual(seen, (5.0, 0, 0, 5.0, 41))
        life.enter(State.SILENT, 50, 6.0)
        self.assertEqual((life.since, life.proof_from), (5.0, 41))

    def test_renewed(self) -> None:
        """After a second of silence another connection is shown, once each time, unless the old one is answered."""
        life = self.life
        self.assertFalse(life.renews(99.0))
        for began in (100.0, 200.0):
            life.enter(State.SILENT, 7, began)
            times = (began + RENEWED, began + 1.1 * RENEWED, began + 2 * RENEWED, began + 60)
            self.assertEqual([life.renews(now) for now in times], [False, True, False, False])
            life.enter(State.ACTIVE, 7, began + 60)
        life.enter(State.SILENT, 7, 300.0)
        life.proofs = 1
        self.assertFalse(life.renews(302.0))

    def test_shunned(self) -> None:
        """Each fall soon after the last doubles the time in which it is left alone, up to a bound."""
        shunned = [self.fall(1.0 + step) for step in range(20)]
        self.assertAlmostEqual(shunned[0], 2 * SHUNNED)
        self.assertTrue(all(after >= before for before, after in pairwise(shunned)))
        self.assertAlmostEqual(shunned[-1], MOST_SHUNNED)

    def test_forgiven(self) -> None:
        """After long use, or when the peer was to blame, an old fall does not count."""
        self.fall(1.0)
        self.assertAlmostEqual(self.fall(1.1), 4 * SHUNNED)
        self.assertAlmostEqual(self.fall(1.2 + FORGIVEN), 2 * SHUNNED)
        self.life.forgive()
        self.assertTrue(self.life.rested(0.0))
        self.assertEqual(self.life.falls, 0)

    def test_proofs(self) -> None:
        """One that fell twice is doubtful, and is rested before its time, as its answers in a row say."""
        self.fall(1.0)
        self.assertFalse(self.life.doubtful)
        self.fall(1.1)
        self.life.enter(State.SILENT, 7, 1.2)
        self.assertEqual((self.life.doubtful, self.life.rested(1.3)), (True, False))
        self.life.proofs = PROOFS
        self.assertEqual((self.life.doubtful, self.life.rested(1.3)), (False, True))

    def test_silence(self) -> None:
        """It is waited for a second until its RTT is known, then by that, and longer when an end is late."""
        self.assertEqual(self.life.silence_limit(), 1.0)
        self.rtt.add(0.02, now=0.0)
        known = self.life.silence_limit()
        self.assertLess(known, 0.2)
        self.lateness.known = 0.05
        self.assertAlmostEqual(self.life.silence_limit(), known + 0.1)

    def test_silent_at(self) -> None:
        """The limit after what waits for an Ack, and more for the only path and for one on TCP; else never."""
        self.rtt.add(0.02, now=0.0)
        limit = self.life.silence_limit()
        self.assertEqual(self.life.silent_at(None, DIRECT, alone=True), NEVER)
        self.assertEqual(self.life.silent_at(7.0, DIRECT, alone=False), 7.0 + limit)
        self.assertEqual(self.life.silent_at(7.0, DIRECT, alone=True), 7.0 + ALONE)
        for rank in (STREAM, RELAYED):
            self.assertEqual(self.life.silent_at(7.0, rank, alone=False), 7.0 + STREAMED)
        self.lateness.known = 1.0
        self.assertEqual(self.life.silent_at(7.0, RELAYED, alone=True), 7.0 + self.life.silence_limit())
        self.assertLess(self.life.nudge_at(7.0), self.life.silent_at(7.0, DIRECT, alone=False))

    def probed(self, seconds: float, **flows: bool) -> list[float]:
        """It is probed for so long, and does not answer: seconds between the probes."""
        life, now, waits = self.life, self.life.since, list[float]()
        while now < life.since + seconds:
            life.probed_again(len(waits), -1, now, **flows)
            waits.append(round(life.probe_at - now, 6))
            now = life.probe_at
        return waits

    def test_asked(self) -> None:
        """One that does not answer is asked at once, then ever less often, the least where nothing goes by others."""
        self.life.enter(State.SILENT, 0, 5.0)
        self.life.fell_silent(5.0)
        self.assertEqual(self.life.probe_at, 5.1)
        for flows, last in ((False, PATIENT_PROBE), (True, LONG_PROBE)):
            self.life.enter(State.ACTIVE, 0, 5.0)
            self.life.enter(State.SILENT, 0, 5.0)
            waits = self.probed(LONG_SILENT + 10.0, flows=flows)
            self.assertEqual(waits[:8], [0.1, 0.1, 0.2, 0.2, 0.2, 0.4, 0.4, 0.4])
            self.assertEqual((waits[20], waits[-1]), (LAST_PROBE, last))
            self.assertEqual(sorted(waits), waits)

    def test_answered(self) -> None:
        """One that answers again is asked evenly; a probe without an answer takes back what was proved."""
        self.life.enter(State.SILENT, 0, 5.0)
        self.life.probed_again(10, 3, 5.0, flows=False)
        self.life.proofs = 1
        self.life.probed_again(11, 10, 6.0, flows=False)
        self.assertEqual((self.life.probe_at, self.life.proofs), (6.0 + PROOF_EVERY, 1))
        self.life.probed_again(12, 10, 7.0, flows=False)
        self.assertEqual(self.life.proofs, 0)

    def test_forgotten(self) -> None:
        """A server forgets a path by which nothing has come for a minute."""
        self.assertFalse(self.life.forgotten(5.0, 5.0 + LONG_SILENT))
        self.assertTrue(self.life.forgotten(5.0, 5.1 + LONG_SILENT))
