"""
Many clients of one upload server, from many addresses of loopback.

    python -m tests.bench.upload_crowd together|moving|cut|steady PORT SECRET COUNT SIZE [SECONDS]

`together`: all have sent half before any sends the rest. `moving`: each sends steadily for SECONDS and comes from
another address every tenth of that. `cut`: each is cut three times, at any byte. `steady`: each sends for SECONDS, on
one connection. All go on by tus, and read their file at last, but those that are steady. One line of JSON: how many
arrived with the right bytes, how often an offset went back, how long it took.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from morphnet.wire.messages.upload.slots import mac_v1

PIECE = 1 << 15
LARGE = 1_000_000_000  # bytes from which a file is one that a disk which compresses has room for a hundred of
POUR = 1 << 18  # bytes sent and looked at, at once
TUS = {"Tus-Resumable": "1.0.0"}
BODY = {**TUS, "Content-Type": "application/offset+octet-stream"}
PATIENCE = 120.0  # seconds for one answer
AT_ONCE = 128  # connections that are being made
TRIES = 50


class Cut(Exception):
    """By us, or by the server."""


def pattern(number: int, size: int) -> bytes:
    """What the file of that client, of so many bytes, is again and again."""
    return random.Random(number).randbytes(64 if size >= LARGE else 1 << 16)


class Client:
    """One upload."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        self._crowd, self._chance = crowd, random.Random(number)
        path = f"crowd/{time.time_ns()}-{number}"
        self._get, size = f"/upload/{path}", crowd.size
        self._target = f"{self._get}?v={mac_v1(crowd.secret, path, size)}"
        self._data = pattern(number, size) * (1024 if size >= LARGE else 1)
        self._offset = self.went_back = self.cuts = 0
        self._address = "127.0.0.1"

    def _bytes(self, start: int, end: int) -> bytes:
        """Of the file, which is the same 64 KiB again and again; of a large one they are the same 64 bytes."""
        first = start % len(self._data)
        whole = self._data * ((end - start) // len(self._data) + 2)
        return whole[first : first + end - start]

    def move(self) -> None:
        """From now on it comes from another address."""
        self._address = f"127.{'.'.join(str(self._chance.randrange(1, 255)) for _ in range(3))}"

    @asynccontextmanager
    async def _line(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        async with self._crowd.calling:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self._crowd.port, local_addr=(self._address, 0), limit=1 << 16
            )
        try:
            yield reader, writer
        finally:
            made = writer.get_extra_info("socket")
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@ii", 1, 0))
            writer.transport.abort()

    def _head(self, verb: str, length: int, headers: dict[str, str]) -> bytes:
        told = {"Host": "x", "Content-Length": str(length), **headers}
        target = self._get if verb == "GET" else self._target
        lines = [f"{verb} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
        async with asyncio.timeout(PATIENCE):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.partition(": ") for line in head[1:] if line)
        return int(head[0].split()[1]), {name.lower(): value for name, _, value in pairs}

    async def _ask(self, verb: str, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
        async with self._line() as (reader, writer):
            writer.write(self._head(verb, 0, headers))
            return await self._answer(reader)

    async def _find(self) -> None:
        status, told = await self._ask("HEAD", TUS)
        if status == 404:
            status, told = await self._ask("POST", {**TUS, "Upload-Length": str(self._crowd.size)})
        if status not in (200, 201):
            raise Cut(f"{status}")
        offset = int(told["upload-offset"])
        self.went_back += offset < self._offset
        self._offset = offset

    async def _send(self, until: int, rate: float, seconds: float) -> None:
        """Bytes up to that one, so many a second; cut when it was so long, or there."""
        size, begun = self._crowd.size, time.monotonic()
        ends = begun + seconds
        async with self._line() as (reader, writer):
            writer.write(self._head("PATCH", size - self._offset, {**BODY, "Upload-Offset": str(self._offset)}))
            at = self._offset
            while at < until and time.monotonic() < ends:
                piece = self._bytes(at, min(at + PIECE, until))
                writer.write(piece)
                await writer.drain()
                at += len(piece)
                if rate:
                    await asyncio.sleep(max(begun + (at - self._offset) / rate - time.monotonic(), 0.0))
            if at < until or until < size:
                await asyncio.sleep(0.01)
                raise Cut
            status, _ = await self._answer(reader)
            if status != 204:
                raise Cut(f"{status}")
            self._offset = size

    async def _pour(self, writer: asyncio.StreamWriter, start: int, end: int) -> None:
        for at in range(start, end, POUR):
            writer.write(self._bytes(at, min(at + POUR, end)))
            await writer.drain()

    async def together(self) -> None:
        """Half, wait for the others, and the rest."""
        await self._find()
        size = self._crowd.size
        async with self._line() as (reader, writer):
            writer.write(self._head("PATCH", size, {**BODY, "Upload-Offset": "0"}))
            await self._pour(writer, 0, size // 2)
            await self._crowd.all_there()
            await self._pour(writer, size // 2, size)
            status, _ = await self._answer(reader)
            if status != 204:
                raise Cut(f"{status}")

    async def steady(self, seconds: float) -> None:
        """All of it, in about that time."""
        await self._find()
        await self._send(self._crowd.size, self._crowd.size / seconds, float("inf"))

    async def again_and_again(self, kind: str, seconds: float) -> None:
        """Until it is whole."""
        size = self._crowd.size
        marks = sorted(self._chance.randrange(size) for _ in range(3)) if kind == "cut" else []
        for _ in range(TRIES):
            try:
                await self._find()
                if self._offset == size:
                    return
                until = next((each for each in marks if each > self._offset), size)
                marks = [each for each in marks if each > until]
                if kind == "moving":
                    self.move()
                    await self._send(size, size / seconds, seconds / 10)
                else:
                    await self._send(until, 0.0, PATIENCE)
                return
            except (Cut, OSError, asyncio.IncompleteReadError):
                self.cuts += 1
        raise Cut("it has tried often enough")

    async def is_right(self) -> bool:
        """What the server gives is what was sent."""
        async with self._line() as (reader, writer):
            writer.write(self._head("GET", 0, {}))
            status, told = await self._answer(reader)
            if status != 200 or int(told["content-length"]) != self._crowd.size:
                return False
            at = 0
            while data := await reader.read(min(self._crowd.size - at, POUR)):
                if data != self._bytes(at, at + len(data)):
                    return False
                at += len(data)
        return at == self._crowd.size


class Crowd:
    """All of them."""

    def __init__(self, port: int, secret: str, count: int, size: int) -> None:
        self.port, self.secret, self.count, self.size = port, secret.encode(), count, size
        self.calling = asyncio.Semaphore(AT_ONCE)
        self._there = 0
        self._all = asyncio.Event()

    async def all_there(self) -> None:
        """As many are here as there are."""
        self._there += 1
        if self._there == self.count:
            self._all.set()
        await self._all.wait()

    async def _one(self, client: Client, kind: str, seconds: float) -> bool:
        try:
            if kind == "together":
                await client.together()
            elif kind == "steady":
                await client.steady(seconds)
            else:
                await client.again_and_again(kind, seconds)
            return True
        except (Cut, OSError, TimeoutError, asyncio.IncompleteReadError) as trouble:
            sys.stderr.write(f"{type(trouble).__name__} {trouble}\n")
            if kind == "together":
                self.count -= 1  # the others do not wait for it
            return False

    async def run(self, kind: str, seconds: float) -> dict[str, float]:
        """What came of it."""
        clients = [Client(self, number) for number in range(self.count)]
        count, begun = self.count, time.monotonic()
        done = await asyncio.gather(*(self._one(each, kind, seconds) for each in clients))
        took = time.monotonic() - begun
        looked = kind != "steady"
        right = [not looked or await client.is_right() for client, sent in zip(clients, done, strict=True) if sent]
        return {
            "count": count,
            "arrived": sum(right),
            "went_back": sum(each.went_back for each in clients),
            "cuts": sum(each.cuts for each in clients),
            "seconds": round(took, 2),
        }


if __name__ == "__main__":
    KIND, PORT, SECRET, COUNT, SIZE, *MORE = sys.argv[1:]
    _, MOST = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (MOST, MOST))

    async def main() -> dict[str, float]:
        """In a loop: its locks are made there."""
        return await Crowd(int(PORT), SECRET, int(COUNT), int(SIZE)).run(KIND, float(MORE[0]) if MORE else 0.0)

    sys.stdout.write(json.dumps(asyncio.run(main())) + "\n")
