"""What the relay does with the bytes of passages, and who may be an end of one."""

from __future__ import annotations

from collections import deque
from ipaddress import ip_address
from typing import cast

from cryptography.x509 import DNSName, IPAddress
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.net.tls import Peer
from morphnet.net.websocket import BACKLOG, Socket
from morphnet.rendezvous.relay.registry import Terms
from morphnet.roles.relay.passing import COMINGS_AT_ONCE, End, Passing
from morphnet.wire.messages.relay import Asked, Joined, Meet, Reach, Register, TurnedAway, encode
from tests.fakes_relay import Raw, RelayTestCase
from tests.fakes_tls import CLIENT, SERVER, FakeCa, serial_of
from tests.rendezvous.relay.case import FakeLine

GATEWAY = encode(Register("gateway", "0" * 16, passages=True))
REACH = encode(Reach("203.0.113.1"))
PIECES = st.lists(st.integers(1, 60000), min_size=1, max_size=40)


class FakeSocket:
    """An end whose other side reads so much at a time; it takes no more than a real one."""

    def __init__(self) -> None:
        self.reads, self.stopped, self.dropped = True, False, ""
        self.held: deque[bytes] = deque()
        self.unread = 0
        self.read = bytearray()
        self.drained = lambda: None

    def send_binary(self, content: bytes) -> bool:
        """As Socket does: from when TCP is full, so much and no more."""
        if not self.reads and self.unread + len(content) > BACKLOG:
            return False
        self.unread += 0 if self.reads else len(content)
        self.held.append(content)
        self.reads = sum(map(len, self.held)) < 65536
        return True

    def take(self) -> None:
        """The other side reads all that is there."""
        self.read += b"".join(self.held)
        self.held.clear()
        if not self.reads:
            self.reads, self.unread = True, 0
            self.drained()

    def stop_reading(self) -> None:
        self.stopped = True

    def read_on(self) -> None:
        self.stopped = False

    def drop(self, reason: str) -> None:
        self.dropped = reason


class FakeEnd(FakeLine):
    """A line with a socket."""

    def __init__(self, name: str, kind: str) -> None:
        super().__init__(name)
        self.peer = Peer(name, kind, name, 0.0, 1e10)
        self.inner = FakeSocket()
        self.socket = cast(Socket, self.inner)


class SpliceTests(SynchronousTestCase):
    def joined(self) -> tuple[Passing, FakeEnd, FakeEnd]:
        """Two ends."""
        passing, line = Passing(Clock(), bytes, 1e9, 16), FakeLine("gateway")
        client, server = FakeEnd("laptop", "client"), FakeEnd("gateway", "server")
        passing.serve(line)
        passing.begin(cast(End, client), Reach("gateway"))
        (asked,) = line.news()
        assert isinstance(asked, Asked)
        passing.begin(cast(End, server), Meet(asked.token))
        return passing, client, server

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.booleans(), st.booleans(), PIECES), max_size=12))
    def test_whole(self, steps: list[tuple[bool, bool, list[int]]]) -> None:
        """Whatever is said, and whenever it is read, each end gets all bytes of the other, in order."""
        passing, client, server = self.joined()
        said = {client: bytearray(), server: bytearray()}
        todo: dict[FakeEnd, deque[bytes]] = {client: deque(), server: deque()}
        for by_client, reads, sizes in steps:
            end, other = (client, server) if by_client else (server, client)
            todo[end] += [bytes((number % 251,)) * size for number, size in enumerate(sizes)]
            self.say(passing, todo, said)
            if reads:
                other.inner.take()
        while any(todo.values()) or client.inner.held or server.inner.held:
            self.say(passing, todo, said)
            client.inner.take()
            server.inner.take()
        self.assertEqual((server.inner.read, client.inner.read), (said[client], said[server]))
        self.assertEqual((client.inner.dropped, server.inner.dropped), ("", ""))
        self.assertEqual((client.inner.stopped, server.inner.stopped), (False, False))

    def say(self, passing: Passing, todo: dict[FakeEnd, deque[bytes]], said: dict[FakeEnd, bytearray]) -> None:
        """As long as it is read."""
        for end, waiting in todo.items():
            while waiting and not end.inner.stopped:
                said[end] += waiting[0]
                passing.carry(cast(End, end), waiting.popleft())

    def test_full(self) -> None:
        """Should more come than there is room for, nothing is left out: it ends."""
        passing, client, server = self.joined()
        for _ in range(20):
            passing.carry(cast(End, client), bytes(60000))
        self.assertEqual((client.inner.dropped, server.inner.dropped), ("a passage is full", "a passage is full"))

    def test_nobody(self) -> None:
        """Who speaks before the server has come is no node of ours."""
        passing = Passing(Clock(), bytes, 1e9, 16)
        passing.serve(FakeLine("gateway"))
        client = FakeEnd("laptop", "client")
        passing.begin(cast(End, client), Reach("gateway"))
        self.assertRaises(MalformedFrame, passing.carry, client, b"x")


