"""The door to the router, over a socket in memory; the real one is in tests/lab/test_portmapping.py."""

from __future__ import annotations

import errno
import socket

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.pcp import RouterDoor
from tests.net.fakes import FakeReactor, FakeSocket

GATEWAY = ("192.168.1.1", 5351)


class RouterDoorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.heard: list[bytes] = []
        self.fake, self.reactor = FakeSocket(), FakeReactor()
        self.door = RouterDoor(
            self.reactor, self.heard.append, host="192.168.1.2", device="wan0", gateway="192.168.1.1"
        )
        self.door.udp.make_socket = self.fake.as_socket  # type: ignore[method-assign]
        self.door.open()

    def arrive(self, *datagrams: tuple[bytes, tuple[str, int]]) -> None:
        """These come."""
        self.fake.inbox.extend((data, [], 0, source) for data, source in datagrams)
        self.door.udp.doRead()

    def test_bound(self) -> None:
        """The door is bound to the uplink and to our address there."""
        self.assertEqual(self.fake.bound, ("192.168.1.2", 0))
        self.assertIn((socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"wan0\0"), self.fake.options)

    def test_ask(self) -> None:
        """Questions go to the gateway's port 5351."""
        self.door.ask(b"\0\0")
        self.assertEqual(self.fake.sent, [(b"\0\0", (), GATEWAY)])

    def test_heard(self) -> None:
        """The gateway is heard; others, and other ports of the gateway, are counted."""
        self.arrive((b"one", GATEWAY), (b"two", ("192.168.1.3", 5351)), (b"three", ("192.168.1.1", 5350)))
        self.assertEqual((self.heard, self.door.strangers), ([b"one"], 2))

    def test_joined(self) -> None:
        """Answers that the kernel joined are single again."""
        size = (socket.IPPROTO_UDP, 104, (4).to_bytes(4, "little"))
        self.fake.inbox.append((b"onetwofour", [size], 0, GATEWAY))
        self.door.udp.doRead()
        self.assertEqual(self.heard, [b"onet", b"wofo", b"ur"])

    def test_refused(self) -> None:
        """What the kernel does not send is counted, not raised."""
        self.fake.refusals.append(errno.ENETUNREACH)
        self.door.ask(b"\0\0")
        self.assertEqual(self.door.udp.counters()["error_ENETUNREACH"], 1)

    def test_done(self) -> None:
        """It closes, also in the middle of an answer; what is asked then is counted."""
        self.door._received = lambda datagram: self.door.done()
        self.arrive((b"one", GATEWAY))
        self.assertTrue(self.fake.closed)
        self.assertEqual(self.reactor.readers, set())
        self.door.ask(b"\0\0")
        self.assertEqual(self.door.udp.refused, 1)
