"""Streams as a mesh uses them."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.interfaces import IProtocol
from twisted.test.iosim import FakeTransport

from morphnet.net.ondevice import Source
from morphnet.net.peer_stream import StreamPort
from morphnet.net.tls import PeersTls, PeerTls
from morphnet.roles.peers.reaching import ENOUGH, MOST_HELD, PATIENCE, REST
from morphnet.tunnel.path import State
from morphnet.wire.batch import Endpoint
from morphnet.wire.candidates import LINE, Candidate
from morphnet.wire.candidates import STREAM as STREAM_CANDIDATE
from tests.fakes_control import address_of
from tests.fakes_tls import serial_of
from tests.roles.peers.fakes import identity
from tests.roles.peers.two_meshes import HOSTS, End, FakeMeeting, StreamsTestCase

TO_BERT = "tcp 198.51.100.6:8443"  # in memory every call goes to that port


class SearchTests(StreamsTestCase):
    def test_patience(self) -> None:
        """Nobody is called before the search has gone on for a while."""
        self.anna.search()
        self.net.pass_by(PATIENCE - 0.1, 0.1)
        self.assertEqual(self.net.called, [])
        self.net.pass_by(0.2, 0.1)
        self.assertEqual(self.net.called, [(HOSTS["bert"], (HOSTS["anna"], 0))])

    def test_caller_calls(self) -> None:
        """A stream that the caller opens carries a path of rank STREAM at both ends, and it works."""
        self.search(self.anna)
        self.assertEqual(self.held(), (1, 1))
        (here,), (there,) = self.anna.paths(), self.bert.paths()
        self.assertEqual((here.state, there.state), (State.ACTIVE, State.ACTIVE))
        self.assertRegex(here.uplink, r"^tcp 198\.51\.100\.6:\d+$")
        self.assertEqual((here.remote, there.remote), (Endpoint("bert", 0), Endpoint("anna", 0)))
        self.assertIn("stream-up", self.anna.history.kinds())

    def test_blocked(self) -> None:
        """Where UDP has never passed the peer is called at once."""
        self.anna.outside.blocked = True
        self.anna.search()
        self.net.pass_by(0.1, 0.05)
        self.assertEqual(self.net.called, [(HOSTS["bert"], (HOSTS["anna"], 0))])

    def test_told(self) -> None:
        """Both ends are told by which stream the peer is reached, each with the address of the other."""
        self.search(self.anna)
        for end in (self.anna, self.bert):
            (way,) = next(iter(end.peers.values())).told
            self.assertRegex(way, r"^tcp [0-9.]+:[0-9]+$")

    def test_new_certificate(self) -> None:
        """With a search the port shows the certificate that we have now, also if the peer calls first."""
        self.bert.shown = identity("bert")
        serials = []
        self.patch(self.anna, "is_revoked", lambda peer: serials.append(peer.serial))
        self.bert.search()
        self.anna.outside.blocked = True
        self.search(self.anna)
        self.assertEqual(set(serials), {serial_of(self.bert.shown)})

    def test_called_one_calls(self) -> None:
        """So does one that the called one opens: the caller opens the path."""
        self.search(self.bert)
        self.assertEqual([each.state for each in (*self.anna.paths(), *self.bert.paths())], [State.ACTIVE] * 2)

    def test_both_call(self) -> None:
        """When both call at once, one stream is left, the same at both ends."""
        self.search(self.anna, self.bert)
        self.net.pass_by(3.0, 0.1)
        self.assertEqual(self.held(), (1, 1))
        self.assertEqual([each.state for each in (*self.anna.paths(), *self.bert.paths())], [State.ACTIVE] * 2)

    def test_given_up(self) -> None:
        """A call under way ends with the attempt, and nobody complains."""
        self.anna.peers["bert"].where = [Candidate(STREAM_CANDIDATE, "203.0.113.7", 4711)]
        self.search(self.anna)
        self.assertEqual(len(self.net.open_calls), 1)
        self.udp(self.anna)
        self.net.settle()
        self.assertEqual((self.net.open_calls, self.flushLoggedErrors()), ([], []))

    def test_no_need(self) -> None:
        """With a direct path, or a stream, nobody is called."""
        self.udp(self.anna)
        self.search(self.anna)
        self.assertEqual(self.net.called, [])
        self.search(self.bert)
        self.assertEqual(self.held(), (0, 0))  # bert calls, as he has no direct path, and anna hangs up

    def test_found_meanwhile(self) -> None:
        """A direct path that is found within the patience ends the attempt."""
        self.anna.search()
        self.udp(self.anna)
        self.net.pass_by(4.0, 0.1)
        self.assertEqual(self.net.called, [])

    def test_most_calls(self) -> None:
        """At most six candidates are called, each 0.2 s after the one before; those of the other family are not."""
        peer = self.anna.peers["bert"]
        peer.where = [Candidate(STREAM_CANDIDATE, "2001:db8::1", 1)]
        peer.where += [Candidate(STREAM_CANDIDATE, f"203.0.113.{number}", 4711) for number in range(9)]
        self.anna.search()
        self.net.pass_by(PATIENCE + 0.05, 0.05)
        self.assertEqual(len(self.net.called), 1)
        self.net.pass_by(2.0, 0.1)
        self.assertEqual([host for host, _ in self.net.called], [f"203.0.113.{number}" for number in range(6)])

    def test_twice(self) -> None:
        """A search that begins while an attempt is under way that will fail leads to another one, after a rest."""
        peer = self.anna.peers["bert"]
        peer.where = [Candidate(STREAM_CANDIDATE, "203.0.113.7", 4711)]
        self.search(self.anna)
        self.search(self.anna)
        self.assertEqual(len(self.net.called), 1)
        peer.where = [Candidate(STREAM_CANDIDATE, HOSTS["bert"], 4711)]
        self.net.pass_by(REST, 0.1)
        self.assertEqual((len(self.net.called), self.held()), (2, (1, 1)))
        self.net.pass_by(2 * REST, 0.1)
        self.assertEqual(len(self.net.called), 2)

    def test_meetings(self) -> None:
        """Where a relay sees the peer's line, it is met half way from the very port that we listen on."""
        there = Endpoint("203.0.113.7", 4720)
        for end, factory in ((self.anna, None), (self.bert, self.bert.streams.port.met)):
            FakeMeeting.made.clear()
            peer = next(iter(end.peers.values()))
            peer.where = [Candidate(STREAM_CANDIDATE, "203.0.113.7", 4720), Candidate(LINE, "203.0.113.7", 555)]
            end.search()
            self.net.pass_by(PATIENCE + 0.1, 0.1)
            (meeting,) = FakeMeeting.made
            self.assertEqual((meeting.here, meeting.there), (Endpoint(HOSTS[end.name], 4711), there))
            self.assertTrue(meeting.on)
            if factory is not None:  # of two ends that are connected both ways, the called one is the server
                self.assertIs(meeting.factory, factory)

    def test_session_is_gone(self) -> None:
        """Nobody without a session gets in: its name is a stranger's."""
        self.bert.peers["anna"].session = None
        self.search(self.anna)
        self.assertEqual((self.held(), self.bert.streams.port.counters()["streams_refused"]), ((0, 0), 1))


