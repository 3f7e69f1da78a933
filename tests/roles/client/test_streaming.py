"""The server reached by TCP, when UDP does not pass, and left alone when it does."""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.python.failure import Failure

from morphnet.net.dial import Destination, Dial, Net, Proof
from morphnet.net.ondevice import Source
from morphnet.net.passage import PassageDial
from morphnet.net.web import NoWay, WebDial
from morphnet.roles.client.streaming import ENOUGH, LONGEST_REST, PATIENCE, REST, STEADY
from morphnet.tunnel.events import Effects
from morphnet.tunnel.path import Path, State
from morphnet.wire.batch import Endpoint
from tests.fakes_control import CLIENT_HOST, SERVER_HOST, FakeNet
from tests.fakes_streams import STEP, StreamsTestCase
from tests.simulation import numbers


class Way:
    """A web server; it lets through who gets to it."""

    def __init__(self, net: FakeNet, to: Destination) -> None:
        self.to, self._dial = to, Dial(cast(Net, net), to)
        net.refusing.add(to.host)

    def connect(self, factory: IProtocolFactory, proof: Proof) -> Deferred[IProtocol]:
        def failed(failure: Failure) -> Failure:
            return Failure(NoWay("it is away"))

        return self._dial.connect(factory, proof).addErrback(failed)


class StartTests(StreamsTestCase):
    def test_udp_passes(self) -> None:
        """Nobody is called by TCP."""
        self.start()
        self.run_for(PATIENCE + 3.0, sending=True)
        self.assertEqual((self.net.called, self.told), ([], []))
        self.all_came()

    def test_blocked(self) -> None:
        """After PATIENCE the session has a path by TCP, and everything goes by it, also what was sent before."""
        self.start(passes=False)
        self.run_for(PATIENCE - 0.1, sending=True)
        self.assertEqual(self.net.called, [])
        self.run_for(3.0, sending=True)
        self.run_for(1.0)
        self.assertEqual(self.told, ["stream-tried", "stream-up"])
        self.assertEqual((self.stream_paths(self.session), self.stream_paths(self.there)), (["active"], ["active"]))
        self.all_came()

    def test_not_taken(self) -> None:
        """A server that takes no streams, as those of before, is not called."""
        self.start(passes=False, ports=())
        self.run_for(10.0)
        self.assertEqual(self.net.called, [])

    def test_each_port(self) -> None:
        """Every place is called, one after the other, until one has opened; the rest is given up."""
        there = self.net.servers.pop(SERVER_HOST)
        self.start(passes=False, ports=(443, 8443, 993))
        self.run_for(PATIENCE + 0.4)
        self.assertEqual(len(self.net.open_calls), 2)  # nobody has answered yet
        self.net.servers[SERVER_HOST] = there
        self.run_for(1.0)
        self.assertEqual((len(self.net.called), self.net.open_calls), (3, []))
        self.assertEqual(self.stream_paths(self.session), ["active"])

    def test_rests(self) -> None:
        """While nobody answers it tries again, ever less often; a new uplink has it tried at once."""
        self.net.refusing.add(SERVER_HOST)
        self.start(passes=False, ports=(443,))
        self.run_for(PATIENCE + REST + 2 * REST + 1.0)
        self.assertEqual(len(self.net.called), 3)
        self.run_for(8 * LONGEST_REST)
        called = len(self.net.called)
        self.assertLess(called, 3 + 9)
        self.plug_another()
        self.run_for(0.5)
        self.assertEqual(len(self.net.called), called + 1)

    def test_no_path(self) -> None:
        """Where an uplink has no path at all, the machine having refused a socket, it is tried by TCP all the same."""
        self.streaming.serve(self.session, [SERVER_HOST], (443,))
        self.run_for(PATIENCE - 0.1)
        self.assertEqual(self.net.called, [])
        self.run_for(1.0)
        self.assertEqual(self.stream_paths(self.session), ["active"])

    def test_no_uplink(self) -> None:
        """Without an uplink, or with none that the operator has not cut, nobody is called, however long that is."""
        self.sources.clear()
        self.start(passes=False)
        self.run_for(LONGEST_REST)
        self.assertEqual((self.net.called, self.told), ([], []))
        self.sources.append(Source("wan", CLIENT_HOST))
        self.run_for(1.0)
        self.assertEqual((self.net.devices, self.stream_paths(self.session)), (["wan"], ["active"]))

    def test_by_a_web_server(self) -> None:
        """Where it goes through a web server that is called, and no port of the server; when it does not want to, it
        is told once why."""
        way = Way(self.net, self.reach(Endpoint("198.51.100.80", 443)))
        self.streaming.web = lambda: cast(WebDial, way)
        self.streaming.serve(self.session, [SERVER_HOST], (443, 8443))
        self.run_for(PATIENCE + REST + 2 * REST + 1.0)
        self.assertEqual((set(self.net.called), self.told), ({("198.51.100.80", (CLIENT_HOST, 0))}, ["stream-failed"]))
        self.net.servers["198.51.100.80"] = self.net.servers[SERVER_HOST]
        self.net.refusing.clear()
        self.streaming.begin_anew()
        self.run_for(1.0)
        self.assertEqual(self.stream_paths(self.session), ["active"])

    def test_no_such_web_server(self) -> None:
        """Where none can be called at all it is told once, and asked for again."""
        asked = list[float]()

        def web() -> WebDial | None:
            asked.append(self.net.seconds())
            raise NoWay("there is no such name")

        self.streaming.web = web
        self.streaming.serve(self.session, [SERVER_HOST], (443,))
        self.run_for(PATIENCE + REST + 1.0)
        self.assertEqual((len(asked), self.told, self.net.called), (2, ["stream-failed"], []))

    def plug_another(self) -> Path:
        """One more uplink."""
        effects = Effects()
        path = self.session.open_path(99, Endpoint(SERVER_HOST, 8000), "lte", self.net.seconds(), effects)
        self.client.carry_out(effects)
        return path


