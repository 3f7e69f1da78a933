"""Packets with a long header: against the vectors of RFC 9001, and aioquic."""

from __future__ import annotations

import random

from aioquic.buffer import Buffer  # type: ignore[attr-defined]
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.packet import pull_quic_header
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.shapes import longheader
from morphnet.wire.shapes.longheader import HANDSHAKE, INITIAL, ZERO_RTT, Ids
from tests import at_least

FIRST, ANSWER = bytes.fromhex("8394c8f03e515708"), b"answers!"


def opened(datagram: bytes, first: bytes, *, at_server: bool = True) -> tuple[bytes, int]:
    """The frames of the Initial at the start, and its number, as aioquic opens it at that end."""
    pair = CryptoPair()
    pair.setup_initial(first, is_client=not at_server, version=1)
    header = Buffer(data=datagram)
    whole = datagram[: pull_quic_header(header).packet_length]
    _, frames, number = pair.decrypt_packet(whole, header.tell(), 0)
    return frames, number


def initial(frames: bytes = b"\x01", size: int = 1200, number: int = 3) -> bytes:
    """A client's."""
    keys = longheader.initial_keys(FIRST, "client")
    return longheader.seal_initial(keys, Ids(FIRST, b""), number, frames, size)


class InitialTests(SynchronousTestCase):
    def test_keys(self) -> None:
        """Those of RFC 9001, appendix A.1."""
        client, server = (longheader.initial_keys(FIRST, side) for side in ("client", "server"))
        self.assertEqual(client[0].hex(), "1f369613dd76d5467730efcbe3b1a22d")
        self.assertEqual(client[1].hex(), "fa044b2f42a3fd3b46fb255c")
        self.assertEqual(client[2].hex(), "9f50449e04a0e810283a1e9933adedd2")
        self.assertEqual(server[0].hex(), "cf3a5331653c364c88f0f379b6067e37")
        self.assertEqual(server[1].hex(), "0ac1493ca1905853b0bba03e")
        self.assertEqual(server[2].hex(), "c206b8d9b9f0f37644430b490eeaa314")

    def test_opens(self) -> None:
        """Whoever knows the published salt opens it: the frames, padded to the size, under their number."""
        for size in (100, 1200):
            frames, number = opened(initial(b"\x06\x00\x05hello", size), FIRST)
            self.assertEqual((frames.rstrip(b"\0"), number), (b"\x06\x00\x05hello", 3))
            self.assertEqual(len(initial(b"\x01", size)), size)

    def test_does_not_fit(self) -> None:
        """Frames that do not fit are refused."""
        self.assertRaises(ValueError, initial, bytes(100), 130)


class FindTests(SynchronousTestCase):
    def test_client_begins(self) -> None:
        """An Initial and early data: what is inside the latter; and early data alone."""
        early = longheader.protected(ZERO_RTT, Ids(FIRST, b""), 5, b"inside")
        found = longheader.find(initial(size=300) + early, 9)
        assert found is not None
        self.assertEqual((found.ids.to, found.kinds, found.at), (FIRST, (INITIAL, ZERO_RTT), 300 + len(early) - 6))
        alone = longheader.find(early, 9)
        assert alone is not None
        self.assertEqual((alone.initial, alone.zero_rtt, early[alone.at :]), (False, True, b"inside"))

    def test_server_answers(self) -> None:
        """An Initial, a Handshake and a packet with a short header: what is behind that."""
        ids = Ids(b"", ANSWER)
        keys = longheader.initial_keys(FIRST, "server")
        datagram = longheader.seal_initial(keys, ids, 0, b"\x01", 200)
        datagram += longheader.protected(HANDSHAKE, ids, 1, bytes(50)) + b"\x41inside"
        found = longheader.find(datagram, 1)
        assert found is not None
        self.assertEqual((found.ids, found.kinds, datagram[found.at :]), (ids, (INITIAL, HANDSHAKE), b"inside"))

    def test_others(self) -> None:
        """Another version, a token, a length beyond the end, a Handshake alone, nothing behind: none is ours."""
        early = longheader.protected(ZERO_RTT, Ids(FIRST, b""), 5, b"inside")
        whole = initial(size=300) + early
        for at, byte in ((4, 2), (15, 1), (16, 0x7F), (0, 0x80), (5, 7)):
            self.assertIsNone(longheader.find(whole[:at] + bytes((byte,)) + whole[at + 1 :], 9), at)
        self.assertIsNone(longheader.find(longheader.protected(HANDSHAKE, Ids(b"", ANSWER), 1, bytes(90)), 1))
        self.assertIsNone(longheader.find(initial(), 9))
        for cut in range(len(whole)):
            self.assertIsNone(longheader.find(whole[:cut], 9))

    @at_least(3000)
    @given(st.binary(max_size=80), st.sampled_from((b"", b"\xc1\0\0\0\1", b"\xd0\0\0\0\1", b"\xc0\0\0\0\1\x08")))
    def test_garbage(self, rest: bytes, start: bytes) -> None:
        """Whatever came, nothing raises, and what is found lies within it."""
        for before in (1, 9):
            found = longheader.find(start + rest, before)
            if found is not None:
                self.assertLess(found.at, len(start + rest))

    @at_least(2000)
    @given(st.data())
    def test_bent(self, chance: st.DataObject) -> None:
        """So it is with what was ours until somebody changed it."""
        random_ = random.Random(1).randbytes
        bent = bytearray(initial(size=60) + longheader.protected(ZERO_RTT, Ids(FIRST, b""), 5, random_(60)))
        for _ in range(chance.draw(st.integers(1, 4))):
            bent[chance.draw(st.integers(0, len(bent) - 1))] = chance.draw(st.integers(0, 255))
        found = longheader.find(bytes(bent[: chance.draw(st.integers(1, len(bent)))]), 9)
        if found is not None:
            self.assertLess(found.at, len(bent))