class PortTests(RelayTestCase):
    """By real sockets."""

    def gateway(self, first: bytes = GATEWAY, ca: FakeCa | None = None) -> Raw:
        """A server that says this first."""
        raw = self.raw((ca or self.ca).identity("gateway", SERVER))
        raw.say(first)
        self.net.settle()
        return raw

    def laptop(self, first: bytes = REACH) -> Raw:
        """A client that does."""
        raw = self.raw()
        raw.say(first)
        self.net.settle()
        return raw

    def token(self, line: Raw) -> str:
        """What the server was told last."""
        asked = line.messages()[-1]
        assert isinstance(asked, Asked)
        return asked.token

    def reason(self, raw: Raw) -> str:
        """Why it was turned away, and that it is gone."""
        self.net.settle()
        turned = raw.messages()[-1]
        assert isinstance(turned, TurnedAway), turned
        self.assertTrue(raw.gone)
        return turned.reason

    def joined(self) -> tuple[Raw, Raw]:
        """Both ends."""
        line, client = self.gateway(), self.laptop()
        server = self.gateway(encode(Meet(self.token(line))))
        self.assertEqual((client.messages(), server.messages()), ([Joined()], [Joined()]))
        return client, server

    def test_through(self) -> None:
        """Bytes go both ways, and with one end the other goes."""
        client, server = self.joined()
        client.say(b"hello", binary=True)
        server.say(b"welcome", binary=True)
        self.net.settle()
        self.assertEqual((server.binaries, client.binaries), ([b"hello"], [b"welcome"]))
        self.assertEqual(self.relay.counters()["passages"], 1)
        client.sendClose(1000)
        self.net.settle()
        self.assertTrue(server.gone)
        self.assertEqual(self.relay.counters()["passages"], 0)

    def test_turned_away(self) -> None:
        """Without a server that comes, with a token that nobody has, in a wrong part: a sentence, and the end."""
        self.gateway(encode(Register("gateway", "0" * 16)))  # one of before
        self.assertIn("no server", self.reason(self.laptop()))
        self.assertIn("nobody waits", self.reason(self.gateway(encode(Meet("ab" * 16)))))
        self.assertIn("wrong usage", self.reason(self.laptop(encode(Meet("ab" * 16)))))
        self.assertIn("wrong usage", self.reason(self.gateway(REACH)))

    def test_which(self) -> None:
        """Of two servers the client's is the one whose certificate carries the address, or the name, that it says."""
        one = self.ca.identity("gateway", SERVER, names=[DNSName("gateway"), IPAddress(ip_address("192.0.2.1"))])
        two = self.ca.identity("second", SERVER, names=[DNSName("second"), IPAddress(ip_address("2001:db8::2"))])
        lines = []
        for identity, name in ((one, "gateway"), (two, "second")):
            line = self.raw(identity)
            line.say(encode(Register(name, "0" * 16, passages=True)))
            self.net.settle()
            lines.append(line)
        for reach, asked in (
            (Reach("192.0.2.1"), [1, 0]),
            (Reach("2001:db8::2"), [0, 1]),
            (Reach("192.0.2.1", "second"), [0, 1]),
            (Reach("SECOND"), [0, 1]),
        ):
            before = [len(line.messages()) for line in lines]
            self.laptop(encode(reach)).sendClose(1000)
            self.net.settle()
            self.assertEqual(
                [len(line.messages()) for line in lines], [a + b for a, b in zip(before, asked, strict=True)], reach
            )
        self.assertIn("set `server_name`", self.reason(self.laptop(encode(Reach("192.0.2.7")))))

    def test_flood(self) -> None:
        """A client that asks again and again is turned away without its server being told."""
        line = self.gateway()
        for _ in range(COMINGS_AT_ONCE):
            self.laptop().sendClose(1000)
            self.net.settle()
        told = len(line.messages())
        self.assertIn("too often", self.reason(self.laptop()))
        self.assertEqual(len(line.messages()), told)

    def test_nobody_comes(self) -> None:
        """A client does not wait for ever."""
        self.gateway()
        client = self.laptop()
        self.net.pass_by(6.0)
        self.assertTrue(client.gone)

    def test_out_of_place(self) -> None:
        """In a passage nobody registers."""
        client, server = self.joined()
        client.say(encode(Register("laptop", "0" * 16)))
        self.net.settle()
        self.assertEqual((client.gone, server.gone), (True, True))

    def serials(self) -> dict[str, list[str]]:
        """Of the certificates of those who are at the relay, in the order in which they came."""
        found: dict[str, list[str]] = {}
        for line in self.relay._lines.values():
            found.setdefault(line.name, []).append(line.serial)
        return found

    def revoke(self, *serials: str) -> None:
        """The relay hears of a list with these."""
        network = next(iter(self.relay._lines.values())).network
        self.registry.revoke(network, serials, 1)
        self.relay.end_revoked()
        self.net.settle()

    def test_revoked(self) -> None:
        """A certificate that is revoked ends the passage of who shows it, the client or the server, and no other."""
        for name in ("laptop", "gateway"):
            self.serve()
            client, server = self.joined()
            self.revoke(serial_of(self.ca.identity("other", CLIENT)))
            self.assertEqual((client.gone, server.gone), (False, False))
            self.revoke(self.serials()[name][-1])
            self.assertEqual((client.gone, server.gone), (True, True), name)
            self.assertEqual(self.relay.counters()["passages"], 0)

    def test_revoked_while_it_waits(self) -> None:
        """Whoever is revoked before the other end has come gets no passage, and the token is good for nobody."""
        line, client = self.gateway(), self.laptop()
        token = self.token(line)
        self.revoke(self.serials()["laptop"][-1])
        self.assertTrue(client.gone)
        self.assertIn("nobody waits", self.reason(self.gateway(encode(Meet(token)))))

    def test_expired(self) -> None:
        """A certificate that has expired ends what it has opened."""
        client, server = self.joined()
        self.relay.end_expired(4e9)
        self.net.settle()
        self.assertEqual((client.gone, server.gone), (True, True))

    def test_rate(self) -> None:
        """Who sends more than a node may is read later, and all of it is handed on."""
        self.serve(terms=Terms(node_rate=1e5))
        client, server = self.joined()
        for _ in range(10):
            client.say(bytes(30000), binary=True)
        self.net.settle()
        self.assertLess(len(server.binaries), 10)
        self.net.pass_by(5.0, 0.1)
        self.assertEqual(len(server.binaries), 10)
