"""The policy as lines of text."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.show import plain
from morphnet.ops.show_policy import policy_lines, published_at
from morphnet.policystatus import PolicyStatus, RefusedStatus


class PolicyTests(SynchronousTestCase):
    def shown(self, *pairs: tuple[str, int], enforced: bool = True) -> list[str]:
        refused = tuple(RefusedStatus(source, "home", "80/tcp", packets) for source, packets in pairs)
        return plain(policy_lines(PolicyStatus(1796000000, 1, enforced, refused))).splitlines()

    def test_lines(self) -> None:
        """Whom most was refused comes first, and of very many pairs not all are shown."""
        self.assertEqual(policy_lines(None), [])
        policy, first, second = self.shown(("phone", 2), ("laptop", 30))
        self.assertIn(f"1 rule, published {published_at(1796000000)}", policy)
        self.assertIn("laptop to home (80/tcp): 30 packets", first)
        self.assertIn("phone to home", second)
        self.assertTrue(self.shown(("tv", 1))[1].endswith(": 1 packet"))
        self.assertIn("and 2 pairs more", self.shown(*((f"m{each}", 1) for each in range(10)))[-1])

    def test_phones(self) -> None:
        """What nftables counted of phones is told without names."""
        lines = plain(policy_lines(PolicyStatus(1796000000, 1, True, (), of_phones=7, for_phones=1))).splitlines()
        self.assertEqual(
            [each.split("refused")[-1].strip() for each in lines[1:]], ["by phones: 7 packets", "to phones: 1 packet"]
        )

    def test_withdrawn(self) -> None:
        """One that is withdrawn is told of as well."""
        (line,) = self.shown(enforced=False)
        self.assertIn("withdrawn 2026-11-30", line)

    def test_any_sequence(self) -> None:
        """Whatever a process says is shown."""
        self.assertTrue(published_at(1 << 63).startswith("9999"))
        self.assertTrue(published_at(-5).startswith("1970"))