class PlacesTests(StreamsTestCase):
    def test_places(self) -> None:
        """We are where we listen, and where relays see our line from, by the same port; and that is a line of ours."""
        self.anna.outside.seen = [
            (HOSTS["anna"], Candidate(LINE, "203.0.113.9", 50000)),
            ("10.0.0.1", Candidate(LINE, "203.0.113.10", 50000)),
        ]
        ours, outside = (
            Candidate(STREAM_CANDIDATE, HOSTS["anna"], 4711),
            Candidate(STREAM_CANDIDATE, "203.0.113.9", 4711),
        )
        line = Candidate(LINE, "203.0.113.9", 4711)
        self.assertEqual(self.anna.streams.candidates(), [ours, outside, line])

    def test_address_is_gone(self) -> None:
        """With an address its listener goes, and what leads by it."""
        self.anna.streams.sources_are([Source("eth0", "198.51.100.77")])
        self.assertNotIn(HOSTS["anna"], self.net.servers)
        self.assertEqual([place.host for place in self.anna.streams.candidates()], ["198.51.100.77"])


class OffTests(StreamsTestCase):
    on = False

    def test_off(self) -> None:
        """With streams = false nobody listens and nobody is called."""
        self.search(self.anna, self.bert)
        self.assertEqual((self.net.servers, self.net.called, self.anna.streams.candidates()), ({}, [], []))


