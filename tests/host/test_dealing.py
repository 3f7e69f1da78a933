"""The table that deals out flows, as text of its parts; what the kernel makes of it is in tests/lab/test_balance.py."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host import nft
from morphnet.host.dealing import NAME, DealingTable, pin
from morphnet.host.journal import decode_journal, encode_change
from morphnet.host.look import Look
from tests.host.fake_kernel import FakeKernel

TABLE = DealingTable(("wan0", "wan1"), (7301, 7302), (3, 1), (0, 1), (pin(7302, 4, "tcp 25"),))


def rules(table: DealingTable, chain: str) -> int:
    """How many there are."""
    return sum(part[:2] == ("rule", chain) for part in table.outline())


class DealingTests(SynchronousTestCase):
    def test_rules(self) -> None:
        """A rule for each uplink that gets a part, and for each policy where it can hold."""
        self.assertEqual((rules(TABLE, "deal4"), rules(TABLE, "deal6")), (3, 1))
        self.assertEqual((rules(TABLE, "stay"), rules(TABLE, "nat")), (2, 2))
        self.assertEqual(rules(TABLE, "arrive"), 2 + 2 + 1)
        of_users = DealingTable(("wan0",), (7301,), (1,), (1,), (pin(7301, 4, "user 0"),))
        self.assertEqual((rules(of_users, "arrive"), rules(of_users, "deal4")), (2, 2))

    def test_turns(self) -> None:
        """The first of three to one is asked with `3 of 4`, the last takes what is left."""
        made = b"".join(TABLE.made())
        self.assertIn(nft.in_turn(3, 4), made)
        self.assertNotIn(nft.in_turn(1, 1), made)

    def test_stands(self) -> None:
        """It stands as long as nobody changes it, and is undone whole."""
        kernel = FakeKernel()
        TABLE.apply(kernel)
        self.assertTrue(TABLE.stands(Look(kernel)))
        kernel.tables.pop()
        self.assertFalse(TABLE.stands(Look(kernel)))
        TABLE.undo(kernel)
        self.assertEqual(kernel.nft_outline(NAME), ())

    def test_journal(self) -> None:
        """It comes out of the journal as it went in."""
        _, (entry,) = decode_journal(encode_change(1, TABLE), {DealingTable.kind: DealingTable})
        self.assertEqual(entry.change, TABLE)
