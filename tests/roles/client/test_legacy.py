"""Our client at a server of the original, its sockets made of memory."""

from __future__ import annotations

import json
import random
from base64 import b64encode
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import DNSLookupError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import ClientConfig
from morphnet.legacy.control import CLOSE, CONNECTED, Answer, read_handshake, write_answer
from morphnet.legacy.session import Session
from morphnet.net.pump import Pump
from morphnet.ops.headline import AT_ORIGINAL
from morphnet.roles.client import legacy
from morphnet.roles.client.legacy import LegacyLink, LegacyNode
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Endpoint
from tests.legacy.test_control import KEY
from tests.legacy.test_session import HOME
from tests.roles.server.test_legacy import DATAGRAMS, FakeDoor

CONTROL = Endpoint("203.0.113.1", 12301)
PROGRAM = Endpoint("127.0.0.1", 51820)
SOURCES = (CONTROL, CONTROL._replace(port=40000), CONTROL._replace(port=5), HOME)


def answered(port: int, client: bytes) -> bytes:
    """The server's answer to a client."""
    return KEY.seal(json.dumps({"port": port, "clientID": b64encode(client).decode(), "status": CONNECTED}))


class FakeNet(Clock):
    """Time, and names."""

    known: Deferred[str] | None = None

    def resolve(self, name: str) -> Deferred[str]:
        return self.known or succeed(CONTROL.host)


class LegacyLinkTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(legacy, "FragmentingDoor", FakeDoor)
        self.patch(FakeDoor, "every", [])
        self.net, numbers = FakeNet(), iter(range(9))
        config = replace(ClientConfig(), legacy="old.example:12301:anna")
        self.link = LegacyLink(config, KEY, self.net, lambda: next(numbers), self.net.seconds)
        self.link.open()
        self.local, self.outer = FakeDoor.every

    def connect(self) -> Session:
        """The server answers: its end."""
        self.link.look()
        ((to, sealed),) = self.outer.said()
        self.assertEqual(to, CONTROL)
        handshake = read_handshake(KEY.open(sealed))
        self.assertEqual(handshake.user, "anna")
        self.outer.hears(CONTROL, KEY.seal(write_answer(Answer(40000, handshake.client, CONNECTED))))
        return Session(handshake, HOME, random.Random(1).randbytes, now=0.0)

    def test_both_ways(self) -> None:
        """WireGuard's datagrams go to the session's port, and what comes from there to WireGuard."""
        server, place = self.connect(), CONTROL._replace(port=40000)
        self.local.hears(PROGRAM, b"there")
        ((to, datagram),) = self.outer.said()
        self.assertEqual((to[:2], server.receive(HOME, [datagram], now=0.0)), (place[:2], [b"there"]))
        self.outer.hears(place, *server.send(b"back", 4, now=0.0, millis=0))
        self.assertEqual(self.local.said(), [(PROGRAM, b"back")])

    def test_strays(self) -> None:
        """Garbage from the server's ports and from elsewhere is counted, and harms nothing."""
        self.connect()
        self.local.hears(PROGRAM, b"x")
        for source in (CONTROL, CONTROL._replace(port=40000), HOME, CONTROL._replace(host="192.0.2.77")):
            self.outer.hears(source, b"stray")
        self.assertEqual((self.link.strangers, self.local.said(), self.link.caller.state), (4, [], "connected"))

    @given(st.lists(st.tuples(st.sampled_from(SOURCES), DATAGRAMS | st.integers(0, 70000)), max_size=20))
    def test_anything(self, coming: list[tuple[Endpoint, tuple[bytes, bool] | int]]) -> None:
        """Whatever comes from whomever raises nothing; WireGuard hears nothing but what is from the session's port."""
        self.setUp()
        client = self.connect().handshake.client
        self.local.hears(PROGRAM, b"there")
        for source, what in coming:
            place = self.link.caller.session.peer if self.link.caller.session is not None else CONTROL
            datagram = what[0] or b"x" if isinstance(what, tuple) else answered(what, client)
            self.outer.hears(source, datagram)
            if source[:2] != place[:2]:
                self.assertEqual(self.local.said(), [])
            self.link.look()
        self.link.close()

    def test_unknown_name(self) -> None:
        """It is looked up again, and said."""
        self.net.known = fail(DNSLookupError("no"))
        self.link.look()
        self.assertEqual((self.outer.said(), self.link.caller.state), ([], "calling: there is no old.example"))
        self.net.known = None
        self.net.advance(60.0)
        self.connect()

    def test_closed_meanwhile(self) -> None:
        """Who stops while a name is looked up sends nothing any more."""
        self.net.known = Deferred()
        self.link.look()
        self.link.close()
        self.assertEqual(self.outer.said(), [])

    def test_close(self) -> None:
        """The server is told, also while a name is looked up."""
        self.connect()
        self.link.close()
        self.assertEqual([KEY.open(each) for _, each in self.outer.said()], [CLOSE])
        self.assertFalse(self.local.is_open or self.outer.is_open)

    def test_heartbeat(self) -> None:
        """An idle session is kept."""
        server = self.connect()
        self.net.advance(121.0)
        self.link.look()
        ((_, datagram),) = self.outer.said()
        server.receive(HOME, [datagram], now=5.0)
        self.assertEqual(server.heard_at, 5.0)

    def test_node(self) -> None:
        """Its headline says whether it is connected; what it is worth is a warning."""
        tunnel: Any = Tunnel(server=False, entropy=bytes)
        node = LegacyNode("laptop", Pump(self.net, tunnel, self.net.seconds), self.link, "127.0.0.1:51821")
        node.follow()
        self.assertFalse(node.status().well)
        self.connect()
        node.follow()
        status = node.status()
        self.assertEqual((status.state, status.well, status.headline), (AT_ORIGINAL, True, AT_ORIGINAL))
        self.assertIn("does not protect", status.warnings[0])
        for source in (CONTROL, CONTROL._replace(port=40000), HOME):
            self.outer.hears(source, b"stray")
        self.assertEqual([node.status().counters[f"legacy_{name}"] for name in ("strangers", "malformed")], [3, 1])
        self.assertEqual([each.kind for each in node.happenings(0)], ["legacy", "legacy"])
