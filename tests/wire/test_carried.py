"""Carried datagrams."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.wire.carried import MOST, Carried, decode_carried, encode_carried

U16 = st.integers(0, 0xFFFF)


class CarriedTests(SynchronousTestCase):
    @given(st.builds(Carried, U16, U16, st.binary(max_size=2000)))
    def test_round_trip(self, carried: Carried) -> None:
        """What is encoded is decoded again."""
        self.assertEqual(decode_carried(encode_carried(carried)), carried)

    def test_known(self) -> None:
        """As docs/protocol says it."""
        self.assertEqual(encode_carried(Carried(1, 0x0203, b"wg")), bytes.fromhex("00010203") + b"wg")

    def test_malformed(self) -> None:
        """What has no head, or is longer than any datagram, is none."""
        for wrong in (b"", b"123", bytes(4 + MOST + 1)):
            self.assertRaises(MalformedFrame, decode_carried, wrong)
        self.assertEqual(len(decode_carried(bytes(4 + MOST)).data), MOST)
