"""When a path counts as silent, and for how long one is left alone that fell."""

from __future__ import annotations

from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.lateness import PathLateness
from morphnet.tunnel.liveness import FORGIVEN, MOST_SHUNNED, PROOFS, SHUNNED, Liveness, State
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
