"""The tables of verbs."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops import verbs
from tests.ops.fakes import FakeNode
from tests.ops.tables import assert_fit


class TableTests(SynchronousTestCase):
    tables = (verbs.of_sessions(FakeNode()) + verbs.of_peers(FakeNode()), verbs.of_a_relay(FakeNode()))

    def test_fit(self) -> None:
        """No two have one name; each one's fields are what its call takes; and it says what it does."""
        for table in self.tables:
            assert_fit(self, table)
