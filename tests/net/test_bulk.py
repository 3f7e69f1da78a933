"""Long bodies and files on real connections of loopback."""

from __future__ import annotations

import os
import random
import select
import socket
import tempfile
import time
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from threading import Event
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from morphnet.net.bulk import LEAST, PIECE, TURN, WINDOW, BulkServer, Shares
from morphnet.net.gate import OpenGate
from morphnet.net.http import BodyCut, Exchange, HttpFactory, Piece
from morphnet.net.http_channel import SHORT
from morphnet.net.listen import listen_tcp
from morphnet.net.slices import SLICE

PATIENCE = 0.4  # seconds
MOST_PIECES = (4 + 1) + (8 + 1)  # in a turn, if each takes a quarter of a slice, and heads have two slices


class Unread(FileIO):
    """A file that only the kernel reads."""

    def read(self, size: int | None = -1) -> bytes:
        raise AssertionError("it was read here")


class Odd(FileIO):
    """One whose descriptor is none that the kernel sends from."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.other = select.epoll()

    def fileno(self) -> int:
        return self.other.fileno()

    def close(self) -> None:
        self.other.close()
        super().close()


class SharesTests(SynchronousTestCase):
    def test_shares(self) -> None:
        """One alone has a whole piece; of many each has less, but never less than LEAST, until the others rest."""
        now = 0.0
        shares = Shares(lambda: now)
        self.assertEqual([shares.of(1) for _ in range(3)], [PIECE] * 3)
        for each in range(64):
            shares.of(each)
        self.assertEqual(shares.of(1), TURN // 64)
        now += WINDOW * 1.1
        self.assertEqual(shares.of(1), TURN // 64)
        for each in range(1000):
            shares.of(each)
        self.assertEqual(shares.of(1), LEAST)
        for _ in range(2):
            now += WINDOW * 1.1
            last = shares.of(1)
        self.assertEqual(last, PIECE)


class BulkTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.bodies: list[bytes] = []
        self.longest = self.pieces = self.came = 0  # bytes, how many pieces came, and bytes of all
        self.each: Callable[[], None] = lambda: None  # done for each of them
        self.given: list[FileIO] = []
        self.made: Callable[[Path], FileIO] = Unread
        self.hold: Deferred[None] | None = None
        self.taking: Exchange | None = None
        handle, name = tempfile.mkstemp()
        self.file, self.data = Path(name), random.Random(1).randbytes(6_000_000)
        os.write(handle, self.data)
        os.close(handle)
        self.addCleanup(self.file.unlink)
        self.factory = HttpFactory(self.answer, reactor, PATIENCE)
        port = listen_tcp(OpenGate(cast(Any, reactor)), "127.0.0.1", 0, self.factory)
        assert port is not None
        self.addCleanup(port.stopListening)
        self.addCleanup(lambda: Deferred.fromCoroutine(self._until_left()))
        self.port = cast(Any, port.getHost()).port

    @staticmethod
    async def _until_left() -> None:
        """The server has seen that every client is gone."""
        from twisted.internet import reactor

        running = cast(Any, reactor)
        for _ in range(500):
            if not any(isinstance(each, BulkServer) for each in (*running.getReaders(), *running.getWriters())):
                return
            await deferLater(running, 0.01)

    async def answer(self, exchange: Exchange) -> None:
        if exchange.verb == "PUT":
            await self._take(exchange)
            return
        start, _, length = exchange.query.get("part", f"0-{len(self.data)}").partition("-")
        file = self.made(self.file)
        self.given.append(file)
        file.seek(int(start))
        exchange.answer_file(200, {}, cast(Any, file), int(length))

    async def _take(self, exchange: Exchange) -> None:
        pieces: list[bytes] = []

        def take(data: Piece) -> None:
            self.each()
            self.pieces += 1
            self.longest = max(self.longest, len(data))
            if exchange.target == "/fail" and sum(map(len, pieces)) > 1_000_000:
                raise OSError("full")
            pieces.append(bytes(data))
            self.came += len(data)

        self.taking = exchange
        if self.hold is not None:
            await self.hold
        try:
            await exchange.stream(take)
            exchange.answer(201, {})
        except OSError:
            exchange.answer(507, {})
        except BodyCut:
            exchange.answer(500, {})
            raise
        finally:
            self.bodies.append(b"".join(pieces))

    def _call(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    @staticmethod
    def _status(line: Any) -> int:
        """Of an answer without a body."""
        status = int(line.readline().split()[1])
        while line.readline().strip():
            pass
        return status

    async def _in_thread(self, what: Callable[[], Any]) -> Any:
        return await deferToThread(what)

    async def test_bodies(self) -> None:
        """Bodies of any length, one behind the other on one connection, arrive as they were sent, in large pieces."""
        chance = random.Random(2)
        edges = [1, SHORT - 1, SHORT, SHORT + 1, SHORT + 2, PIECE, PIECE + 1, 3 * PIECE + SHORT + 1, 2_000_003]
        sizes = [*edges, *(chance.randrange(1_000_000) for _ in range(12))]
        sent = [chance.randbytes(size) for size in sizes]

        def client() -> list[int]:
            with self._call() as made, made.makefile("rb") as line:
                heads = [f"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(each)}\r\n\r\n" for each in sent]
                made.sendall(b"".join(head.encode() + each for head, each in zip(heads, sent, strict=True)))
                return [self._status(line) for _ in sent]

        self.assertEqual(await self._in_thread(client), [201] * len(sent))
        self.assertEqual([len(each) for each in self.bodies], sizes)
        self.assertTrue(self.bodies == sent)
        self.assertGreater(self.longest, SHORT)

    async def test_cut(self) -> None:
        """What came before a cut was handed over, whole and in order."""
        data = random.Random(3).randbytes(900_000)

        def client() -> None:
            with self._call() as made:
                made.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n" + data)

        await self._in_thread(client)
        await self._until(lambda: bool(self.bodies))
        self.assertTrue(self.bodies == [data])

    async def test_last_bytes(self) -> None:
        """What the kernel has of a body when its connection is to be ended is handed over, at once; then nothing is."""
        data = random.Random(5).randbytes(400_000)
        made = self._call()
        made.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n" + data[:100_000])
        await self._until(lambda: self.came == 100_000)
        made.setblocking(False)  # the server, in this thread, reads nothing meanwhile
        many = made.send(data[100_000:])
        self.assertGreater(many, 0)
        exchange, before = self.taking, self.came
        assert exchange is not None
        exchange.last_bytes()
        self.assertEqual((before, self.came), (100_000, 100_000 + many))
        exchange.last_bytes()
        exchange.hang_up()
        exchange.last_bytes()
        made.close()
        await self._until(lambda: bool(self.bodies))
        self.assertTrue(self.bodies == [data[: 100_000 + many]])

    async def test_fails(self) -> None:
        """Who takes no more answers at once, and nothing more is handed over; the client may go on sending."""

        def client() -> int:
            with self._call() as made, made.makefile("rb") as line:
                made.sendall(b"PUT /fail HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n" + bytes(4_000_000))
                return self._status(line)

        self.assertEqual(await self._in_thread(client), 507)
        self.assertLess(len(self.bodies[0]), 1_000_001 + PIECE)

    async def test_silent(self) -> None:
        """A body that stands still ends with the connection, though it came in large pieces before."""

        def client() -> bytes:
            with self._call() as made:
                made.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n" + bytes(1_000_000))
                return made.recv(1)

        self.assertEqual(await self._in_thread(client), b"")
        self.assertEqual([len(each) for each in self.bodies], [1_000_000])

    async def test_files(self) -> None:
        """Files and parts of them, one after the other on one connection, without being read in this process."""
        parts = [(0, len(self.data)), (5, 1), (4_999_000, 1_001_000), (17, PIECE), (3, 3 * PIECE + 1)]

        def client() -> list[bytes]:
            with self._call() as made, made.makefile("rb") as line:
                for start, length in parts:
                    made.sendall(f"GET /?part={start}-{length} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                made.sendall(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
                found = []
                for _, length in parts:
                    self._status(line)
                    found.append(line.read(length))
                self._status(line)
                return found

        found = await self._in_thread(client)
        self.assertTrue(found == [self.data[start : start + length] for start, length in parts])
        await self._until(lambda: all(each.closed for each in self.given))

    async def test_slow_reader(self) -> None:
        """One who reads slowly gets all of it; one who reads nothing is hung up on, and the file is closed."""

        def slow() -> bytes:
            with self._call() as made, made.makefile("rb") as line:
                made.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                self._status(line)
                found = []
                for _ in range(6):
                    time.sleep(PATIENCE / 4)
                    found.append(line.read(1_000_000))
                return b"".join(found)

        self.assertTrue(await self._in_thread(slow) == self.data)
        made = self._call()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        made.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await self._until(lambda: len(self.given) == 2 and self.given[1].closed)
        made.close()

    async def test_very_slow_reader(self) -> None:
        """One who takes a little is not hung up on, though the kernel has room for nothing more meanwhile."""
        made = self._call()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
        made.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

        def slow() -> None:
            for _ in range(12):
                time.sleep(PATIENCE / 4)
                made.recv(1 << 14)

        await self._in_thread(slow)
        self.assertFalse(self.given[0].closed)
        made.close()
        await self._until(lambda: self.given[0].closed)

    async def test_turns(self) -> None:
        """However many send at once: in a turn of the loop as many move bytes as there is time for, and all end."""
        data, count = random.Random(4).randbytes(300_000), 40
        self.each = lambda: time.sleep(SLICE / 4)  # a disk that is busy
        self.factory.idle = 30.0
        turns, ending = [0], Event()
        running = cast(Any, _reactor)

        def turn() -> None:
            turns.append(self.pieces)
            self.pieces = 0
            if not ending.is_set():
                running.callLater(0, turn)

        def client() -> list[int]:
            calls = [self._call() for _ in range(count)]
            for each in calls:
                each.sendall(f"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
            found = []
            for each in calls:
                with each, each.makefile("rb") as line:
                    found.append(self._status(line))
            return found

        turn()
        try:
            self.assertEqual(await self._in_thread(client), [201] * count)
        finally:
            ending.set()
        self.assertTrue(self.bodies == [data] * count)
        self.assertLessEqual(max(turns), MOST_PIECES)

    async def test_gone(self) -> None:
        """A client that leaves takes its file with it."""
        made = self._call()
        made.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await self._until(lambda: bool(self.given))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        made.close()
        await self._until(lambda: self.given[0].closed)

    async def test_shorter(self) -> None:
        """Of a file that has become shorter what there is comes, and then the connection ends."""

        def client() -> int:
            with self._call() as made, made.makefile("rb") as line:
                made.sendall(b"GET /?part=5990000-20000 HTTP/1.1\r\nHost: x\r\n\r\n")
                self._status(line)
                try:
                    return len(line.read(20_000))
                except ConnectionResetError:
                    return 0

        self.assertLessEqual(await self._in_thread(client), 10_000)
        await self._until(lambda: self.given[0].closed)

    async def test_not_by_kernel(self) -> None:
        """What the kernel does not send is sent by ourselves."""
        self.made = Odd

        def client() -> bytes:
            with self._call() as made, made.makefile("rb") as line:
                made.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                self._status(line)
                return bytes(line.read(len(self.data)))

        self.assertTrue(await self._in_thread(client) == self.data)

    async def _until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            await deferToThread(time.sleep, 0.02)
