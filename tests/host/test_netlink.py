"""A kernel that answers as a real one may: in pieces, torn, interrupted; and others who answer in its place."""

from __future__ import annotations

import socket
import struct
from collections import deque
from errno import EMSGSIZE, ENOBUFS, EPERM
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.netlink import DONE, DUMPS, ERROR, NETLINK_ROUTE, NetlinkSocket, message

ROUTE, LINK = 24, 16
INTERRUPTED, MULTI = 0x10, 0x2
SOMEBODY = 4711  # another process
Heard = tuple[bytes, int, int] | OSError  # a datagram, its flags, and the port of who sent it


class FakeKernel:
    """Has its answers ready."""

    def __init__(self) -> None:
        self.answers = deque[Heard]()
        self.asked = list[bytes]()

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """Nothing to note."""

    def settimeout(self, seconds: float) -> None:
        """It never waits."""

    def send(self, data: bytes) -> None:
        self.asked.append(data)

    def recvmsg(self, size: int) -> tuple[bytes, list[Any], int, tuple[int, int]]:
        answer = self.answers.popleft()
        if isinstance(answer, OSError):
            raise answer
        data, flags, port = answer
        return data, [], flags, (port, 0)

    def says(self, *messages: bytes, flags: int = 0, port: int = 0) -> None:
        """One datagram."""
        self.answers.append((b"".join(messages), flags, port))


def route(sequence: int, body: bytes, flags: int = 0) -> bytes:
    """A part of a dump."""
    return message(ROUTE, MULTI | flags, sequence, body)


def done(sequence: int, flags: int = 0, errno: int = 0) -> bytes:
    """Its end."""
    return message(DONE, MULTI | flags, sequence, struct.pack("=i", -errno))


def refused(sequence: int, errno: int) -> bytes:
    """An error, or with 0 an acknowledgement."""
    return message(ERROR, 0, sequence, struct.pack("=i", -errno) + bytes(16))


class NetlinkTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.kernel = FakeKernel()
        self.asking = NetlinkSocket(NETLINK_ROUTE, lambda *_: cast(socket.socket, self.kernel))

    def test_parts(self) -> None:
        """A dump in many datagrams, what belongs to another question in between, and its end behind the last part."""
        self.kernel.says(*(route(1, b"%04d" % n) for n in range(100)))
        self.kernel.says(route(0, b"late"), route(1, b"more"))
        self.kernel.says(route(1, b"last"), done(1))
        found = self.asking.dump(ROUTE, b"")
        self.assertEqual((len(found), found[-2:], len(self.kernel.asked)), (102, [b"more", b"last"], 1))

    def test_interrupted(self) -> None:
        """Any message may say that there were changes meanwhile, the first or the last; then it is asked once more."""
        for at in range(4):
            self.setUp()
            flags = [INTERRUPTED if place == at else 0 for place in range(4)]
            self.kernel.says(route(1, b"a...", flags[0]), route(1, b"b...", flags[1]))
            self.kernel.says(route(1, b"c...", flags[2]), done(1, flags[3]))
            self.kernel.says(route(2, b"d..."), done(2))
            self.assertEqual((self.asking.dump(ROUTE, b""), len(self.kernel.asked)), ([b"d..."], 2), at)

    def test_never_still(self) -> None:
        """Where there is no end of changes, what came last has to do."""
        for turn in range(1, DUMPS + 1):
            self.kernel.says(route(turn, b"%04d" % turn), done(turn, INTERRUPTED))
        self.assertEqual(self.asking.dump(ROUTE, b""), [b"%04d" % DUMPS])

    def test_somebody_else(self) -> None:
        """What another process writes to the socket is no answer, whatever it says."""
        self.kernel.says(done(1), port=SOMEBODY)
        self.kernel.says(route(1, b"true"), done(1))
        self.assertEqual(self.asking.dump(ROUTE, b""), [b"true"])
        self.kernel.says(message(LINK, 0, 2, b"wrong"), port=SOMEBODY)
        self.kernel.says(message(LINK, 0, 2, b"true"))
        self.assertEqual(self.asking.ask(LINK + 2, b""), b"true")
        self.kernel.says(refused(1, 0), port=SOMEBODY)
        self.kernel.says(refused(1, EPERM))
        self.assertRaises(PermissionError, self.asking.transact, [message(ROUTE, 0, 1, b"")], 1)

    def test_refused(self) -> None:
        """What the kernel refuses, of a dump at its beginning or its end, and that it could not say all."""
        self.kernel.says(refused(1, EPERM))
        self.assertRaises(PermissionError, self.asking.dump, ROUTE, b"")
        self.kernel.says(route(2, b"some"), done(2, errno=EPERM))
        self.assertRaises(PermissionError, self.asking.dump, ROUTE, b"")
        self.kernel.answers.append(OSError(ENOBUFS, "lost"))
        self.assertEqual(self.assertRaises(OSError, self.asking.dump, ROUTE, b"").errno, ENOBUFS)

    def test_torn(self) -> None:
        """An answer that is cut off is none; of one message that is torn nothing is taken."""
        self.kernel.says(route(1, b"some"), flags=socket.MSG_TRUNC)
        self.assertEqual(self.assertRaises(OSError, self.asking.dump, ROUTE, b"").errno, EMSGSIZE)
        self.kernel.says(route(2, b"good"), route(2, b"torn")[:-2])
        self.kernel.says(b"", done(2)[:10])
        self.kernel.says(done(2))
        self.assertEqual(self.asking.dump(ROUTE, b""), [b"good"])
