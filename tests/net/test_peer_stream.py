"""Streams between peers, and what their port does with those who are none."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.test.iosim import FakeTransport
from twisted.trial.unittest import SynchronousTestCase
from txaio.tx import config as autobahn_config

from morphnet.net.limits import Limits
from morphnet.net.peer_stream import OPEN_WITHIN, PeerStream, StreamPort
from morphnet.net.tls import Identity, PeersTls, PeerTls
from morphnet.net.websocket import client_factory
from morphnet.wire.batch import Arrival, Departure, Endpoint
from tests.fakes_control import CLIENT_HOST, SERVER_HOST, FakeNet, address_of
from tests.fakes_relay import MANY
from tests.fakes_tls import CLIENT, SERVER, FakeCa, serial_of

THERE = Endpoint(SERVER_HOST, 4711)


class FakeListener:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.streams: list[PeerStream] = []
        self.arrivals: list[tuple[int, str, bytes, int]] = []
        self.reasons: list[str] = []

    def opened(self, stream: PeerStream) -> None:
        self.streams.append(stream)

    def arrived(self, arrivals: Sequence[Arrival]) -> None:
        """Keep each as (door, host, data, size)."""
        self.arrivals += [(each.door, each.source.host, bytes(each.data), each.size) for each in arrivals]

    def lost(self, stream: PeerStream, reason: str) -> None:
        """It is open no more; keep why."""
        self.streams.remove(stream)
        self.reasons.append(reason)


class Stranger(Protocol):
    """Somebody without manners."""

    def __init__(self) -> None:
        self.gone, self.heard = False, b""

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: object = None) -> None:
        self.gone = True

    def say(self, data: bytes) -> None:
        """Send it."""
        assert self.transport is not None
        self.transport.write(data)


class StreamTestCase(SynchronousTestCase):
    """bert listens at SERVER_HOST and knows anna; anna calls."""

    def setUp(self) -> None:
        self.net, self.ca = FakeNet(), FakeCa()
        self.patch(autobahn_config, "loop", self.net)  # the one clock that Autobahn knows
        self.revoked: set[str] = set()
        self.known = {"anna"}
        self.bert = self.ca.identity("bert", CLIENT)
        self.here, self.there = FakeListener(), FakeListener()
        self.anna = self.port(self.ca.identity("anna", CLIENT), self.here)
        self.serve()

    def port(self, identity: Identity, listener: FakeListener, limits: Limits = MANY) -> StreamPort:
        """One end."""
        tls = PeersTls(identity, self.known.__contains__, lambda peer: peer.serial in self.revoked)
        return StreamPort(tls, listener, self.net, count(100).__next__, limits)

    def serve(self, limits: Limits = MANY) -> None:
        """Bert anew, with other limits."""
        self.called = self.port(self.bert, self.there, limits)
        self.net.servers[SERVER_HOST] = self.called.factory

    def call(self, identity: Identity | None = None, wanted: str = "bert") -> None:
        """Anna, or somebody else, calls."""
        tls = PeerTls(identity or self.ca.identity("anna", CLIENT), wanted, lambda peer: peer.serial in self.revoked)
        endpoint = TCP4ClientEndpoint(self.net, *THERE[:2])
        self.let_through(endpoint.connect(self.anna.calling(tls, THERE)))

    def let_through(self, calling: Any) -> None:
        """Let the call go through."""
        calling.addErrback(lambda failure: None)
        self.net.settle()

    def pair(self) -> tuple[PeerStream, PeerStream]:
        """Both ends of one that is open."""
        self.call()
        self.assertEqual((len(self.here.streams), len(self.there.streams)), (1, 1))
        return self.here.streams[0], self.there.streams[0]

    def stranger(self, host: str = CLIENT_HOST) -> Stranger | None:
        """A connection without TLS; None when it is not let in."""
        here, there = address_of(host, 40000), address_of(*THERE[:2])
        server, raw = self.called.factory.buildProtocol(here), Stranger()
        if server is None:
            return None
        client: IProtocol = raw
        self.net.join(server, client, FakeTransport(raw, False, here, there), FakeTransport(server, True, there, here))
        return raw


class OpenTests(StreamTestCase):
    def test_names(self) -> None:
        """Each end knows the other by its certificate, and where it is."""
        one, other = self.pair()
        self.assertEqual((one.peer, other.peer), ("bert", "anna"))
        self.assertEqual((str(one), str(other)), ("tcp 192.0.2.1:8443", "tcp 198.51.100.7:50000"))
        self.assertEqual(self.called.counters()["streams"], 1)

    def test_datagrams(self) -> None:
        """A run of datagrams arrives as it was sent, in both directions."""
        one, other = self.pair()
        to = Endpoint("whoever", 0)
        one.send([Departure(one.number, to, b"abcdefgh", 3), Departure(one.number, to, b"x", 1)])
        other.send([Departure(other.number, to, b"back", 4)])
        self.net.settle()
        self.assertEqual(self.there.arrivals, [(other.number, "anna", b"abcdefgh", 3), (other.number, "anna", b"x", 1)])
        self.assertEqual(self.here.arrivals, [(one.number, "bert", b"back", 4)])
        self.assertEqual((one.sent, other.received, one.refused), (2, 2, 0))

    def test_end(self) -> None:
        """When one end hangs up both are told, and what is sent afterwards is counted."""
        one, other = self.pair()
        other.end("enough")
        self.net.settle()
        self.assertEqual((self.here.streams, self.there.streams, self.there.reasons), ([], [], ["enough"]))
        one.send([Departure(one.number, Endpoint("bert", 0), b"x", 1)])
        self.assertEqual(one.refused, 1)

    def test_close(self) -> None:
        """A port that closes ends all, and lets nobody in."""
        self.pair()
        self.called.close("we stop")
        self.net.settle()
        self.assertEqual((self.here.streams, self.there.streams), ([], []))
        self.assertIsNone(self.stranger())

    def test_no_sign_of_life(self) -> None:
        """A stream in doubt is dropped, unless the other end answers."""
        one, _ = self.pair()
        one.prove(2.0)
        self.net.pass_by(3.0)
        self.assertEqual(self.here.streams, [one])
        pumps, self.net.pumps = self.net.pumps, []  # nothing passes
        one.prove(2.0)
        self.net.advance(2.5)
        self.net.pumps = pumps
        self.net.settle()
        self.assertEqual(self.here.reasons, ["no sign of life"])

    def test_met_half_way(self) -> None:
        """Who is called by the one he was calling takes the part of the server."""
        tls = PeerTls(self.ca.identity("anna", CLIENT), "bert", lambda peer: peer.serial in self.revoked)
        here, there = address_of(CLIENT_HOST, 4712), address_of(*THERE[:2])
        client: IProtocol | None = self.anna.calling(tls, THERE).buildProtocol(there)
        server = self.called.met.buildProtocol(here)
        assert client is not None and server is not None
        ends = FakeTransport(client, False, here, there), FakeTransport(server, True, there, here)
        self.net.join(server, client, *ends)
        self.net.settle()
        self.assertEqual([each.peer for each in (*self.here.streams, *self.there.streams)], ["bert", "anna"])


class StrangerTests(StreamTestCase):
    def refused(self, reason: str) -> None:
        """Nobody came in, for that reason."""
        self.net.settle()
        self.assertEqual((self.here.streams, self.there.streams), ([], []))
        self.assertEqual(dict(self.called.admission.complaints.counts), {reason: 1})
        self.assertEqual((self.called.streams, len(self.anna.streams)), ({}, 0))

    def test_unknown_name(self) -> None:
        """A certificate of the network whose name is no peer's is refused."""
        self.call(self.ca.identity("carl", CLIENT))
        self.refused("certificate of another name")

    def test_foreign(self) -> None:
        """One of another CA too."""
        self.call(FakeCa().identity("anna", CLIENT, trust=self.ca.pem))
        self.refused("certificate with a wrong signature")

    def test_revoked(self) -> None:
        """A revoked one too."""
        anna = self.ca.identity("anna", CLIENT)
        self.revoked.add(serial_of(anna))
        self.call(anna)
        self.refused("certificate revoked")

    def test_server(self) -> None:
        """A server is no peer, whatever its name."""
        self.call(self.ca.identity("anna", SERVER))
        self.refused("certificate of a wrong usage")

    def test_nothing_but_an_alert(self) -> None:
        """After the handshake's own messages, who is refused gets an alert and the end: no byte of HTTP."""
        raw = self.stranger()
        assert raw is not None
        tls = PeerTls(self.ca.identity("carl", CLIENT), "bert", lambda peer: peer.serial in self.revoked)
        connection = tls.clientConnectionForTLS(cast(Any, None))
        heard = b""
        for _ in range(3):
            try:
                connection.do_handshake()
                connection.recv(1 << 14)
            except SSL.WantReadError:
                pass
            except SSL.Error as trouble:
                heard += str(trouble).encode()
                break
            try:
                raw.say(connection.bio_read(1 << 16))
            except SSL.WantReadError:
                pass
            self.net.settle()
            if raw.heard:
                connection.bio_write(raw.heard)
                raw.heard = b""
        self.assertIn(b"alert", heard)
        self.assertTrue(raw.gone)

    def test_wrong_peer(self) -> None:
        """Anna does not talk to bert when she wanted carl."""
        self.call(wanted="carl")
        self.assertEqual((self.here.streams, self.there.streams, self.anna.counters()["streams_failed"]), ([], [], 1))

    def test_silent(self) -> None:
        """A connection on which nothing comes is closed in time."""
        raw = self.stranger()
        assert raw is not None
        self.net.pass_by(OPEN_WITHIN + 0.5, 0.5)
        self.assertTrue(raw.gone)
        self.refused("handshake took too long")

    @given(st.binary(min_size=20, max_size=400))
    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    def test_junk(self, junk: bytes) -> None:
        """What is not TLS is closed, now or in time."""
        raw = self.stranger()
        assert raw is not None
        raw.say(junk)
        self.net.pass_by(6, 3)
        self.assertTrue(raw.gone)
        self.assertEqual((self.called.streams, self.there.streams), ({}, []))

    def test_limited(self) -> None:
        """A source may knock so often and no more; another one is let in."""
        self.serve(Limits(rate=1.0, burst=3))
        self.assertEqual([self.stranger() is not None for _ in range(5)], [True] * 3 + [False] * 2)
        self.assertIsNotNone(self.stranger("203.0.113.9"))
        self.assertEqual(self.called.counters()["streams_limited"], 2)

    def test_crowd(self) -> None:
        """Many that sit there do not keep a peer out: the oldest make room."""
        self.serve(Limits(rate=1e6, burst=1 << 20, connections=8, half_open=8, half_open_per_source=4))
        for number in range(40):
            self.stranger(f"203.0.113.{number}")
            self.net.settle()
        self.assertLessEqual(len(self.called.streams), 8)
        self.pair()