class MiddleTests(StreamsTestCase):
    def blocked_in_the_middle(self) -> Path:
        """UDP has worked, and does not any more."""
        path = self.start()
        self.run_for(5.0, sending=True)
        self.allow(False)
        self.run_for(1.0, sending=True)
        return path

    def test_falls_silent(self) -> None:
        """Within a second there is a stream, and no packet is lost, in either direction."""
        path = self.blocked_in_the_middle()
        self.assertEqual((path.state, self.stream_paths(self.session)), (State.SILENT, ["active"]))
        self.run_for(3.0, sending=True)
        self.run_for(1.0)
        self.all_came()

    def test_comes_back(self) -> None:
        """UDP has the traffic again when it answers; the stream stays for a while, and is closed then. None is lost."""
        path = self.blocked_in_the_middle()
        self.run_for(3.0, sending=True)
        self.allow(True)
        self.run_for(3.0, sending=True)
        self.assertEqual(path.state, State.ACTIVE)
        by_udp = path.delivery.sent_packets
        self.run_for(1.0, sending=True)
        self.assertGreaterEqual(path.delivery.sent_packets - by_udp, 50)
        self.assertEqual(self.stream_paths(self.session), ["active"])
        self.run_for(ENOUGH + 2.0)
        self.assertEqual((self.stream_paths(self.session), self.stream_paths(self.there)), ([], []))
        self.assertEqual(self.streams.counters()["streams"], 0)
        self.all_came()

    def test_works_for_a_moment(self) -> None:
        """With a relay calls are given up when UDP has worked for STEADY, and not when something came by it once."""
        self.net.servers.pop(SERVER_HOST)
        path = self.blocked_in_the_middle()
        self.assertEqual(len(self.net.open_calls), 2)
        self.streaming.passages = lambda: (cast(PassageDial, None),)
        self.allow(True)
        while path.state is not State.ACTIVE:
            self.run_for(STEP)
        self.run_for(STEADY - 0.2)
        self.assertEqual((path.state, len(self.net.open_calls)), (State.ACTIVE, 2))
        self.run_for(0.4)
        self.assertEqual(self.net.open_calls, [])

    def test_works_for_good(self) -> None:
        """They are given up at once where there is no relay, or when the server was silent, and not the way to it."""
        for relay in (False, True):
            self.setUp()
            self.net.servers.pop(SERVER_HOST)
            path = self.blocked_in_the_middle()
            self.allow(True)
            if relay:
                self.streaming.passages = lambda: (cast(PassageDial, None),)
                path.life.forgive()
            while path.state is not State.ACTIVE:
                self.run_for(STEP)
            self.run_for(0.2)
            self.assertEqual((path.state, self.net.open_calls), (State.ACTIVE, []), relay)

    def test_loses_most(self) -> None:
        """UDP that loses 60 % in either direction stands by, and a stream carries, until it does not any more."""
        for up, down in ((0.6, 0.0), (0.0, 0.6), (0.6, 0.6)):
            self.setUp()
            path = self.start()
            self.run_for(3.0, sending=True)
            self.udp.loss, self.there_udp.loss = up, down
            self.run_for(8.0, sending=True)
            self.assertEqual(self.stream_paths(self.session), ["active"], (up, down))
            stream = next(path for path in self.session.paths.values() if path.rank)
            before = stream.delivery.sent_packets + stream.received.packets
            self.run_for(4.0, sending=True)
            by_stream = stream.delivery.sent_packets + stream.received.packets - before
            self.assertGreater(by_stream, 200, (up, down))  # of 400, and Acks
            self.udp.loss = self.there_udp.loss = 0.0
            self.run_for(12.0, sending=True)
            self.assertEqual(path.state, State.ACTIVE, (up, down))

    def test_loses_most_soon(self) -> None:
        """What loses 60 % is known for it in two seconds, in which 100 packets were sent, and the stream is there."""
        self.start()
        self.run_for(3.0, sending=True)
        self.udp.loss = self.there_udp.loss = 0.6
        self.run_for(2.0, sending=True)
        self.assertEqual(self.stream_paths(self.session), ["active"])

    def test_loses_a_little(self) -> None:
        """UDP that loses 30 % for long, or 60 % for 0.7 s now and then, is used: TCP would do no better."""
        for now_and_then in (False, True):
            self.setUp()
            self.start()
            for turn in range(100):
                bad = turn % 25 < 7
                self.udp.loss = self.there_udp.loss = (0.6 if bad else 0.0) if now_and_then else 0.3
                self.run_for(0.1, sending=True)
            self.assertEqual(self.net.called, [], now_and_then)

    def test_server_anew(self) -> None:
        """A server that was gone and says hello again is not called by TCP before UDP had time to answer."""
        there = self.net.servers.pop(SERVER_HOST)
        self.blocked_in_the_middle()
        self.run_for(1.0, sending=True)
        called = len(self.net.called)
        self.net.servers[SERVER_HOST] = there
        self.streaming.serve(self.session, [SERVER_HOST], (443, 8443))
        self.run_for(PATIENCE - 0.2)
        self.assertEqual(len(self.net.called), called)
        self.run_for(1.0)
        self.assertEqual(self.stream_paths(self.session), ["active"])

    def test_stream_lost(self) -> None:
        """A stream that ends while it is needed is there again, and nothing is lost."""
        self.blocked_in_the_middle()
        (there,) = self.streams._direct.streams.values()
        there.drop("a test")
        self.run_for(3.0, sending=True)
        self.run_for(1.0)
        self.assertEqual((self.told[-2:], self.stream_paths(self.session)), (["stream-gone", "stream-up"], ["active"]))
        self.all_came()

    def test_stream_mute(self) -> None:
        """A stream in which nothing arrives any more is replaced by another one."""
        self.blocked_in_the_middle()
        self.net.pumps.clear()  # nothing moves on what is open
        self.run_for(4.0, sending=True)
        self.assertEqual((self.told.count("stream-up"), self.stream_paths(self.session)), (2, ["active"]))

    def test_never_answered(self) -> None:
        """A stream by which nothing ever comes is replaced, too."""
        take = self.server.from_door
        self.server.from_door = lambda arrivals: None  # type: ignore[method-assign]
        self.start(passes=False)
        self.run_for(PATIENCE + 1.0)
        self.assertEqual(self.stream_paths(self.session), ["probing"])
        self.server.from_door = take  # type: ignore[method-assign]
        self.net.pumps.clear()
        self.run_for(5.0)
        self.assertEqual((self.told.count("stream-up"), self.stream_paths(self.session)), (2, ["active"]))

    def test_all_away(self) -> None:
        """After all uplinks were away for minutes, as in sleep, TCP is there within seconds; nobody was called."""
        udp = self.blocked_in_the_middle()
        self.sources.clear()
        self.close_path(udp)
        self.net.pumps.clear()  # what was open leads nowhere
        self.run_for(0.1)
        self.assertEqual((self.told[-1], self.stream_paths(self.session)), ("stream-gone", []))
        called = len(self.net.called)
        self.run_for(120.0)
        self.assertEqual(len(self.net.called), called)
        self.sources.append(Source("wan", CLIENT_HOST))
        self.start(passes=False)
        self.run_for(PATIENCE + 1.0)
        self.assertEqual(self.stream_paths(self.session), ["active"])
        self.run_for(1.0, sending=True)
        self.run_for(1.0)
        self.assertEqual(numbers(self.in_server.came)[-50:], list(range(self.sent - 50, self.sent)))

    def close_path(self, path: Path) -> None:
        """Its uplink is gone."""
        effects = Effects()
        self.session.close_path(path.id, self.net.seconds(), effects)
        self.client.carry_out(effects)

    def test_cut(self) -> None:
        """What the operator has cut is not opened again until it is restored."""
        self.blocked_in_the_middle()
        path = next(path for path in self.session.paths.values() if path.rank)
        self.assertFalse(self.streaming.cut(self.session.paths[0]))
        self.assertTrue(self.streaming.cut(path))
        called = len(self.net.called)
        self.run_for(10.0)
        self.assertEqual((self.stream_paths(self.session), len(self.net.called)), ([], called))
        self.assertFalse(self.streaming.restore(path.id + 100))
        self.assertTrue(self.streaming.restore(path.id))
        self.assertFalse(self.streaming.restore(path.id))
        self.run_for(1.0)
        self.assertEqual(self.stream_paths(self.session), ["active"])

    def test_cut_lasts(self) -> None:
        """It stays cut in the next session, where the uplinks tell of it, until it is restored by the name it had."""
        self.blocked_in_the_middle()
        path = next(path for path in self.session.paths.values() if path.rank)
        self.streaming.cut(path)
        self.session = self.begin()
        self.start(passes=False)
        self.run_for(PATIENCE + 2.0)
        self.assertEqual(self.stream_paths(self.session), [])
        self.assertEqual({name: each.state for name, each in self.streaming.idle().items()}, {path.uplink: "cut"})
        self.assertTrue(self.streaming.restore(path.uplink))
        self.assertEqual(self.streaming.idle(), {})
        self.run_for(1.0)
        self.assertEqual(self.stream_paths(self.session), ["active"])

    def test_local(self) -> None:
        """Where it starts from is known, and of no other door."""
        self.blocked_in_the_middle()
        path = next(path for path in self.session.paths.values() if path.rank)
        self.assertEqual(self.streaming.local_of(path.door), ("198.51.100.7", 50000))
        self.assertIsNone(self.streaming.local_of(self.udp.number))

    def test_other_session(self) -> None:
        """With another session the stream of the one before is closed, and it is looked for anew."""
        self.blocked_in_the_middle()
        self.session = self.begin()
        self.start(passes=False)
        self.assertEqual(self.told[-1], "stream-gone")
        self.run_for(PATIENCE + 1.0)
        self.assertEqual(self.stream_paths(self.session), ["active"])

    def test_close(self) -> None:
        """When the process ends nothing is left: no stream, no call, no timer."""
        self.blocked_in_the_middle()
        self.streaming.close()
        self.client.stop()
        self.server.stop()
        self.run_for(1.0)
        self.assertEqual(self.streams.counters()["streams"], 0)
        self.assertEqual(self.stream_paths(self.there), ["silent"])
