"""A table of ours in nftables."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.answers import AnswersTable
from morphnet.host.look import Look
from morphnet.host.nat import NftTable
from tests.host.fake_kernel import FakeKernel


class OwnTableTests(SynchronousTestCase):
    def test_each_its_own(self) -> None:
        """Each kind has a table of its own for each TUN, so that neither is taken for, or replaces, another one."""
        made = [
            table
            for tun in ("morph0", "morph1")
            for table in (NftTable(tun, own=("10.73.0.2",)), AnswersTable(tun, ("wan",), (1,)))
        ]
        self.assertEqual(len({(table.kind, table.place) for table in made}), 4)
        self.assertEqual(len({table.name for table in made}), 4)
        for table in made:
            kernel = FakeKernel()
            table.apply(kernel)
            self.assertEqual([other for other in made if other.stands(Look(kernel))], [table])
            self.assertIs(table.prepared(kernel), table)