class MisbehaviourTests(StreamTestCase):
    """A peer, in order, that says what has no place."""

    def say(self, content: bytes, *, binary: bool) -> None:
        """From anna's end."""
        self.pair()
        socket = next(iter(self.anna.streams))
        (socket.send_binary if binary else socket.send_text)(content)
        self.net.settle()

    def dropped(self) -> None:
        """The stream is gone, and nothing was handed on."""
        self.assertEqual((self.here.streams, self.there.streams, self.there.arrivals), ([], [], []))
        self.assertEqual(len(self.there.reasons), 1)

    def test_text(self) -> None:
        """There are no texts."""
        self.say(b"{}", binary=False)
        self.dropped()
        self.assertEqual(self.there.reasons, ["text on a stream"])

    def test_bad_bundles(self) -> None:
        """A bundle of nothing, of datagrams without a byte, or of too many ends the stream, and is counted."""
        for content in (b"", b"\0", b"\0\5", b"\0\0abc", b"\0\1" + b"x" * 5000):
            self.setUp()
            self.say(content, binary=True)
            self.dropped()
            self.assertEqual(sum(self.called.admission.complaints.counts.values()), 1)

    def test_other_protocol(self) -> None:
        """Who does not ask for our subprotocol is no peer."""
        tls = PeerTls(self.ca.identity("anna", CLIENT), "bert", lambda peer: peer.serial in self.revoked)
        self.patch(self.anna, "calling", lambda tls, to: _relay_speaker(self.anna, tls, self.net))
        endpoint = TCP4ClientEndpoint(self.net, *THERE[:2])
        self.let_through(endpoint.connect(self.anna.calling(tls, THERE)))
        self.net.pass_by(6)
        self.assertEqual((self.here.streams, self.there.streams, self.called.streams), ([], [], {}))


def _relay_speaker(owner: StreamPort, tls: PeerTls, net: FakeNet) -> Any:
    """What a node calls a relay with."""

    return TLSMemoryBIOFactory(tls, True, client_factory(owner, "wss://192.0.2.1:4711/", net), cast(Any, net))
