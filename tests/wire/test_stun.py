"""What a STUN server says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire import stun

REQUEST = bytes.fromhex("000100002112a442" + "b7e7a701bc34d686fa87dfae")


class StunTests(SynchronousTestCase):
    def test_vectors(self) -> None:
        """The attributes of RFC 5769 sections 2.2 and 2.3."""
        four = stun.answer(REQUEST, "192.0.2.1", 32853)
        six = stun.answer(REQUEST, "2001:db8:1234:5678:11:2233:4455:6677", 32853)
        assert four is not None and six is not None
        self.assertEqual(four[20:].hex(), "002000080001a147e112a643")
        self.assertEqual(six[20:].hex(), "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9")
        self.assertEqual(four[:20].hex(), "0101000c" + REQUEST[4:].hex())

    def test_others(self) -> None:
        """What is no Binding request gets no answer."""
        for other in (
            b"",
            REQUEST[:-1],
            b"\x01\x01" + REQUEST[2:],
            REQUEST + b"1234",
            b"\x00\x01\x00\x04" + REQUEST[4:],
        ):
            self.assertIsNone(stun.answer(other, "192.0.2.1", 1))

    @given(st.binary(max_size=64))
    def test_garbage(self, garbage: bytes) -> None:
        """Nothing comes of it."""
        self.assertIsNone(stun.answer(garbage, "::1", 1))
