"""A socket towards somebody else's program, over a socket in memory; real ones carry in tests/lab/test_carry.py."""

from __future__ import annotations

import errno
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.net.localudp import READS, LocalUdp
from morphnet.net.sockaddr import Address

PROGRAM = ("127.0.0.1", 5000)


class FakeSocket:
    """`inbox` is what comes; an OSError in it, or in `refusal`, is raised."""

    def __init__(self) -> None:
        self.inbox: list[tuple[bytes, Address] | OSError] = []
        self.sent: list[tuple[bytes, Address | None]] = []
        self.refusal: OSError | None = None
        self.closed = False

    def _maybe(self) -> None:
        if self.refusal is not None:
            raise self.refusal

    def bind(self, address: Address) -> None:
        self._maybe()

    def recvfrom(self, size: int) -> tuple[bytes, Address]:
        if not self.inbox:
            raise BlockingIOError
        found = self.inbox.pop(0)
        if isinstance(found, OSError):
            raise found
        return found

    def sendto(self, data: bytes, to: Address) -> None:
        self._maybe()
        self.sent.append((data, to))

    def send(self, data: bytes) -> None:
        self._maybe()
        self.sent.append((data, None))

    def fileno(self) -> int:
        return 7

    def close(self) -> None:
        self.closed = True


class FakeReactor:
    def __init__(self) -> None:
        self.readers: list[object] = []

    def addReader(self, reader: object) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: object) -> None:
        self.readers.remove(reader)


class LocalUdpTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor, self.fake, self.had = FakeReactor(), FakeSocket(), list[Any]()
        self.door = LocalUdp(cast(Any, self.reactor), self.had.append, lambda host: cast(Any, self.fake))

    def test_in_and_out(self) -> None:
        """What has come is handed on in batches; an error between is counted."""
        self.door.listen("127.0.0.1", 51821)
        self.fake.inbox = [(b"a", PROGRAM), ConnectionRefusedError(), (b"b", PROGRAM)]
        self.door.doRead()
        self.assertEqual((self.had, self.door.refused), ([[(b"a", PROGRAM), (b"b", PROGRAM)]], 1))
        self.door.doRead()
        self.assertEqual(len(self.had), 1)
        self.door.send(b"c", PROGRAM)
        self.door.send(b"d")
        self.assertEqual(self.fake.sent, [(b"c", PROGRAM), (b"d", None)])

    def test_one_turn(self) -> None:
        """Who sends without end does not have the loop for itself."""
        self.door.listen("127.0.0.1", 51821)
        self.fake.inbox = [(b"a", PROGRAM)] * (READS + 1)
        self.door.doRead()
        self.assertEqual((len(self.had[0]), len(self.fake.inbox)), (READS, 1))

    def test_refused(self) -> None:
        """What the kernel does not take is counted; an address that cannot be had is told, and the socket closed."""
        self.door.listen("127.0.0.1", 51821)
        self.fake.refusal = OSError(errno.ECONNREFUSED, "Connection refused")
        self.door.send(b"c", PROGRAM)
        self.assertEqual(self.door.refused, 1)
        other = LocalUdp(cast(Any, self.reactor), self.had.append, lambda host: cast(Any, self.fake))
        with self.assertRaisesRegex(HostError, "UDP port 51821 of 127.0.0.1: Connection refused"):
            other.listen("127.0.0.1", 51821)
        self.assertTrue(self.fake.closed)

    def test_closed(self) -> None:
        """A closed one sends and hears nothing; closing twice does nothing."""
        self.door.listen("127.0.0.1", 51821)
        for _ in range(2):
            self.door.close()
        self.door.send(b"x")
        self.door.doRead()
        self.assertEqual((self.fake.sent, self.had, self.reactor.readers, self.door.fileno()), ([], [], [], -1))
