"""What is not used is forgotten."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.carry.recent import Recent


class RecentTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.forgotten: list[tuple[str, int]] = []
        self.kept = Recent[str, int](2, 10.0, lambda key, value: self.forgotten.append((key, value)))
        self.kept.add("a", 1, 0.0)
        self.kept.add("b", 2, 1.0)

    def test_full(self) -> None:
        """The one unused for longest makes room."""
        self.assertEqual((self.kept.get("a", 2.0), self.kept.get("x", 2.0)), (1, None))
        self.kept.add("c", 3, 3.0)
        self.assertEqual((self.forgotten, list(self.kept)), ([("b", 2)], ["a", "c"]))

    def test_idle(self) -> None:
        """Those that were idle go, those that were used stay."""
        self.kept.get("a", 9.0)
        self.kept.sweep(11.0)
        self.assertEqual((self.forgotten, len(self.kept)), ([("b", 2)], 1))
