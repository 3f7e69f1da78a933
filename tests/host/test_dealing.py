"""The table that deals out flows, as text of its parts; what the kernel makes of it is in tests/lab/test_balance.py."""

from __future__ import annotations

import struct

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host import nft
from morphnet.host.dealing import CAME_IN, NAME, DealingTable, pin
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
        self.assertEqual(rules(TABLE, "arrive"), 4 + 4 + 1)
        of_users = DealingTable(("wan0",), (7301,), (1,), (1,), (pin(7301, 4, "user 0"),))
        self.assertEqual((rules(of_users, "arrive"), rules(of_users, "deal4")), (4, 2))

    def test_came_in(self) -> None:
        """What begins at an uplink gets the number of those that came in, before the other could be given."""
        made = TABLE.made()
        numbers = [nft.mark_connection(struct.pack("=I", each)) for each in (7301 | CAME_IN, 7301)]
        places = [next(at for at, rule in enumerate(made) if number in rule) for number in numbers]
        self.assertEqual(places, sorted(places))
        self.assertIn(nft.connection(nft.DIRECTION, nft.ORIGINAL), made[places[0]])
        back = nft.mark_packet(struct.pack("=I", 7301 | CAME_IN))
        self.assertEqual(sum(back in rule for rule in made), 2)

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
