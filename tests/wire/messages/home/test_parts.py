"""What is inside sealed datagrams of a home."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.wire.messages.home.datagrams import LONGEST, SEALED_OVERHEAD
from morphnet.wire.messages.home.parts import MOST_PARTS, PIECE, Bye, Got, Item, Part, Ping, Pong, cut, decode, encode


class PartTests(SynchronousTestCase):
    def test_bytes(self) -> None:
        """Each of them, byte for byte."""
        ours: dict[Item, str] = {
            Ping(1): "0100000001",
            Pong(2): "0200000002",
            Part(3, 1, 2, b"x"): "0300000003010278",
            Got(3, 1): "040000000301",
            Bye(): "05",
        }
        for item, text in ours.items():
            self.assertEqual(encode(item).hex(), text)
            self.assertEqual(decode(bytes.fromhex(text)), item)

    @given(st.binary(max_size=4 * PIECE))
    def test_cut(self, body: bytes) -> None:
        """The parts are the message, and each fits into a datagram."""
        cuts = cut(9, body)
        self.assertEqual(b"".join(part.piece for part in cuts), body)
        self.assertEqual([part.at for part in cuts], list(range(len(cuts))))
        self.assertTrue(all(len(encode(part)) + SEALED_OVERHEAD <= LONGEST for part in cuts))

    def test_too_long(self) -> None:
        """What would be more parts than there may be is refused."""
        self.assertRaises(ValueError, cut, 1, bytes(MOST_PARTS * PIECE + 1))

    @given(st.binary(max_size=20))
    def test_garbage(self, garbage: bytes) -> None:
        """It is parsed, and gives the same bytes, or it is refused."""
        try:
            item = decode(garbage)
        except MalformedFrame:
            return
        self.assertEqual(encode(item), garbage)
