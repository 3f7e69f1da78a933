"""Whose addresses are, as a message."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.wire.messages.access import MOST_HOLDERS, Holders
from morphnet.wire.messages.control import LIMIT, decode, encode


class HoldersTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """As many as one message may have, with the longest names, fit into one."""
        address = "fdff:ffff:ffff:ffff:ffff:ffff:ffff:fff1"
        for said in (Holders(), Holders((f"{address} {'x' * 253}",) * MOST_HOLDERS, more=True)):
            encoded = encode(said)
            self.assertEqual((decode(encoded[4:]), len(encoded) <= LIMIT), (said, True))

    def test_malformed(self) -> None:
        """An address and a name, nothing else."""
        for each in ("10.73.0.2", "10.73.0 laptop", "10.73.0.2 lap top", " laptop", "10.73.0.2/32 laptop"):
            text = f'{{"type": "holders", "holders": ["{each}"]}}'
            self.assertRaises(MalformedFrame, decode, text.encode())
