"""A listening socket and its gate, without a network: the sockets are pairs."""

from __future__ import annotations

import errno
import socket
from typing import Any, cast

from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.net import listen
from morphnet.net.gate import Gate
from morphnet.net.listen import AT_ONCE, REST, Listener, dispensable, listen_tcp, opens
from morphnet.net.udp import UdpDoor
from tests.net.fakes import FakeReactor, FakeSocket


class Loop(Clock):
    """What a listener asks of the reactor."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []
        self.adopted = 0
        self.files = 1 << 16  # that may still be opened

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers = [each for each in self.readers if each is not reader]  # as often as one likes

    def adoptStreamConnection(self, number: int, family: int, factory: Any) -> None:
        if not self.files:
            raise OSError(errno.EMFILE, "Too many open files")
        self.adopted += 1


class Listening:
    """The kernel's queue of completed connections."""

    family = socket.AF_INET

    def __init__(self) -> None:
        self.queue: list[int | str] = []  # an errno, or an address
        self.asked = 0
        self.made: list[socket.socket] = []
        self.filters = 0

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        """The next of them."""
        self.asked += 1
        first = self.queue.pop(0) if self.queue else errno.EAGAIN
        if isinstance(first, int):
            raise OSError(first, "as the kernel says")
        ours, theirs = socket.socketpair()
        theirs.close()
        self.made.append(ours)
        return ours, (first, 4000)

    def setsockopt(self, *words: object) -> None:
        self.filters += 1

    def fileno(self) -> int:
        return 3

    def close(self) -> None:
        """It is."""


class Factory:
    """Started and stopped."""

    running = 0

    def doStart(self) -> None:
        self.running += 1

    def doStop(self) -> None:
        self.running -= 1


class ListenerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.loop, self.kernel, self.factory = Loop(), Listening(), Factory()
        self.gate = Gate(self.loop, 8, lambda: 0.0)
        self.listener = Listener(cast(socket.socket, self.kernel), cast(IProtocolFactory, self.factory), self.gate)
        self.listener.startListening()
        self.addCleanup(self._close)

    def _close(self) -> None:
        for made in self.kernel.made:
            made.close()

    def test_let_in(self) -> None:
        """Who comes is handed to the factory; of many no more in one turn of the loop than others can wait for."""
        self.kernel.queue = ["192.0.2.1"] * (AT_ONCE + 4)
        self.listener.doRead()
        self.assertEqual((self.kernel.asked, len(self.kernel.queue)), (AT_ONCE, 4))
        self.assertGreater(self.loop.adopted, 0)

    def test_left_again(self) -> None:
        """One who has left before it was looked at keeps nobody else waiting."""
        self.kernel.queue = [errno.ECONNABORTED, "192.0.2.1"]
        self.listener.doRead()
        self.assertEqual(self.loop.adopted, 1)

    def test_no_file_left(self) -> None:
        """Without a file for another it asks the kernel no more for a moment, says so, and goes on then."""
        self.kernel.queue = [errno.EMFILE, "192.0.2.1"]
        self.listener.doRead()
        self.assertEqual((self.loop.readers, self.kernel.asked), ([], 1))
        self.assertEqual(self.gate.counters()["callers_without_file"], 1)
        self.loop.advance(REST)
        self.assertEqual(self.loop.readers, [self.listener])
        self.listener.doRead()
        self.assertEqual(self.loop.adopted, 1)

    def test_no_file_for_it(self) -> None:
        """The same when the factory's copy finds no file: it is closed, and nothing breaks."""
        self.loop.files = 0
        self.kernel.queue = ["192.0.2.1"]
        self.listener.doRead()
        self.assertEqual((self.loop.adopted, self.kernel.made[0].fileno()), (0, -1))
        self.assertEqual(self.gate.counters()["callers_without_file"], 1)

    def test_stops(self) -> None:
        """When it stops, nobody waits any more and no timer is left; also in a rest, and twice."""
        self.kernel.queue = [*["192.0.2.1"] * 12, errno.EMFILE]
        self.listener.doRead()
        for _ in range(2):
            self.successResultOf(self.listener.stopListening())
        self.assertEqual((self.loop.readers, self.loop.getDelayedCalls(), self.factory.running), ([], [], 0))
        self.assertEqual([made for made in self.kernel.made if made.fileno() >= 0], [])


class OptionalTests(SynchronousTestCase):
    def test_without_ipv6(self) -> None:
        """A machine without IPv6 can do without listening there, if it listens elsewhere too."""
        for host, hosts, expected in (
            ("::", ("0.0.0.0", "::"), True),
            ("::", ("::",), False),
            ("10.0.0.1", ("::", "10.0.0.1"), False),
        ):
            self.assertIs(dispensable(host, hosts), expected)

    def test_opens(self) -> None:
        """A door that a machine can do without is none where it is refused; another one's refusal is told."""
        for host, optional, opened in (("192.0.2.1", False, True), ("example.org", True, False)):
            door = UdpDoor(FakeReactor(), 3, lambda arrivals: None, host=host)
            door.make_socket = FakeSocket().as_socket  # type: ignore[method-assign]
            self.assertIs(opens(door, optional=optional), opened)
        self.assertRaises(HostError, opens, door, optional=False)

    def test_refused(self) -> None:
        """Why a port is not for us is told, and of a low one what it takes."""
        for number, hinted in ((errno.EACCES, True), (errno.EADDRINUSE, False)):

            def refused(*asked: object, number: int = number) -> socket.socket:
                raise OSError(number, "no")

            self.patch(listen, "_listening", refused)
            told = str(self.assertRaises(HostError, listen_tcp, cast(Gate, None), "0.0.0.0", 443, cast(Any, None)))
            self.assertEqual(told.endswith("; ports below 1024 need root, or CAP_NET_BIND_SERVICE"), hinted)
            self.assertIn("cannot serve on 0.0.0.0 TCP port 443: no", told)
