"""A socket towards somebody else's program: in memory, and a real one towards a program that comes late."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
from collections.abc import Callable, Generator, Sequence
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock, deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from morphnet.errors import HostError
from morphnet.net.inbox import Inboxes
from morphnet.net.localudp import BUFFER, BUSY, FULL, PAUSE, READS, SPELL, LocalUdp, make_socket
from morphnet.net.sockaddr import Address
from morphnet.net.udpsocket import SO_RCVBUFFORCE
from morphnet.wire.batch import MAX_SEGMENTS
from tests.ports import free_port

PROGRAM = ("127.0.0.1", 5000)
BURST = 200  # datagrams


class FakeSocket:
    """`inbox` is what comes; an OSError in it, or in `refusal`, is raised."""

    def __init__(self) -> None:
        self.inbox: list[tuple[bytes, Address] | OSError] = []
        self.sent: list[tuple[bytes, Address | None]] = []
        self.refusal: OSError | None = None
        self.closed = False
        self.waited = 0  # an error that the kernel keeps for the next call
        self.runs: list[tuple[int, list[bytes]]] = []  # bytes of each but the last
        self.runs_refused: OSError | None = None
        self.asked = 0  # to send one

    def _maybe(self) -> None:
        if self.refusal is not None:
            raise self.refusal

    def bind(self, address: Address) -> None:
        self._maybe()

    def getsockname(self) -> Address:
        return ("192.0.2.1", 51821)

    def recvfrom(self, size: int) -> tuple[bytes, Address]:
        if not self.inbox:
            raise BlockingIOError
        found = self.inbox.pop(0)
        if isinstance(found, OSError):
            raise found
        return found

    def recv(self, size: int) -> bytes:
        return self.recvfrom(size)[0]

    def sendto(self, data: bytes, to: Address) -> None:
        self._maybe()
        self.sent.append((data, to))

    def send(self, data: bytes) -> None:
        self._maybe()
        self.sent.append((data, None))

    def getsockopt(self, level: int, option: int) -> int:
        waited, self.waited = self.waited, 0
        return waited

    def sendmsg(self, run: list[bytes], portion: list[tuple[int, int, bytes]], flags: int, *to: Address) -> None:
        self.asked += 1
        if self.runs_refused is not None:
            raise self.runs_refused
        self.runs.append((int.from_bytes(portion[0][2], sys.byteorder), list(run)))
        self.sent += [(data, to[0] if to else None) for data in run]

    def fileno(self) -> int:
        return 7

    def close(self) -> None:
        self.closed = True


class FakeReactor(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.readers: list[object] = []

    def addReader(self, reader: object) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: object) -> None:
        self.readers.remove(reader)


class LocalUdpTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor, self.fake, self.had = FakeReactor(), FakeSocket(), list[Any]()
        self.door = LocalUdp(cast(Any, self.reactor), self.had.append, Inboxes(), lambda host: cast(Any, self.fake))

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

    def test_runs(self) -> None:
        """Those of one length are sent with one call, the last of them may be shorter; an empty one goes alone."""
        self.door.listen("127.0.0.1", 51821)
        words = [b"aaa", b"bbb", b"cc", b"ddd", b"eeee", b"ffff", b"", b"", b"g"]
        self.door.send_all(words, PROGRAM)
        self.assertEqual(self.fake.runs, [(3, [b"aaa", b"bbb", b"cc"]), (4, [b"eeee", b"ffff"])])
        self.assertEqual(self.fake.sent, [(each, PROGRAM) for each in words])
        self.door.send_all([bytes(9)] * (MAX_SEGMENTS + 1))
        self.door.send_all([bytes(30000)] * 3)
        self.assertEqual([len(each) for _, each in self.fake.runs[2:]], [MAX_SEGMENTS, 2])
        self.assertEqual(self.fake.sent[len(words) :], [(bytes(9), None)] * 65 + [(bytes(30000), None)] * 3)

    def test_runs_refused(self) -> None:
        """
        An error of one that was sent before, or a length that no run has, costs no other; a kernel that cannot do it
        is not asked again; what finds a full buffer is counted.
        """
        self.door.listen("127.0.0.1", 51821)
        for trouble, sent in ((errno.ECONNREFUSED, 2), (errno.EMSGSIZE, 4), (errno.EAGAIN, 4), (errno.EIO, 6)):
            self.fake.runs_refused = OSError(trouble, "no")
            self.door.send_all([b"a", b"b"])
            self.assertEqual(len(self.fake.sent), sent)
        self.assertEqual((self.door.refused, self.fake.asked), (2, 4))
        self.fake.runs_refused = None
        self.door.send_all([b"c", b"d"])
        self.assertEqual((self.fake.asked, self.fake.sent[-1]), (4, (b"d", None)))

    def test_one_turn(self) -> None:
        """Who sends without end does not have the loop for itself."""
        self.door.listen("127.0.0.1", 51821)
        self.fake.inbox = [(b"a", PROGRAM)] * (READS + 1)
        self.door.doRead()
        self.assertEqual((len(self.had[0]), len(self.fake.inbox)), (READS, 1))
        self.had.clear()
        self.fake.inbox = [(bytes(FULL // 4), PROGRAM)] * 5
        self.door.doRead()
        self.assertEqual((len(self.had[0]), len(self.fake.inbox)), (4, 1))

    def come(self, count: int) -> bool:
        """So many have come, and are read; whether it goes on looking."""
        self.fake.inbox = [(b"a", PROGRAM)] * count
        self.door.doRead()
        return self.door in self.reactor.readers

    def test_gathers(self) -> None:
        """Who sends a lot is left alone for a moment, so that more comes together; who sends little is not."""
        self.door.listen("127.0.0.1", 51821)
        for _ in range(3):
            self.assertTrue(self.come(BUSY - 1))
            self.reactor.advance(2 * SPELL)
        self.assertTrue(self.come(BUSY - 1))
        self.assertFalse(self.come(1))
        self.reactor.advance(PAUSE)
        self.assertIn(self.door, self.reactor.readers)
        self.assertFalse(self.come(1))
        for _ in range(int(SPELL / PAUSE) - 2):
            self.fake.inbox = [(b"a", PROGRAM)] * 2
            self.reactor.advance(PAUSE)
            self.assertEqual((self.fake.inbox, self.reactor.readers, len(self.had[-1])), ([], [], 2))
        self.door.close()
        self.assertEqual((self.reactor.readers, self.reactor.getDelayedCalls()), ([], []))

    def test_never_behind(self) -> None:
        """Who sends more at once than one run holds is left alone once, and is then read until nothing is left."""
        self.door.listen("127.0.0.1", 51821)
        self.assertFalse(self.come(2 * READS + 1))
        self.reactor.advance(PAUSE)
        self.assertEqual((len(self.fake.inbox), self.reactor.readers), (1, [self.door]))
        self.door.doRead()
        self.assertEqual((self.fake.inbox, self.reactor.readers), ([], []))

    def test_refused(self) -> None:
        """What the kernel does not take is counted; an address that cannot be had is told, and the socket closed."""
        self.door.listen("127.0.0.1", 51821)
        self.fake.refusal = OSError(errno.ECONNREFUSED, "Connection refused")
        self.door.send(b"c", PROGRAM)
        self.assertEqual(self.door.refused, 1)
        other = LocalUdp(cast(Any, self.reactor), self.had.append, Inboxes(), lambda host: cast(Any, self.fake))
        with self.assertRaisesRegex(HostError, "UDP port 51821 of 127.0.0.1: Connection refused"):
            other.listen("127.0.0.1", 51821)
        self.assertTrue(self.fake.closed)

    def test_given_up(self) -> None:
        """The reactor gives up a socket on which an error waits: it is counted, and the socket read again."""
        self.door.listen("127.0.0.1", 51820)
        self.reactor.readers.clear()
        self.fake.waited = errno.ECONNREFUSED
        self.door.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.reactor.readers, self.door.refused, self.fake.closed), ([self.door], 1, False))

    def test_closed(self) -> None:
        """A closed one sends and hears nothing; closing twice does nothing."""
        self.door.listen("127.0.0.1", 51821)
        for _ in range(2):
            self.door.close()
        self.door.send(b"x")
        self.door.doRead()
        self.door.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.fake.sent, self.had, self.reactor.readers, self.door.fileno()), ([], [], [], -1))


class RealTests(TestCase):
    def setUp(self) -> None:
        self.inboxes = Inboxes()
        self.addCleanup(self.inboxes.close)

    def test_buffers(self) -> None:
        """They are as large as we ask for where we may have that, and else as the machine allows."""
        with make_socket("127.0.0.1") as opened, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            try:
                other.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
            except PermissionError:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            sizes = [each.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) for each in (opened, other)]
        self.assertEqual(sizes[0], sizes[1])

    @inlineCallbacks
    def test_late_service(self) -> Generator[Deferred[Any], Any, None]:
        """Who sends before the service is there gets its answers once it is, from the same port."""
        host, port = "127.0.0.1", free_port()
        had = list[Any]()
        door = LocalUdp(cast(Any, reactor), had.extend, self.inboxes)
        door.connect(host, port)
        self.addCleanup(door.close)
        yield self._sent_until(door, b"early", lambda: bool(door.refused))

        def echo(batch: Sequence[tuple[bytes, Address]]) -> None:
            for data, to in batch:
                later.send(data, to)

        later = LocalUdp(cast(Any, reactor), echo, self.inboxes)
        later.listen(host, port)
        self.addCleanup(later.close)
        yield self._sent_until(door, b"late", lambda: bool(had))
        self.assertEqual(had[:1], [(b"late", (host, port))])

    @inlineCallbacks
    def test_slow_program(self) -> Generator[Deferred[Any], Any, None]:
        """A program that reads slowly has all of what comes in bursts, which its buffer would not hold."""
        program = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(program.close)
        program.bind(("127.0.0.1", 0))
        program.setblocking(False)
        program.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        door, had = LocalUdp(cast(Any, reactor), lambda batch: None, self.inboxes), list[bytes]()
        door.listen("127.0.0.1", free_port())
        self.addCleanup(door.close)
        whole = [number.to_bytes(4, "big") * 340 for number in range(4 * BURST)]
        for at in range(0, len(whole), BURST):
            door.send_all(whole[at : at + BURST], program.getsockname())
            for _ in range(1000):
                with contextlib.suppress(BlockingIOError):
                    for _ in range(20):
                        had.append(program.recv(2000))
                if len(had) == at + BURST:
                    break
                yield deferLater(cast(Any, reactor), 0.001)
        self.assertEqual((had == whole, door.refused), (True, 0))

    @inlineCallbacks
    def _sent_until(self, door: LocalUdp, data: bytes, done: Callable[[], bool]) -> Generator[Deferred[Any], Any, None]:
        for _ in range(500):
            if done():
                break
            door.send(data)
            yield deferLater(cast(Any, reactor), 0.01)
