"""The feed, over a transport in memory."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.feed import MAX_CLIENTS, MAX_LINE, PATIENCE, POLL, FeedFactory, FeedProtocol
from morphnet.ops.feedclient import netcheck_status, node_status, pong
from tests.ops.fakes import FakeNode
from tests.ops.pictures import MACHINE, NETCHECK, NODE, PONG


class FeedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.node = FakeNode()
        self.factory = FeedFactory(self.clock, self.node)
        self.client, self.transport = self._connect()

    def _connect(self) -> tuple[FeedProtocol, StringTransport]:
        transport = StringTransport()
        client = self.factory.buildProtocol(None)
        client.makeConnection(transport)
        return client, transport

    def _answers(self, transport: StringTransport | None = None) -> list[dict[str, Any]]:
        transport = transport or self.transport
        answers = [json.loads(line) for line in transport.value().splitlines()]
        transport.clear()
        return answers

    def _ask(self, **request: object) -> dict[str, Any]:
        self.client.dataReceived(json.dumps(request).encode() + b"\n")
        (answer,) = self._answers()
        return answer

    def test_status(self) -> None:
        """The status over the wire is the status."""
        self.assertEqual(node_status(self._ask(ask="status")), NODE)

    def test_acts(self) -> None:
        """Every act reaches the node, and its sentence comes back."""
        self.assertEqual(self._ask(ask="scheduler", name="flow"), {"done": "1 session(s) use flow"})
        self.assertEqual(self._ask(ask="cut", path=1, session="x"), {"done": "path 1 is closed"})
        self.assertEqual(self._ask(ask="restore", path=1), {"done": "path 1 is open"})
        self.assertEqual(self._ask(ask="rekey"), {"done": "1 session(s) use a new key"})
        self.assertEqual(self._ask(ask="drop", session="x"), {"done": "session x is dropped"})
        self.assertEqual(self._ask(ask="reload"), {"done": "0 certificates are revoked"})
        self.assertEqual(
            self.node.asked,
            [("scheduler", "flow", ""), ("cut", 1, "x"), ("restore", 1, ""), ("rekey", ""), ("drop", "x"), ("reload",)],
        )

    def test_refused(self) -> None:
        """What the node refuses, and what is no request, is one sentence, and the connection stays."""
        self.assertEqual(self._ask(ask="cut", path=77), {"error": "no session has an open path 77"})
        self.client.dataReceived(b"\xff\xfe\n")
        self.assertEqual(self._answers(), [{"error": "a request is one JSON object in one line"}])
        self.assertFalse(self.transport.disconnecting)

    def test_watch(self) -> None:
        """A status now, and one each interval; the end of the connection ends it."""
        self._ask(ask="watch", every=2)
        self.clock.pump([1, 1, 1, 1])
        self.assertEqual(len(self._answers()), 2)
        self.client.connectionLost()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_watch_is_brief(self) -> None:
        """Who looks again and again is not told each time of all that was decided about each peer; who asks once is."""
        self.node.picture = MACHINE
        whole = [peer["decisions"] for peer in self._ask(ask="status")["peers"]]
        brief = [peer["decisions"] for peer in self._ask(ask="watch")["peers"]]
        self.assertEqual([each[-1:] for each in whole], brief)
        self.assertGreater(max(map(len, whole)), 1)

    def test_happenings(self) -> None:
        """The past in one answer, or line by line and then what comes."""
        self.assertEqual([each["number"] for each in self._ask(ask="happenings", after=1)["happenings"]], [2])
        self.client.dataReceived(b'{"ask": "happenings", "after": 1, "follow": true}\n')
        self.node.history.add("rekeyed", "x", "a new key")
        self.clock.advance(POLL)
        self.assertEqual([each["number"] for each in self._answers()], [2, 3])
        self.assertIn("follows something already", self._ask(ask="watch")["error"])

    def test_trace(self) -> None:
        """Lines while it lasts, a last word, and then the connection may be used again."""
        self.client.dataReceived(b'{"ask": "trace", "session": "x", "seconds": 5}\n')
        assert self.node.sink is not None  # the trace set it
        self.node.sink("<- path 1")
        self.clock.advance(5)
        answers = self._answers()
        self.assertEqual([each["trace"] for each in answers[:-1]][1:], ["<- path 1"])
        self.assertEqual(answers[-1], {"done": "trace: 5 s are over"})
        self.assertEqual(self.node.asked[-1], ("trace stopped",))
        self.assertIn("role", self._ask(ask="status"))

    def test_trace_left(self) -> None:
        """A client that leaves takes its trace with it."""
        self.client.dataReceived(b'{"ask": "trace"}\n')
        self.client.connectionLost()
        self.assertEqual(self.node.asked[-1], ("trace stopped",))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_ping(self) -> None:
        """The answer comes when the peer has answered; then the connection may be used again."""
        self.client.dataReceived(b'{"ask": "ping", "name": "nas", "seconds": 2}\n')
        self.assertEqual(self._answers(), [])
        self.assertIn("follows something already", self._ask(ask="ping", name="nas")["error"])
        self.node.pong.callback(PONG)
        (answer,) = self._answers()
        self.assertEqual(pong(answer), PONG)
        self.assertEqual(self.node.asked, [("ping", "nas", 2)])
        self.assertIn("known are nas", self._ask(ask="ping", name="bert")["error"])
        self.assertEqual(self._ask(ask="ping"), {"error": "ping needs 'name'"})

    def test_ping_left(self) -> None:
        """A client that leaves takes its question with it."""
        self.client.dataReceived(b'{"ask": "ping", "name": "nas"}\n')
        self.client.connectionLost()
        self.assertEqual(self.node.asked[-1], ("ping cancelled",))
        self.assertEqual(self._answers(), [])

    def test_netcheck(self) -> None:
        """What was found comes over the wire as it is."""
        self.assertEqual(netcheck_status(self._ask(ask="netcheck")), NETCHECK)

    def test_long_line(self) -> None:
        """A line over the limit ends the connection, whether or not its end ever comes."""
        for data in (b"x" * (MAX_LINE + 1), b"x" * (MAX_LINE + 1) + b"\n"):
            client, transport = self._connect()
            client.dataReceived(data)
            self.assertIn("at most 4096 bytes", self._answers(transport)[0]["error"])
            self.assertTrue(transport.disconnecting)

    def test_too_many(self) -> None:
        """One client over the limit is told so and closed; a place that becomes free is given again."""
        for _ in range(MAX_CLIENTS - 1):
            self._connect()
        late, transport = self._connect()
        self.assertEqual(self._answers(transport), [{"error": "32 clients are connected already"}])
        self.assertTrue(transport.disconnecting)
        late.connectionLost()
        self.client.connectionLost()
        self.assertEqual(self._answers(self._connect()[1]), [])

    def test_slow_reader(self) -> None:
        """While a client does not read, nothing more is written for it nor read from it; then it is dropped."""
        self._ask(ask="watch", every=1)
        self.client.pauseProducing()
        self.clock.pump([1] * int(PATIENCE - 1))
        self.client.dataReceived(b'{"ask": "status"}\n')
        self.assertEqual(self._answers(), [])
        self.assertFalse(self.transport.disconnected)
        self.clock.advance(1)
        self.assertTrue(self.transport.disconnected)
        self.assertEqual(self.factory.dropped, 1)

    def test_reads_again(self) -> None:
        """A client that reads again in time gets what it asked and what happened meanwhile."""
        self.client.dataReceived(b'{"ask": "happenings", "after": 2, "follow": true}\n')
        self.client.pauseProducing()
        self.node.history.add("rekeyed", "x", "a new key")
        self.clock.advance(POLL)
        self.client.dataReceived(b'{"ask": "reload"}\n')
        self.assertEqual(self._answers(), [])
        self.client.resumeProducing()
        self.clock.advance(POLL)
        self.assertEqual(
            [each.get("done") or each["kind"] for each in self._answers()], ["0 certificates are revoked", "rekeyed"]
        )
        self.clock.advance(PATIENCE)
        self.assertFalse(self.transport.disconnected)
