"""What a browser and a home say over a data channel."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.wire.messages.home.frames import (
    LONGEST,
    Ack,
    Frame,
    Item,
    Kind,
    Ping,
    Pong,
    Resume,
    credit,
    credited,
    decode,
    encode,
)


class FrameTests(SynchronousTestCase):
    def test_bytes(self) -> None:
        """Each of them, byte for byte."""
        ours: dict[Frame, str] = {
            Resume(1): "010000000000000001",
            Ack(2): "020000000000000002",
            Ping(3): "040000000000000003",
            Pong(4): "050000000000000004",
            Item(5, 6, Kind.BYTES, b"x"): "030000000000000005000000060178",
        }
        for frame, text in ours.items():
            self.assertEqual(encode(frame).hex(), text)
            self.assertEqual(decode(bytes.fromhex(text)), frame)

    def test_limits(self) -> None:
        """What is too long, or of an unknown kind, is refused."""
        self.assertRaises(MalformedFrame, decode, encode(Item(0, 0, Kind.BYTES, bytes(LONGEST + 1))))
        self.assertRaises(MalformedFrame, decode, bytes([3]) + bytes(12) + bytes([6]))

    def test_credit(self) -> None:
        """Four bytes."""
        self.assertEqual(credited(credit(1 << 20)), 1 << 20)
        self.assertRaises(MalformedFrame, credited, b"")

    @given(st.binary(max_size=30))
    def test_garbage(self, garbage: bytes) -> None:
        """It is parsed, and gives the same bytes, or it is refused."""
        try:
            frame = decode(garbage)
        except MalformedFrame:
            return
        self.assertEqual(encode(frame), garbage)
