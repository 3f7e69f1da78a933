"""What the control port does with those who do not behave."""

from __future__ import annotations

import struct
from typing import cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from OpenSSL import crypto
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.test.iosim import FakeTransport
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.dial import Destination, Net
from morphnet.net.gate import Gate
from morphnet.net.limits import Limits
from morphnet.net.tls import ClientTls, Identity
from morphnet.roles.signalling.control_client import ControlClient
from morphnet.roles.signalling.control_server import ControlServer
from morphnet.wire.messages.control import (
    Drain,
    Hello,
    Join,
    Ping,
    Pong,
    Refusal,
    Renew,
    Renewed,
    Signal,
    SignalReader,
    Welcome,
    encode,
)
from tests.fakes_control import SERVER_HOST, FakeListener, Gateway, address_of
from tests.fakes_tls import CLIENT, INVITE, SERVER

HELLO = encode(Hello(name="laptop"))


class Raw(Protocol):
    """A peer that says what it is told to."""

    def __init__(self) -> None:
        self.received = b""
        self.gone = False

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: object = None) -> None:
        self.gone = True

    def say(self, data: bytes) -> None:
        """Send it."""
        assert self.transport is not None
        self.transport.write(data)

    def hang_up(self) -> None:
        """Leave."""
        assert self.transport is not None
        self.transport.loseConnection()

    def signals(self) -> list[Signal]:
        """All that the server has said."""
        return SignalReader().feed(self.received)


class PortTestCase(SynchronousTestCase):
    """A server, and peers that misbehave."""

    def setUp(self) -> None:
        self.gateway = Gateway()
        self.net, self.office = self.gateway.net, self.gateway.office
        self.serve(Limits(rate=1e6, burst=1 << 20))

    def serve(self, limits: Limits) -> None:
        """With other limits."""
        self.server = ControlServer(self.gateway.tls, self.office, Gate(self.net), limits)
        self.net.servers[SERVER_HOST] = self.server.factory

    def knock(self, client: IProtocol, host: str = "203.0.113.5") -> bool:
        """Connect from `host`; False when not even let in."""
        here, there = address_of(host, 40000), address_of(SERVER_HOST, 8443)
        server = self.server.factory.buildProtocol(here)
        if server is None:
            return False
        self.net.join(
            server, client, FakeTransport(client, False, here, there), FakeTransport(server, True, there, here)
        )
        return True

    def stranger(self, host: str = "203.0.113.5") -> Raw:
        """A peer without TLS."""
        raw = Raw()
        self.assertTrue(self.knock(cast(IProtocol, raw), host))
        return raw

    def insider(self, identity: Identity | None = None) -> Raw:
        """A peer with a good certificate (by default a client's), its handshake complete."""
        raw = Raw()
        inner = Factory()
        inner.buildProtocol = lambda addr: raw  # type: ignore[method-assign]
        tls = ClientTls(identity or self.gateway.laptop, "gateway")
        outer = TLSMemoryBIOFactory(tls, True, cast(IProtocolFactory, inner), self.net).buildProtocol(None)
        self.knock(cast(IProtocol, outer))
        self.net.settle()
        return raw

    def welcomed(self) -> Raw:
        """A peer whose session is open."""
        raw = self.insider()
        raw.say(HELLO)
        self.net.settle()
        self.assertIsInstance(raw.signals()[0], Welcome)
        return raw

    def healthy(self) -> FakeListener:
        """A client that behaves, seen through to the end of its call."""
        listener = FakeListener()
        tls = ClientTls(self.gateway.laptop, "gateway")
        ControlClient(cast(Net, self.net), tls, Destination(SERVER_HOST, 8443), listener).connect()
        self.net.settle()
        return listener