class EndTests(StreamsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.search(self.anna)
        self.assertEqual(self.held(), (1, 1))

    def streams(self, end: End) -> list[Any]:
        """Those that are open."""
        return [stream for stream in end.streams.port.streams.values() if stream is not None]

    def test_dies(self) -> None:
        """When it dies no path uses it any more at either end, at once."""
        self.streams(self.bert)[0].drop("pulled out")
        self.net.settle()
        self.assertEqual(self.held(), (0, 0))
        self.assertEqual([path.state for path in self.anna.paths()], [State.CLOSED])
        self.assertEqual([path.state for path in self.bert.paths()], [State.SILENT])
        self.assertIn("stream-gone", self.bert.history.kinds())

    def test_again(self) -> None:
        """The next stream carries a path again."""
        self.streams(self.bert)[0].drop("pulled out")
        self.net.settle()
        self.search(self.anna)
        self.net.pass_by(2.0, 0.1)
        self.assertEqual(self.held(), (1, 1))
        for end in (self.anna, self.bert):
            doors = [path.door for path in end.paths() if path.state is State.ACTIVE]
            self.assertEqual(doors, end.held())

    def test_at_once(self) -> None:
        """A stream that dies is looked for again without anybody's asking."""
        self.net.pass_by(REST)
        self.streams(self.bert)[0].drop("pulled out")
        self.net.pass_by(PATIENCE + 3.0, 0.1)
        self.assertEqual(self.held(), (1, 1))
        told = self.anna.peers["bert"].told
        self.assertEqual((told[0], told[-1], "cut" in told), (TO_BERT, TO_BERT, True))

    def test_not_too_often(self) -> None:
        """One who ends every stream at once is called every five seconds, and not more often."""
        self.anna.outside.blocked = self.bert.outside.blocked = True
        before = len(self.net.called)
        for _ in range(round(10 * REST / 0.1)):
            self.net.pass_by(0.1, 0.1)
            for stream in self.streams(self.bert):
                stream.drop("a censor")
        called = sum(host == HOSTS["bert"] for host, _ in self.net.called[before:])
        self.assertTrue(8 <= called <= 10, called)

    def test_kept(self) -> None:
        """A stream that is there still when UDP ends is what the peer is reached by."""
        peer = self.anna.peers["bert"]
        self.assertTrue(self.anna.reaching["bert"].stand_in())
        self.assertEqual(peer.told, [TO_BERT] * 2)
        self.streams(self.anna)[0].drop("pulled out")
        self.net.settle()
        self.assertFalse(self.anna.reaching["bert"].stand_in())

    def test_not_needed(self) -> None:
        """It is closed when UDP has worked for a minute, and not before."""
        self.udp(self.anna)
        self.net.pass_by(ENOUGH - 2.0)
        self.assertEqual(self.held(), (1, 1))
        self.net.pass_by(4.0)
        self.assertEqual(self.held(), (0, 0))

    def test_needed_after_all(self) -> None:
        """When UDP has ended within the minute, it stays."""
        path = self.udp(self.anna)
        self.net.pass_by(10.0)
        path.enter(State.SILENT, self.net.seconds())
        path.life.probe_at = float("inf")
        self.net.pass_by(2 * ENOUGH)
        self.assertEqual(self.held(), (1, 1))

    def test_session_ends(self) -> None:
        """With the session the stream ends, at both ends."""
        self.anna.reaching["bert"].forget()
        self.net.pass_by(1.0)
        self.assertEqual((self.held(), self.streams(self.anna), self.streams(self.bert)), ((0, 0), [], []))

    def test_too_many(self) -> None:
        """A peer that opens one after the other holds few, and not those that it uses are dropped."""
        used = self.streams(self.bert)[0]
        here, there = address_of(HOSTS["anna"], 40000), address_of(HOSTS["bert"], 4711)
        for _ in range(2 * MOST_HELD):
            from_anna = self.other_streams()
            client, server = from_anna.buildProtocol(there), self.bert.streams.port.factory.buildProtocol(here)
            ends = FakeTransport(client, False, here, there), FakeTransport(server, True, there, here)
            self.net.join(cast(IProtocol, server), cast(IProtocol, client), *ends)
            self.net.pass_by(0.5)
        self.assertEqual(self.held(), (1, MOST_HELD))
        self.assertIs(self.bert.pump.door(used.number), used)

    def other_streams(self) -> Any:
        """As anna calls when she does not care how many there are."""
        carefree = SimpleNamespace(opened=lambda stream: None, arrived=lambda it: None, lost=lambda it, why: None)
        tls = PeersTls(self.anna.shown, lambda name: True, self.anna.is_revoked)
        port = StreamPort(tls, cast(Any, carefree), self.net, count(1).__next__)
        return port.calling(PeerTls(self.anna.shown, "bert", self.anna.is_revoked), Endpoint(HOSTS["bert"], 4711))
