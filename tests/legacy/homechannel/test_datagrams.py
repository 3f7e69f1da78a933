"""Datagrams of the original."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.legacy.homechannel import datagrams


class DatagramTests(SynchronousTestCase):
    def test_frame(self) -> None:
        """Version, type, payload; another version is none."""
        self.assertEqual(datagrams.encode(datagrams.ERROR), b"\x01\xff")
        self.assertEqual(datagrams.decode(b"\x01\x0aabc"), (datagrams.OFFER, b"abc"))
        for wrong in (b"", b"\x01", b"\x02\x01abcd"):
            self.assertRaises(MalformedFrame, datagrams.decode, wrong)

    def test_theirs(self) -> None:
        """What only coordinators say is not taken for theirs; nor is STUN, nor one of ours."""
        theirs = [kind for kind in range(256) if datagrams.is_from_server(bytes((1, kind)))]
        self.assertEqual(theirs, [1, 3, 5, 6, 7, 8])
        for other in (b"\x00\x01\x00\x00", b"\xc7\x01\x01", b"\x01"):
            self.assertFalse(datagrams.is_from_server(other))

    def test_tags(self) -> None:
        """Exactly four bytes, or twice as many."""
        self.assertEqual((datagrams.tag(b"abcd"), datagrams.tags(b"abcdefgh")), (b"abcd", (b"abcd", b"efgh")))
        for size in (0, 3, 5):
            self.assertRaises(MalformedFrame, datagrams.tag, bytes(size))
            self.assertRaises(MalformedFrame, datagrams.tags, bytes(size + 4))

    @given(st.binary(min_size=1, max_size=255), st.binary(max_size=9), st.binary(max_size=9))
    def test_keys(self, key: bytes, before: bytes, after: bytes) -> None:
        """A key with its length, and what is around it; a cut one is malformed."""
        message = datagrams.key_message(key, before, after)
        self.assertEqual(datagrams.read_key_message(message, len(before)), (before, key, after))
        for size in range(len(before) + 1 + len(key)):
            self.assertRaises(MalformedFrame, datagrams.read_key_message, message[:size], len(before))
