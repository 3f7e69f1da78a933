"""Carried datagrams."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.wire.carried import MOST, Carried, alike, decode_carried, encode_carried

U16 = st.integers(0, 0xFFFF)


class CarriedTests(SynchronousTestCase):
    @given(st.builds(Carried, U16, U16, st.binary(max_size=2000)))
    def test_round_trip(self, carried: Carried) -> None:
        """What is encoded is decoded again."""
        self.assertEqual(decode_carried(encode_carried(carried)), carried)

    def test_known(self) -> None:
        """As docs/protocol says it."""
        self.assertEqual(encode_carried(Carried(1, 0x0203, b"wg")), bytes.fromhex("00010203") + b"wg")

    def test_alike(self) -> None:
        """What follows one another and is of one program is together, whole and in its order."""
        told = [("a", 1, b"x"), ("a", 1, b""), ("a", 2, b"y"), ("b", 2, b"z"), ("b", 2, b"w"), ("a", 1, b"v")]
        batch = [(peer, Carried(7, local, data)) for peer, local, data in told]
        found = [(peer, which[1], datagrams) for (peer, which), datagrams in alike(batch)]
        self.assertEqual(found, [("a", 1, [b"x", b""]), ("a", 2, [b"y"]), ("b", 2, [b"z", b"w"]), ("a", 1, [b"v"])])
        self.assertEqual(list(alike([])), [])

    def test_malformed(self) -> None:
        """What has no head, or is longer than any datagram, is none."""
        for wrong in (b"", b"123", bytes(4 + MOST + 1)):
            self.assertRaises(MalformedFrame, decode_carried, wrong)
        self.assertEqual(len(decode_carried(bytes(4 + MOST)).data), MOST)
