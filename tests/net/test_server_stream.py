"""Streams between a client and its server, at the port of the control link and behind a web server."""

from __future__ import annotations

from itertools import count
from typing import Any, cast
from urllib.parse import quote

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.test.iosim import FakeTransport
from twisted.trial.unittest import SynchronousTestCase
from txaio.tx import config as autobahn_config

from morphnet.errors import Refused
from morphnet.net.admission import Admission
from morphnet.net.alpn import HttpTls
from morphnet.net.gate import Gate
from morphnet.net.limits import Limits
from morphnet.net.peer_stream import OPEN_WITHIN
from morphnet.net.proof import NotProven
from morphnet.net.server_stream import SUBPROTOCOL, ClientStreams, ServerStreams
from morphnet.net.tls import ClientTls, Identity, Peer
from morphnet.net.websocket import Socket, client_factory
from morphnet.roles.signalling.control_server import NO_STREAMS, ControlServer, nobody
from morphnet.wire.batch import Departure, Endpoint
from tests.fakes_control import CLIENT_HOST, SERVER_HOST, Gateway, address_of
from tests.fakes_portal import Portal, SilentPortal
from tests.fakes_relay import MANY
from tests.fakes_tls import INVITE, SERVER
from tests.net.fakes import FakeOwner
from tests.net.test_peer_stream import FakeListener

THERE = Endpoint(SERVER_HOST, 8443)


class ServerStreamTestCase(SynchronousTestCase):
    """A server, and a client that calls it."""

    def setUp(self) -> None:
        self.gateway = Gateway()
        self.net = self.gateway.net
        self.patch(autobahn_config, "loop", self.net)  # the one clock that Autobahn knows
        self.here, self.there = FakeListener(), FakeListener()
        self.calls = ClientStreams(self.here, self.net, count(1).__next__, self.admission(MANY))
        self.serve(MANY)

    def admission(self, limits: Limits) -> Admission[Socket]:
        """With a gate of its own."""
        return Admission(Gate(self.net), "streams", limits, OPEN_WITHIN)

    def serve(self, limits: Limits, *, takes: bool = True) -> None:
        """The server anew: so many streams may come, or none."""
        self.streams = ServerStreams(self.there, self.net, count(100).__next__, self.admission(limits))
        take = self.streams.take if takes else nobody
        self.control = ControlServer(self.gateway.tls, self.gateway.office, Gate(self.net), MANY, streams=take)
        self.net.servers[SERVER_HOST] = self.control.factory

    def tls(self, identity: Identity | None = None) -> HttpTls:
        """Of the laptop, or somebody else."""
        return HttpTls(ClientTls(identity or self.gateway.laptop, "gateway"))

    def call(self, identity: Identity | None = None) -> None:
        """The laptop, or somebody else, calls."""
        calling = TCP4ClientEndpoint(self.net, *THERE[:2]).connect(self.calls.calling(self.tls(identity), THERE))
        calling.addErrback(lambda failure: None)
        self.net.settle()


class ProvingTests(ServerStreamTestCase):
    """A call is won by who has proved to be the server."""

    def won(self) -> Deferred[IProtocol]:
        """What comes of a call."""
        calling = TCP4ClientEndpoint(self.net, *THERE[:2]).connect(self.calls.calling(self.tls(), THERE))
        calling.addCallback(self.calls.proof)
        self.net.settle()
        return calling

    def test_server(self) -> None:
        """The server has, before anything is said by HTTP."""
        self.successResultOf(self.won())
        self.assertEqual((len(self.here.streams), self.calls.counters()["streams_failed"]), (1, 0))

    def test_stranger(self) -> None:
        """Somebody else has not: the call has failed, and is counted."""
        self.net.servers[SERVER_HOST] = Portal(self.net).factory
        self.failureResultOf(self.won(), NotProven)
        self.assertEqual((self.here.streams, self.calls.counters()["streams_failed"]), ([], 1))

    def test_given_up(self) -> None:
        """One that is given up has not failed, and nothing of it is left."""
        self.net.servers[SERVER_HOST] = cast(IProtocolFactory, Factory.forProtocol(SilentPortal))
        calling = self.won()
        calling.cancel()
        self.net.settle()
        self.failureResultOf(calling, CancelledError)
        self.net.pass_by(2 * OPEN_WITHIN)
        self.assertEqual(self.calls.counters()["streams_failed"], 0)


