"""A reactor that only remembers, and a UDP socket and a TUN that do as they are told."""

from __future__ import annotations

import errno
import io
import os
import socket
from collections import deque
from typing import Any, cast

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor, IWriteDescriptor
from zope.interface import implementer

from morphnet.net.websocket import Socket


@implementer(IReactorFDSet)
class FakeReactor:
    """Who waits for what."""

    def __init__(self) -> None:
        self.readers: set[IReadDescriptor] = set()
        self.writers: set[IWriteDescriptor] = set()

    def addReader(self, reader: IReadDescriptor) -> None:
        self.readers.add(reader)

    def addWriter(self, writer: IWriteDescriptor) -> None:
        self.writers.add(writer)

    def removeReader(self, reader: IReadDescriptor) -> None:
        self.readers.discard(reader)

    def removeWriter(self, writer: IWriteDescriptor) -> None:
        self.writers.discard(writer)

    def removeAll(self) -> list[IReadDescriptor | IWriteDescriptor]:
        return []

    def getReaders(self) -> list[IReadDescriptor]:
        return list(self.readers)

    def getWriters(self) -> list[IWriteDescriptor]:
        return list(self.writers)


class FakeSocket:
    """
    A UDP socket in memory.

    `inbox` holds what recvmsg_into returns next: (data, ancillary, flags, address), or an error's number.
    `refusals` holds the error's number for each coming send, 0 for success; success once it is empty.
    `mtu` is the longest datagram, or GSO segment, that goes through.
    """

    def __init__(self, family: int = socket.AF_INET) -> None:
        self.family = family
        self.options: list[tuple[int, int, Any]] = []
        self.refused_options: set[tuple[int, int]] = set()
        self.bind_error = 0
        self.bound: Any = None
        self.inbox: deque[tuple[bytes, list[tuple[int, int, bytes]], int, Any] | int] = deque()
        self.sent: list[tuple[bytes, tuple[tuple[int, int, bytes], ...], Any]] = []
        self.refusals: deque[int] = deque()
        self.gso_error = 0
        self.mtu = 65535
        self.pending_error = 0
        self.closed = False

    def setblocking(self, blocking: bool) -> None:
        assert not blocking

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        if (level, option) in self.refused_options:
            raise PermissionError(errno.EPERM, "not permitted")
        self.options.append((level, option, value))

    def getsockopt(self, level: int, option: int) -> int:
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_ERROR)
        waited, self.pending_error = self.pending_error, 0
        return waited

    def bind(self, address: Any) -> None:
        if self.bind_error:
            raise OSError(self.bind_error, os.strerror(self.bind_error))
        self.bound = address

    def getsockname(self) -> Any:
        return (self.bound[0] or "0.0.0.0", self.bound[1] or 40000, *self.bound[2:])

    def fileno(self) -> int:
        return 7

    def close(self) -> None:
        self.closed = True

    def recvmsg_into(self, buffers: list[memoryview], size: int) -> tuple[int, list[tuple[int, int, bytes]], int, Any]:
        if not self.inbox:
            raise BlockingIOError(errno.EAGAIN, "nothing there")
        message = self.inbox.popleft()
        if isinstance(message, int):
            raise OSError(message, os.strerror(message))
        data, ancillary, flags, address = message
        buffers[0][: len(data)] = data
        return len(data), ancillary, flags, address

    def sendto(self, data: bytes, address: Any) -> int:
        return self.sendmsg((data,), (), 0, address)

    def sendmsg(self, parts: Any, ancillary: Any, flags: int, address: Any) -> int:
        segmented = [int.from_bytes(value, "little") for level, kind, value in ancillary if (level, kind) == (17, 103)]
        failed = self.refusals.popleft() if self.refusals else 0
        if not failed and segmented:
            failed = self.gso_error
        if not failed and (segmented or [len(parts[0])])[0] > self.mtu:
            failed = errno.EMSGSIZE
        if failed:
            raise OSError(failed, os.strerror(failed))
        self.sent.append((bytes(parts[0]), tuple(ancillary), address))
        return len(parts[0])

    def as_socket(self) -> socket.socket:
        """For callers that are typed to want a real one."""
        return cast(socket.socket, self)


class FakeTunFile:
    """
    A TUN's file in memory.

    `inbox` holds what readinto returns next: packets, or an error's number. `refusals` as in FakeSocket, but EAGAIN is
    None, as FileIO has it.
    """

    def __init__(self) -> None:
        self.inbox: deque[bytes | int] = deque()
        self.written: list[bytes] = []
        self.refusals: deque[int | None] = deque()
        self.closed = False

    def fileno(self) -> int:
        return 8

    def close(self) -> None:
        self.closed = True

    def readinto(self, buffer: memoryview) -> int | None:
        if not self.inbox:
            return None
        packet = self.inbox.popleft()
        if isinstance(packet, int):
            raise OSError(packet, os.strerror(packet))
        buffer[: len(packet)] = packet
        return len(packet)

    def write(self, packet: bytes) -> int | None:
        failed = self.refusals.popleft() if self.refusals else 0
        if failed is None:
            return None
        if failed:
            raise OSError(failed, os.strerror(failed))
        self.written.append(bytes(packet))
        return len(packet)

    def as_file(self) -> io.FileIO:
        """For callers that are typed to want a real one."""
        return cast(io.FileIO, self)


class FakeOwner:
    """Of a WebSocket: notes what comes."""

    def __init__(self) -> None:
        self.socket: Socket | None = None
        self.said: list[bytes] = []
        self.came: list[bytes] = []
        self.costs: list[int] = []

    def connected(self, socket: Socket) -> None:
        self.socket = socket

    def opened(self, socket: Socket) -> None:
        """Nothing to note: the socket is known since it was connected."""

    def text(self, socket: Socket, text: bytes) -> None:
        self.said.append(text)

    def binary(self, socket: Socket, content: bytes) -> None:
        self.came.append(content)

    def spent(self, socket: Socket, cost: int) -> None:
        self.costs.append(cost)

    def ended(self, socket: Socket, reason: str, failure: object) -> None:
        """Nothing: no test looks at it."""
