"""What becomes of a packet in chains of which not everything is known."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.verdicts import MOST_JUMPS, Step, judge

ACCEPT, DROP, RETURN = Step(True, "accept"), Step(True, "drop"), Step(True, "return")
PERHAPS_ACCEPT, PERHAPS_DROP, NOT_ACCEPT = Step(None, "accept"), Step(None, "drop"), Step(False, "accept")


class JudgeTests(SynchronousTestCase):
    def judged(self, *steps: Step, policy: str = "drop", **chains: list[Step]) -> str:
        return judge({"base": list(steps), **chains}.__getitem__, "base", policy)

    def test_certain(self) -> None:
        """The first rule that matches decides; then the policy does."""
        self.assertEqual(self.judged(), "drop")
        self.assertEqual(self.judged(policy="accept"), "accept")
        self.assertEqual(self.judged(NOT_ACCEPT, Step(True, ""), DROP, ACCEPT, policy="accept"), "drop")
        self.assertEqual(self.judged(ACCEPT, DROP), "accept")
        self.assertEqual(self.judged(RETURN, ACCEPT), "drop")

    def test_perhaps(self) -> None:
        """What may have been accepted is not surely dropped, nor the reverse; what agrees changes nothing."""
        self.assertEqual(self.judged(PERHAPS_ACCEPT), "")
        self.assertEqual(self.judged(PERHAPS_DROP), "drop")
        self.assertEqual(self.judged(PERHAPS_DROP, ACCEPT), "")
        self.assertEqual(self.judged(PERHAPS_ACCEPT, ACCEPT), "accept")
        self.assertEqual(self.judged(DROP, PERHAPS_ACCEPT), "drop")

    def test_chains(self) -> None:
        """A jump comes back where nothing was decided, what goes to another chain does not."""
        jump, goto = Step(True, "jump", "other"), Step(True, "goto", "other")
        self.assertEqual(self.judged(jump, other=[ACCEPT]), "accept")
        self.assertEqual(self.judged(jump, ACCEPT, other=[RETURN, DROP]), "accept")
        self.assertEqual(self.judged(goto, ACCEPT, other=[]), "drop")
        self.assertEqual(self.judged(Step(None, "jump", "other"), other=[ACCEPT]), "")
        self.assertEqual(self.judged(Step(None, "jump", "other"), other=[RETURN, ACCEPT]), "drop")

    def test_circle(self) -> None:
        """Chains without end end."""
        self.assertEqual(self.judged(Step(True, "jump", "base")), "drop")
        self.assertGreater(MOST_JUMPS, 8)