class DirectTests(ServerStreamTestCase):
    def test_both_ways(self) -> None:
        """Each end has a door, knows the other by its certificate and its address, and runs of datagrams pass."""
        self.call()
        (one,), (other,) = self.here.streams, self.there.streams
        self.assertEqual((one.peer, other.peer), ("gateway", "laptop"))
        self.assertEqual((str(one), str(other)), ("tcp 192.0.2.1:8443", "tcp 198.51.100.7:50000"))
        one.send([Departure(one.number, THERE, b"abcdefgh", 3)])
        other.send([Departure(other.number, THERE, b"back", 4)])
        self.net.settle()
        self.assertEqual(self.there.arrivals, [(other.number, CLIENT_HOST, b"abcdefgh", 3)])
        self.assertEqual(self.here.arrivals, [(one.number, SERVER_HOST, b"back", 4)])

    def test_no_control_link(self) -> None:
        """It is no control link: none is counted, none waits for a hello, and the stream outlives its time."""
        self.call()
        self.assertEqual(
            (self.control.counters()["control_links"], self.control.counters()["control_half_open"]), (0, 0)
        )
        self.net.pass_by(15.0)
        self.assertEqual((len(self.there.streams), self.there.reasons), (1, []))

    def test_refused(self) -> None:
        """An invitation, another server and a revoked client open none."""
        for identity in (self.gateway.ca.identity("phone", INVITE), self.gateway.ca.identity("other", SERVER)):
            self.call(identity)
        self.gateway.tls._revoked = lambda peer: True
        self.call()
        self.net.pass_by(6.0)
        self.assertEqual((self.here.streams, self.there.streams), ([], []))
        self.assertEqual(len(self.streams.admission), 0)
        counts = self.streams.admission.complaints.counts
        self.assertEqual((counts["certificate of a wrong usage"], counts["certificate revoked"]), (2, 1))

    def test_too_many(self) -> None:
        """More than the bound are hung up on; one that goes makes room."""
        self.serve(Limits(rate=1e6, burst=1 << 20, connections=2))
        for _ in range(3):
            self.call()
        self.assertEqual((len(self.there.streams), self.streams.counters()["streams_full"]), (2, 1))
        self.there.streams[0].drop("enough")
        self.net.settle()
        self.call()
        self.assertEqual(len(self.there.streams), 2)

    def test_not_wanted(self) -> None:
        """Where no streams are taken, as at a relay, who asks for one is hung up on and counted."""
        self.serve(MANY, takes=False)
        self.call()
        self.assertEqual(self.control.admission.complaints.counts[NO_STREAMS], 1)
        self.assertEqual((len(self.control.admission), self.here.streams), (0, []))
        self.assertEqual(self.calls.counters()["streams_failed"], 1)

    def test_close(self) -> None:
        """A server that stops hangs up on every stream."""
        self.call()
        done = self.streams.close("server stops")
        self.net.settle()
        self.successResultOf(done)
        self.assertEqual((self.here.streams, self.there.streams), ([], []))


class ProxiedTests(ServerStreamTestCase):
    """A web server has done the TLS, and says in headers who has called."""

    def come(self, headers: dict[str, str]) -> FakeOwner:
        """A WebSocket from the web server."""

        def who(socket: Socket) -> tuple[Peer, str]:
            if "x-client-cert" not in socket.headers:
                raise Refused("certificate missing")
            return Peer(socket.headers["x-client-cert"], "client", "1", 0.0, 2e9), "203.0.113.9"

        self.behind = ServerStreams(self.there, self.net, count(100).__next__, self.admission(MANY), who)
        owner = FakeOwner()
        factory = client_factory(owner, "ws://127.0.0.1:8081/morphnet", self.net, SUBPROTOCOL)
        factory.setSessionParameters(  # type: ignore[attr-defined]
            "ws://127.0.0.1:8081/morphnet", protocols=[SUBPROTOCOL], headers=headers
        )
        here, there = address_of("127.0.0.1", 40000), address_of("127.0.0.1", 8081)
        server, client = self.behind.factory.buildProtocol(here), factory.buildProtocol(there)
        assert server is not None and client is not None
        self.net.join(
            server,
            client,
            FakeTransport(client, False, here, there),
            FakeTransport(server, True, there, here),
        )
        self.net.settle()
        return owner

    def test_known(self) -> None:
        """It is a stream of whom the web server names, from the address that it names."""
        owner = self.come({"X-Client-Cert": quote("laptop")})
        (stream,) = self.there.streams
        self.assertEqual((stream.peer, str(stream)), ("laptop", "tcp 203.0.113.9:40000"))
        stream.send([Departure(stream.number, THERE, b"down", 4)])
        self.net.settle()
        self.assertEqual(len(owner.came), 1)

    def test_nobody(self) -> None:
        """One of whom it says nothing finds nothing: HTTP refuses it, and the web server may put it in other words."""
        owner = self.come({})
        self.assertEqual(self.there.streams, [])
        self.assertIn("404", cast(Any, owner.socket).wasNotCleanReason)
        self.assertEqual(self.behind.admission.complaints.counts["certificate missing"], 1)