class StrangerTests(PortTestCase):
    """Before anybody has proven who he is."""

    def test_silent(self) -> None:
        """A connection on which nothing comes is closed after 10 s."""
        raw = self.stranger()
        self.net.pass_by(9.5, 0.5)
        self.assertFalse(raw.gone)
        self.net.pass_by(1, 0.5)
        self.assertTrue(raw.gone)
        self.assertEqual(self.server.admission.complaints.counts, {"handshake took too long": 1})
        self.assertEqual(self.server.counters()["control_links"], 0)

    def test_dribble(self) -> None:
        """A byte of a ClientHello each second does not buy more time."""
        raw = self.stranger()
        for byte in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00":
            raw.say(bytes([byte]))
            self.net.pass_by(1)
        self.assertTrue(raw.gone)

    @given(st.binary(min_size=20, max_size=400))
    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    def test_junk(self, junk: bytes) -> None:
        """What is not TLS is closed, now or in time, and reaches nobody."""
        raw = self.stranger()
        raw.say(junk)
        self.net.pass_by(11, 11)
        self.assertTrue(raw.gone)
        self.assertEqual(self.office.hellos, [])
        self.assertEqual(self.server.counters()["control_half_open"], 0)

    def test_http(self) -> None:
        """Another protocol is closed at once."""
        raw = self.stranger()
        raw.say(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
        self.net.settle()
        self.assertTrue(raw.gone)

    def test_limited(self) -> None:
        """Five connections at once from one source, twenty a second; TLS never sees the others (figure E2)."""
        self.serve(Limits())
        self.assertEqual([self.knock(cast(IProtocol, Raw())) for _ in range(8)], [True] * 5 + [False] * 3)
        self.assertTrue(self.knock(cast(IProtocol, Raw()), "203.0.113.6"))
        self.assertEqual(self.server.counters()["control_limited"], 3)
        self.assertEqual(self.server.counters()["control_half_open"], 6)
        self.net.pass_by(1)
        self.assertTrue(self.knock(cast(IProtocol, Raw())))

    def test_flood_from_one(self) -> None:
        """2000 half-open sockets of one source: the oldest make room, a client behind the same address gets in (E3)."""
        raws = [self.stranger("198.51.100.7") for _ in range(2000)]
        self.assertEqual(self.server.counters()["control_half_open"], 64)
        self.assertEqual(self.healthy().heard, [("welcomed",)])
        self.assertEqual(sum(raw.gone for raw in raws), 2000 - 63)
        self.net.pass_by(11, 5.5)
        self.assertTrue(all(raw.gone for raw in raws))
        self.assertEqual(self.server.counters()["control_links"], 1)

    def test_flood_from_many(self) -> None:
        """2000 half-open sockets of as many sources do not keep a client out either."""
        for number in range(2000):
            self.stranger(f"2001:db8:0:{number:x}::1")
        self.assertEqual(self.server.counters()["control_half_open"], 1024)
        self.assertEqual(self.healthy().heard, [("welcomed",)])

    def test_full(self) -> None:
        """When there are too many, one who has not proven himself makes room; when all have, nobody gets in."""
        self.serve(Limits(rate=1e6, burst=1 << 20, connections=2))
        first = self.welcomed()
        waiting = self.stranger()
        second = self.welcomed()
        self.assertEqual((first.gone, waiting.gone, second.gone), (False, True, False))
        self.assertFalse(self.knock(cast(IProtocol, Raw())))
        self.assertEqual(self.server.counters()["control_full"], 1)

    def test_group(self) -> None:
        """A handshake without ML-KEM goes no further than that (figure D8)."""
        self.gateway.tls._front.set_tmp_ecdh(crypto.get_elliptic_curve("prime256v1"))
        ((outcome, reason),) = self.healthy().heard
        self.assertEqual((outcome, reason), ("failed", "key exchange is not post-quantum"))
        self.assertEqual(self.office.hellos, [])

    def test_closing(self) -> None:
        """A server that stops lets nobody in and throws out who has not proven himself."""
        raw = self.stranger()
        stopped = self.server.close()
        self.net.settle()
        self.successResultOf(stopped)
        self.assertTrue(raw.gone)
        self.assertFalse(self.knock(cast(IProtocol, Raw())))


class InsiderTests(PortTestCase):
    """Those whose certificate is good."""

    def assert_dropped(self, raw: Raw) -> None:
        """The server has hung up, and nothing is left of it."""
        self.net.settle()
        self.assertTrue(raw.gone)
        self.assertEqual(self.server.counters()["control_links"], 0)
        self.assertEqual(self.office.callers, [])

    def test_no_hello(self) -> None:
        """Who says nothing after the handshake is dropped after 10 s, pings or not."""
        raw = self.insider()
        for _ in range(11):
            raw.say(encode(Ping(1)))
            self.net.pass_by(1)
        self.assert_dropped(raw)

    def test_office_too_slow(self) -> None:
        """A caller does not wait for the office for ever; the office's work is cancelled."""
        cancelled: list[object] = []
        self.office.hold = Deferred(cancelled.append)
        raw = self.insider()
        raw.say(HELLO)
        self.net.pass_by(11)
        self.assert_dropped(raw)
        self.assertEqual(len(cancelled), 1)

    def test_hangs_up_early(self) -> None:
        """A caller that hangs up while the office thinks about it cancels that, and is not mourned."""
        self.office.hold = Deferred()
        raw = self.insider()
        raw.say(HELLO)
        self.net.settle()
        assert raw.transport is not None
        raw.transport.loseConnection()
        self.assert_dropped(raw)
        self.assertEqual(self.office.went, [])

    def test_oversize(self) -> None:
        """A length over the limit ends the link before anything is kept."""
        raw = self.welcomed()
        raw.say(struct.pack("!I", (1 << 16) + 1))
        self.assert_dropped(raw)
        self.assertEqual(self.office.went, ["message of 65537 bytes"])

    def test_relay(self) -> None:
        """A relay, whose certificate is a server's, may have certificates renewed, its own or another's; no more."""
        relay, other = (self.gateway.ca.identity(name, usage) for name, usage in (("meet", SERVER), ("anna", CLIENT)))
        for said, whose in ((Renew("CSR"), "meet"), (Renew("CSR", other.certificate.decode()), "anna")):
            raw = self.insider(relay)
            raw.say(encode(said))
            self.net.settle()
            self.assertEqual(raw.signals(), [Renewed("NEXT")])
            self.assertEqual(self.office.renewed.pop(), (whose, "CSR"))
        raw = self.insider(relay)
        raw.say(HELLO)
        self.net.settle()
        self.assertEqual(raw.signals(), [Refusal("certificate of a wrong usage", None)])
        raw = self.insider(relay)
        raw.say(encode(Join("CSR")))
        self.assert_dropped(raw)
        self.assertEqual(self.office.hellos + self.office.joined, [])

    def test_renew_for_another(self) -> None:
        """A client may have its own certificate renewed, whichever it has now, and nobody else's."""
        for name, usage in (("anna", CLIENT), ("laptop", SERVER), ("laptop", INVITE)):
            raw = self.welcomed()
            raw.say(encode(Renew("CSR", self.gateway.ca.identity(name, usage).certificate.decode())))
            self.net.settle()
            self.assertEqual(raw.signals()[1], Refusal("certificate of another name", None))
        self.assertEqual(self.office.renewed, [])
        raw = self.welcomed()
        raw.say(encode(Renew("CSR", self.gateway.ca.identity("laptop", CLIENT).certificate.decode())))
        self.net.settle()
        self.assertEqual(raw.signals()[1], Renewed("NEXT"))

    def test_out_of_place(self) -> None:
        """What does not belong where it is said ends the link."""
        for said in (
            encode(Renew("CSR")),
            encode(Join("CSR")),
            encode(Drain(1.0)),
            encode(Drain(1.0)) + HELLO,
            b"\0\0\0\2{}",
        ):
            raw = self.insider()
            raw.say(said)
            self.assert_dropped(raw)
        raw = self.welcomed()
        raw.say(HELLO)
        self.assert_dropped(raw)

    def test_two_hellos_at_once(self) -> None:
        """A second Hello while the first is being answered ends the link."""
        self.office.hold = Deferred()
        raw = self.insider()
        raw.say(HELLO + HELLO)
        self.assert_dropped(raw)

    def test_too_many(self) -> None:
        """A hundred signals at once and twenty a second are borne, not more."""
        raw = self.welcomed()
        raw.say(encode(Ping(7)) * 99)
        self.net.settle()
        self.assertEqual(raw.signals()[1:], [Pong(7)] * 99)
        raw.say(encode(Ping(7)) * 40)
        self.assert_dropped(raw)
        self.assertEqual(self.office.went, ["too many messages"])

    def test_does_not_read(self) -> None:
        """What a caller leaves unread is bounded."""
        raw = self.welcomed()
        (caller,) = self.office.callers
        server = self.net.pumps[-1].serverIO
        server.producer.pauseProducing()  # what TCP does when the peer's window is closed
        for _ in range(1000):
            caller.send(Drain(1.0, "x" * 500))
        self.assertTrue(server.disconnecting)
        self.net.settle()
        self.assertEqual(self.office.went, ["peer does not read"])
        self.assertLess(len(raw.received), 300 << 10)

    def test_reads_again(self) -> None:
        """A caller that was slow for a while is forgiven."""
        self.welcomed()
        (caller,) = self.office.callers
        server = self.net.pumps[-1].serverIO
        for _ in range(4):
            server.producer.pauseProducing()
            for _ in range(300):
                caller.send(Drain(1.0, "x" * 500))
            server.producer.resumeProducing()
        self.assertFalse(server.disconnecting)

    def test_deaf_to_goodbye(self) -> None:
        """A caller that does not take the Goodbye is cut off after two seconds."""
        self.welcomed()
        pump = self.net.pumps.pop()
        stopped = self.server.close()
        self.net.advance(1)
        self.assertFalse(pump.serverIO.disconnecting)
        self.net.advance(1.1)
        self.assertTrue(pump.serverIO.disconnecting)
        pump.flush()
        self.successResultOf(stopped)

    def test_silent(self) -> None:
        """A caller that has fallen silent is dropped after 40 s, whatever we send it."""
        self.welcomed()
        pump = self.net.pumps.pop()
        for _ in range(39):
            self.net.advance(1)
        self.assertFalse(pump.serverIO.disconnecting)
        self.net.advance(1.1)
        self.assertTrue(pump.serverIO.disconnecting)

    def test_renewed_certificate_of_server(self) -> None:
        """A new certificate of the server is shown to the next caller; the links that are up go on."""
        before = self.welcomed()
        renewed = self.gateway.ca.identity("gateway", SERVER)
        self.gateway.tls.use(renewed)
        self.assertEqual(self.healthy().heard, [("welcomed",)])
        self.assertFalse(before.gone)
