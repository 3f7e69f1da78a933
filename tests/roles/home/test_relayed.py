"""Links through the coordinator, by real sockets on this machine: a home, a coordinator, and a browser's end."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from morphnet.errors import Forged
from morphnet.net.http import HttpFactory
from morphnet.net.websocket import BACKLOG, Socket, server_factory
from morphnet.rendezvous.home.streams import Link
from morphnet.roles.coordinator.between import SPEAKS, Between
from morphnet.roles.coordinator.desk import Desk
from morphnet.roles.home.relayed import RelayedDoor, Seal

CALL, UP, DOWN, NONCES = "0" * 32, b"u" * 32, b"d" * 32, b"n" * 32
REACTOR: Any = reactor


class SealTests(SynchronousTestCase):
    def test_in_order(self) -> None:
        """What was sealed opens once, in its turn, and for nobody with another secret or nonce."""
        sender, receiver = Seal(UP, NONCES), Seal(UP, NONCES)
        first, second = sender.seal(b"one"), sender.seal(b"two")
        self.assertEqual(receiver.open(first), b"one")
        self.assertRaises(Forged, receiver.open, first)
        for other in (Seal(DOWN, NONCES), Seal(UP, NONCES[::-1] + b"x")):
            self.assertRaises(Forged, other.open, first)
        self.assertRaises(Forged, Seal(UP, NONCES).open, second)
        self.assertRaises(Forged, Seal(UP, NONCES).open, b"")


class Visit:
    """Keeps what comes; says what it is told to."""

    def __init__(self) -> None:
        self.link: Deferred[Link] = Deferred()
        self.got: list[bytes] = []
        self.over = False

    def opened(self, channel: Link) -> None:
        self.link.callback(channel)

    def message(self, channel: Link, data: bytes) -> None:
        self.got.append(data)

    def closed(self, channel: Link) -> None:
        self.over = True


class RelayedTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.between = Between(REACTOR, 4, 1e9)
        factory = server_factory(self.between, REACTOR, SPEAKS)
        desk = Desk({}, None, 0, proxied=False, relay=lambda: factory if self.between.may_come() else None)  # type: ignore[arg-type]
        self.port = REACTOR.listenTCP(0, HttpFactory(desk.answer, REACTOR, 60.0), interface="127.0.0.1")
        self.page = f"http://127.0.0.1:{self.port.getHost().port}"
        self.doors = [RelayedDoor(REACTOR) for _ in range(2)]

    async def _end(self) -> None:
        for door in self.doors:
            door.close()
        self.between.close()
        await self.port.stopListening()
        for _ in range(50):
            await deferLater(REACTOR, 0.1)
            if not REACTOR.getDelayedCalls():  # Autobahn's, of a second or less
                return

    def tearDown(self) -> Deferred[None]:  # type: ignore[override]
        return Deferred.fromCoroutine(self._end())

    def open(self, call: str = CALL) -> tuple[Visit, Visit]:
        """A home and a browser."""
        home, browser = Visit(), Visit()
        self.doors[0].open(self.page, home, call, Seal(DOWN, NONCES), Seal(UP, NONCES))
        self.doors[1].open(self.page, browser, call, Seal(UP, NONCES), Seal(DOWN, NONCES))
        return home, browser

    async def test_both_ways(self) -> None:
        """Eight megabytes each way arrive as they were, in order, and the coordinator sees none of it."""
        self.between.made(CALL, "home")
        home, browser = self.open()
        links = [await each.link for each in (home, browser)]
        seen: list[bytes] = []
        binary = self.between.binary

        def watched(socket: Socket, content: bytes) -> None:
            seen.append(content)
            binary(socket, content)

        self.between.binary = watched  # type: ignore[method-assign]
        said = [[b"plain%d" % way + os.urandom(16000) for _ in range(500)] for way in range(2)]
        for link, messages in zip(links, said, strict=True):
            for message in messages:
                link.send(message)
        while sum(len(each.got) for each in (home, browser)) < 1000:
            await deferLater(REACTOR, 0.02)
        self.assertEqual((browser.got, home.got), (said[0], said[1]))
        self.assertEqual((len(seen), any(b"plain" in each for each in seen)), (1000, False))
        self.assertEqual((self.between.counts["between_pairs"], len(self.doors[0])), (1, 1))
        links[1].close()
        while not home.over:
            await deferLater(REACTOR, 0.02)
        self.assertEqual((len(self.between), len(self.doors[0])), (0, 0))

    async def test_one_does_not_read(self) -> None:
        """While a browser reads nothing, no more than so much waits at the coordinator; then all of it arrives."""
        self.between.made(CALL, "home")
        home, browser = self.open()
        link, other = await home.link, await browser.link
        sockets = list(self.between._pairs)
        reader: Any = other
        reader._socket.stop_reading()
        for _ in range(1000):
            link.send(bytes(16000))
        most = 0
        for _ in range(50):
            await deferLater(REACTOR, 0.02)
            most = max(most, *(socket.unread for socket in sockets))
        self.assertLess(len(browser.got), 1000)
        self.assertLessEqual(most, BACKLOG)
        reader._socket.read_on()
        while len(browser.got) < 1000:
            await deferLater(REACTOR, 0.02)
        self.assertFalse(home.over)

    async def test_changed_on_the_way(self) -> None:
        """A coordinator that changes a byte ends the link, and nothing of it is heard."""
        self.between.made(CALL, "home")
        home, browser = self.open()
        link, _ = await home.link, await browser.link
        binary = self.between.binary
        self.between.binary = lambda socket, content: binary(socket, content[:-1] + b"x")  # type: ignore[method-assign]
        link.send(b"hello")
        while not (browser.over and home.over):
            await deferLater(REACTOR, 0.02)
        self.assertEqual(browser.got, [])

    async def test_refused(self) -> None:
        """For a call that nobody has made there is no link."""
        home, _ = self.open()
        while len(self.doors[0]) or len(self.doors[1]):
            await deferLater(REACTOR, 0.02)
        self.assertFalse(home.link.called)
        self.assertEqual(self.doors[0].open("", home, CALL, Seal(UP, NONCES), Seal(UP, NONCES)), False)
