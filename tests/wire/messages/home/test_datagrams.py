"""Datagrams between a home and its coordinator."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Forged, MalformedFrame, PeerError
from morphnet.wire.messages.home.datagrams import (
    LONGEST,
    Accept,
    Cookie,
    Hello,
    Register,
    Sealed,
    decode,
    encode,
    open_sealed,
    proof,
    seal,
)

TAG, SIXTEEN, KEY = b"tagtagta", b"0123456789abcdef", bytes(32)


class DatagramTests(SynchronousTestCase):
    def test_bytes(self) -> None:
        """Each of them, byte for byte."""
        ours: dict[Hello | Cookie | Register | Accept, bytes] = {
            Hello(TAG, SIXTEEN): b"\xc7\x01\x01" + TAG + SIXTEEN + bytes(16),
            Cookie(TAG, SIXTEEN): b"\xc7\x01\x02" + TAG + SIXTEEN,
            Register(TAG, SIXTEEN, b"h" * 49): b"\xc7\x01\x03" + TAG + SIXTEEN + b"h" * 49,
            Accept(TAG, b"h" * 49): b"\xc7\x01\x04" + TAG + b"h" * 49,
        }
        for message, datagram in ours.items():
            self.assertEqual(encode(message), datagram)
            self.assertEqual(decode(datagram), message)

    def test_no_answer_is_longer(self) -> None:
        """Nobody can have us send somebody else more than he sends us."""
        self.assertLess(len(encode(Cookie(TAG, SIXTEEN))), len(encode(Hello(TAG, SIXTEEN))))

    def test_sealed(self) -> None:
        """It can be opened with its key, under its number and index."""
        sealed = decode(seal(KEY, TAG, 7, b"said"))
        assert isinstance(sealed, Sealed)
        self.assertEqual((sealed.index, sealed.number, open_sealed(KEY, sealed)), (TAG, 7, b"said"))

    @given(st.integers(0, 38), st.integers(1, 255))
    def test_any_bit(self, at: int, change: int) -> None:
        """Whatever is changed in it, it is refused."""
        datagram = bytearray(seal(KEY, TAG, 7, b"said"))
        datagram[at] ^= change
        with self.assertRaises(PeerError):
            sealed = decode(bytes(datagram))
            if not isinstance(sealed, Sealed):
                raise Forged("another type")
            open_sealed(KEY, sealed)

    def test_proof(self) -> None:
        """It depends on the coordinator and on the attempt."""
        self.assertEqual(len({proof(KEY, TAG), proof(KEY, b"another "), proof(b"1" * 32, TAG)}), 3)

    def test_too_long(self) -> None:
        """What fits into no datagram of ours is none."""
        self.assertRaises(MalformedFrame, decode, b"\xc7\x01\x05" + bytes(LONGEST))

    @given(st.binary(max_size=100))
    def test_garbage(self, garbage: bytes) -> None:
        """Nothing but MalformedFrame comes of it."""
        for start in (b"", b"\xc7\x01"):
            try:
                decode(start + garbage)
            except MalformedFrame:
                pass
