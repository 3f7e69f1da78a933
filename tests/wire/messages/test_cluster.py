"""What relays say to each other: messages, parcels, numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import BugError, MalformedFrame
from morphnet.wire.messages import cluster as wire
from morphnet.wire.messages.cluster import Beat, Begin, Bye, ClusterMessage, Here, Left, Prove, Revoked, Told, Who
from morphnet.wire.messages.relay import DATAGRAMS, MOST_ENVELOPE, address

MESSAGES: tuple[ClusterMessage, ...] = (
    Beat(1, "0" * 16),
    Bye(wire.BLOCKS - 1),
    Who(7),
    Begin(7, 0),
    Told(7, 0xFFFFFFFF),
    Here(7 << wire.WITHIN, "a1b2", "anna", "f" * 16, ("line 203.0.113.9 50000",)),
    Left(7 << wire.WITHIN),
    Prove(7 << wire.WITHIN),
    Revoked("a1b2", "CRL"),
)


class MessageTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """Every message comes back as it was, and none looks like a parcel."""
        for message in MESSAGES:
            text = wire.encode(message)
            self.assertEqual(wire.decode(text), message)
            self.assertFalse(wire.is_parcel(text))

    def test_longest(self) -> None:
        """The longest list of revocations fits."""
        wire.encode(Revoked("a" * 128, "\n" * 32768))

    def test_out_of_range(self) -> None:
        """No relay has block 0, or one beyond the last."""
        for block in (0, wire.BLOCKS):
            self.assertRaises(BugError, wire.encode, Bye(block))
            self.assertRaises(MalformedFrame, wire.decode, b'{"type":"bye","block":%d}' % block)

    @given(st.binary(max_size=200))
    def test_anything(self, text: bytes) -> None:
        """Any bytes are a message, or raise what is meant for that."""
        try:
            wire.decode(text)
        except MalformedFrame:
            pass


class ParcelTests(SynchronousTestCase):
    @given(st.integers(0, 0xFFFFFFFF), st.binary(max_size=100))
    def test_round_trip(self, sender: int, content: bytes) -> None:
        """The sender's number and the envelope come back."""
        envelope = address(5, DATAGRAMS, content)
        packed = wire.parcel(sender, envelope)
        self.assertTrue(wire.is_parcel(packed))
        self.assertEqual(wire.unpack(packed), (sender, envelope))

    def test_lengths(self) -> None:
        """One that is too short, empty or too long is none."""
        for message in (b"", b"\0", b"\0abc", wire.parcel(1, b"abcd"), wire.parcel(1, bytes(MOST_ENVELOPE + 1))):
            self.assertRaises(MalformedFrame, wire.unpack, message)
        wire.unpack(wire.parcel(1, bytes(MOST_ENVELOPE)))


class NumberTests(SynchronousTestCase):
    @given(st.integers(1, wire.BLOCKS - 1), st.integers(0, 0xFFFFFFFF))
    def test_block(self, block: int, chance: int) -> None:
        """A number tells its block, whatever chance gives, and is a u32 that is not 0."""
        number = wire.number_in(block, chance)
        self.assertEqual(wire.block_of(number), block)
        self.assertTrue(0 < number <= 0xFFFFFFFF)
