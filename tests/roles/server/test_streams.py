"""Streams of clients, at the server's end."""

from __future__ import annotations

from twisted.internet.endpoints import TCP4ClientEndpoint

from morphnet.net.admission import Admission
from morphnet.net.alpn import HttpTls
from morphnet.net.gate import Gate
from morphnet.net.peer_stream import OPEN_WITHIN
from morphnet.net.server_stream import PATH, ClientStreams
from morphnet.net.tls import ClientTls
from morphnet.net.websocket import Socket
from morphnet.roles.client.streaming import PATIENCE
from morphnet.roles.server.streams import MOST_HELD
from morphnet.wire.batch import Endpoint
from tests.fakes_control import SERVER_HOST
from tests.fakes_relay import MANY
from tests.fakes_streams import StreamsTestCase
from tests.fakes_tls import CLIENT
from tests.net.test_peer_stream import FakeListener


class StreamsTests(StreamsTestCase):
    def call(self, name: str) -> FakeListener:
        """A client of that name opens a stream, and says nothing."""
        heard, admission = FakeListener(), Admission[Socket](Gate(self.net), "streams", MANY, OPEN_WITHIN)
        calls = ClientStreams(heard, self.net, self.client.new_number, admission)
        tls, there = HttpTls(ClientTls(self.ca.identity(name, CLIENT), "gateway")), Endpoint(SERVER_HOST, 443)
        TCP4ClientEndpoint(self.net, *there[:2]).connect(calls.calling(tls, there, PATH))
        self.net.settle()
        return heard

    def test_no_session(self) -> None:
        """Who has a good certificate and no session is hung up on."""
        heard = self.call("stranger")
        self.assertEqual((heard.streams, self.streams.counters()["streams"], self.told_there), ([], 0, []))

    def test_too_many(self) -> None:
        """Of one client so many: the next one costs the first that nothing came by, and never the one that works."""
        self.start(passes=False)
        self.run_for(PATIENCE + 1.0, sending=True)
        heard = [self.call("laptop") for _ in range(MOST_HELD)]
        self.assertEqual(self.streams.counters()["streams"], MOST_HELD)
        self.assertEqual([len(each.streams) for each in heard], [0] + [1] * (MOST_HELD - 1))
        self.run_for(1.0, sending=True)
        self.run_for(1.0)
        self.all_came()

    def test_session_closed(self) -> None:
        """When a session is closed its streams are, at the next look; those of others are not."""
        self.start(passes=False)
        self.run_for(PATIENCE + 1.0)
        self.server.tunnel.add_session("desk", bytes(16), self.session.tuning, ())
        other = self.call("desk")
        self.streams.look()
        self.assertEqual(self.streams.counters()["streams"], 2)
        self.server.tunnel.drop_session("laptop")
        self.streams.look()
        self.net.settle()
        self.assertEqual((self.streams.counters()["streams"], len(other.streams)), (1, 1))
        before = len(self.net.called)
        self.run_for(3.0)
        self.assertLessEqual(len(self.net.called) - before, 2)  # the client does not know, and is in no hurry

    def test_lost(self) -> None:
        """When the client's end is gone its path is silent at once, and both are told of."""
        self.start(passes=False)
        self.run_for(PATIENCE + 1.0)
        self.assertEqual(self.stream_paths(self.there), ["active"])
        (stream,) = self.streaming.sockets.streams.values()
        self.streaming.close()
        self.net.settle()
        self.assertEqual(self.stream_paths(self.there), ["silent"])
        self.assertIsNone(self.server.door(stream.number + 100))
        self.assertEqual(self.told_there, ["stream-up", "stream-gone"])

    def test_close(self) -> None:
        """When the server stops nobody is left."""
        self.start(passes=False)
        self.run_for(PATIENCE + 1.0)
        done = self.streams.close()
        self.net.settle()
        self.successResultOf(done)
        self.assertEqual(self.streams.counters()["streams"], 0)
