"""How full another program's buffer is: what the kernel is asked and says, and real sockets."""

from __future__ import annotations

import socket
import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.inbox import Inboxes, Taken, answer, charge, question
from morphnet.net.sockaddr import Address

HERE, SIZE = "127.0.0.1", 1363  # bytes: a packet of 1331, sealed by WireGuard


class BytesTests(SynchronousTestCase):
    def test_question(self) -> None:
        """Who sends and who receives are named, the memory of the one is asked for, and no cookie is known."""
        asked = question((HERE, 0x1234), ("127.0.0.2", 0x5678))
        self.assertEqual((len(asked), struct.unpack_from("=I", asked)[0], asked[16:18]), (72, 72, bytes((2, 17))))
        self.assertEqual(asked[24:33], bytes.fromhex("123456787f00000100"))
        self.assertEqual((asked[44:48], asked[-12:]), (bytes((127, 0, 0, 2)), bytes(4) + b"\xff" * 8))
        six = question(("fe80::1", 1, 0, 7), ("fe80::2%eth0", 2, 0, 7))
        self.assertEqual((six[16], six[-12:-8]), (10, struct.pack("=I", 7)))

    def test_no_question(self) -> None:
        """Names are no addresses, and nobody sends from one family to the other."""
        for here, there in (((HERE, 1), ("localhost", 2)), ((HERE, 1), ("::1", 2, 0, 0))):
            with self.assertRaises(ValueError):
                question(here, there)

    @given(st.binary(max_size=200))
    def test_garbage(self, told: bytes) -> None:
        """Whatever is said, it is an answer or none."""
        answer(told)
        answer(struct.pack("=IHHII", len(told) + 16, 20, 0, 0, 0) + bytes(72) + told)

    def test_answer(self) -> None:
        """The memory is found behind other attributes; an error is no answer."""
        body = bytes(72) + struct.pack("=HHI", 8, 5, 1) + struct.pack("=HH9I", 40, 7, 11, 22, *range(7))
        self.assertEqual(answer(struct.pack("=IHHII", 16 + len(body), 20, 0, 0, 0) + body), Taken(11, 22))
        self.assertIsNone(answer(struct.pack("=IHHIIi", 20, 2, 0, 0, 0, -2)))


class RealTests(SynchronousTestCase):
    def opened(self) -> socket.socket:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(opened.close)
        opened.bind((HERE, 0))
        return opened

    def test_fills(self) -> None:
        """What waits is seen, no more is charged than we reckon, and what was read is free again."""
        inboxes, program, ours = Inboxes(), self.opened(), self.opened()
        self.addCleanup(inboxes.close)
        here, there = (each.getsockname() for each in (ours, program))
        empty = inboxes.taken(here, there)
        assert empty is not None
        self.assertEqual((empty.taken, empty.most), (0, program.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)))
        for size in (20, 200, 600, SIZE, 9000):
            ours.sendto(bytes(size), there)
            full = inboxes.taken(here, there)
            assert full is not None
            self.assertTrue(size < full.taken <= charge(size), (size, full))
            program.recv(9000)
            self.assertEqual(inboxes.taken(here, there), empty)

    def test_nobody(self) -> None:
        """Where nobody listens nothing is known; who cannot be asked for is never asked for again."""
        inboxes, ours, gone = Inboxes(), self.opened(), self.opened()
        self.addCleanup(inboxes.close)
        here, there = (each.getsockname() for each in (ours, gone))
        gone.close()
        self.assertIsNone(inboxes.taken(here, there))
        self.assertIsNotNone(inboxes.taken(there, here))
        never: Address = ("nowhere", 1)
        self.assertIsNone(inboxes.taken(here, never))
        self.assertIsNone(inboxes.taken(there, here))
