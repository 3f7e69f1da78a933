"""Ethernet frames inside the tunnel."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.wire.ethernet import LONGEST, addresses, is_group, unwrap, wrap

FRAME = bytes.fromhex("ffffffffffff 020000000001 0806".replace(" ", "")) + bytes(46)


class EthernetTests(SynchronousTestCase):
    def test_vector(self) -> None:
        """A frame of network 73, as RFC 7348 draws it."""
        self.assertEqual(wrap(FRAME, 73).hex()[:16], "0800000000004900")
        self.assertEqual(unwrap(wrap(FRAME, 73), 73), FRAME)

    @given(st.binary(min_size=14, max_size=LONGEST), st.integers(0, (1 << 24) - 1), st.integers(0, (1 << 24) - 1))
    def test_round_trip(self, frame: bytes, network: int, other: int) -> None:
        """What is wrapped is unwrapped, in its own network only."""
        self.assertEqual(unwrap(wrap(frame, network), network), frame)
        if other != network:
            self.assertRaises(MalformedFrame, unwrap, wrap(frame, network), other)

    @given(st.binary(max_size=40))
    def test_junk(self, junk: bytes) -> None:
        """Anything else is malformed, or a frame."""
        for read in (lambda: unwrap(junk, 73), lambda: addresses(junk)):
            try:
                read()
            except MalformedFrame:
                continue

    def test_sources(self) -> None:
        """A frame from a group, or from nobody, is none; broadcast is a group."""
        destination, source = addresses(FRAME)
        self.assertEqual((is_group(destination), is_group(source)), (True, False))
        for bad in (b"\x01" + bytes(5), bytes(6)):
            self.assertRaises(MalformedFrame, addresses, FRAME[:6] + bad + FRAME[12:])
        self.assertRaises(MalformedFrame, addresses, FRAME + bytes(LONGEST))
