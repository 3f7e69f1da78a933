"""The server reached by TCP through a relay, where it is reached neither by UDP nor by TCP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from morphnet.roles.client.streaming import LONGEST_REST, OVERLAP, PATIENCE, PROVES_WITHIN, REST, STAGGER
from morphnet.tunnel.carrier import PASSAGE, STREAM
from morphnet.tunnel.path import Path as TunnelPath
from morphnet.tunnel.path import State
from morphnet.wire.batch import Arrival
from tests.fakes_control import SERVER_HOST
from tests.fakes_passages import RELAY_HOST, MeetingPlace
from tests.fakes_streams import STEP, StreamsTestCase
from tests.fakes_tls import CLIENT, SERVER

NAME = f"relay {RELAY_HOST}"


class RelayedCase(StreamsTestCase):
    """A relay that both know."""

    def setUp(self) -> None:
        super().setUp()
        self.place = MeetingPlace(self.net, self.ca, Path(self.mktemp()))
        self.place.serve(self.ca.identity("gateway", SERVER), self.control.factory)
        self.net.settle()
        laptop = self.ca.identity("laptop", CLIENT)
        self.streaming.passages = lambda: [self.place.dial(laptop, sources=self.sources)]
        self.net.called.clear()

    def tearDown(self) -> None:
        self.streaming.close()
        self.place.stop()

    def relayed_paths(self) -> list[TunnelPath]:
        """Through relays, that are not closed."""
        return [path for path in self.session.paths.values() if path.rank == PASSAGE and path.state != "closed"]

    def called(self) -> list[str]:
        """Who was called, each time."""
        return [host for host, _ in self.net.called]

    def relayed(self) -> TunnelPath:
        """Nothing gets through but to the relay, by which the path goes."""
        self.net.refusing.add(SERVER_HOST)
        self.start(passes=False)
        self.run_for(PATIENCE + 1.5, sending=True)
        (path,) = self.relayed_paths()
        return path


class TakeOverTests(RelayedCase):
    """A direct stream takes over from one through the relay."""

    def direct(self) -> list[TunnelPath]:
        """By TCP to the server itself, that are not closed."""
        return [path for path in self.session.paths.values() if path.rank == STREAM and path.state != "closed"]

    def opens(self) -> tuple[TunnelPath, TunnelPath]:
        """The server is to be called again, and has just been: both paths."""
        relayed = self.relayed()
        self.net.refusing.clear()
        for _ in range(round(LONGEST_REST / STEP)):
            self.run_for(STEP, sending=True)
            if self.direct():
                break
        (direct,) = self.direct()
        return relayed, direct

    def test_make_before_break(self) -> None:
        """The relay goes on until the direct one has worked for OVERLAP; then it is left, and no packet is lost."""
        relayed, direct = self.opens()
        self.assertEqual([path.state for path in self.relayed_paths()], [State.ACTIVE])
        self.run_for(OVERLAP - 0.5, sending=True)
        self.assertEqual((relayed.state, direct.state), (State.ACTIVE, State.ACTIVE))
        by_direct = direct.delivery.sent_packets
        self.run_for(1.0, sending=True)
        self.assertGreaterEqual(direct.delivery.sent_packets - by_direct, 50)
        self.assertEqual((self.relayed_paths(), [path.state for path in self.direct()]), ([], [State.ACTIVE]))
        self.assertEqual(self.told, ["stream-tried", "stream-up", "stream-up", "stream-gone"])
        self.run_for(1.0)
        self.all_came()
        self.assertEqual(self.streams.counters()["streams"], 1)

    def test_nothing_by_it(self) -> None:
        """A direct one by which nothing comes back is closed, and the relay has carried all the while."""
        take, relayed = self.server.from_door, self.relayed()
        held = {stream.number for stream in self.streams._direct.streams.values()}

        def relay_alone(arrivals: Sequence[Arrival]) -> None:
            take([each for each in arrivals if each.door in held])

        self.server.from_door = relay_alone  # type: ignore[method-assign]
        self.net.refusing.clear()
        self.run_for(REST + PROVES_WITHIN + 3.0, sending=True)
        self.assertIn("stream-gone", self.told)
        self.assertEqual((self.relayed_paths(), relayed.state), ([relayed], State.ACTIVE))
        self.run_for(1.0)
        self.all_came()

    def test_direct_lost(self) -> None:
        """One that breaks while it takes over is told as gone, and the relay goes on."""
        relayed, direct = self.opens()
        (there,) = (each for each in self.streams._direct.streams.values() if not each.relay)
        there.drop("a test")
        self.run_for(0.5, sending=True)
        self.assertEqual((self.relayed_paths(), direct.state), ([relayed], State.CLOSED))
        self.run_for(1.0)
        self.all_came()

    def test_relay_lost(self) -> None:
        """A relay that is gone in that moment is missed by nobody."""
        self.opens()
        (there,) = (each for each in self.streams._direct.streams.values() if each.relay)
        there.drop("a test")
        self.run_for(OVERLAP + 1.0, sending=True)
        self.assertEqual((self.relayed_paths(), [path.state for path in self.direct()]), ([], [State.ACTIVE]))
        self.run_for(1.0)
        self.all_came()

    def test_both_end(self) -> None:
        """What ends the one ends the other: an uplink that is gone, an operator who cuts it, the end of the process."""
        for end in ("uplink", "cut", "close"):
            self.setUp()
            _, direct = self.opens()
            if end == "uplink":
                self.sources.clear()
                self.streaming.look()
            elif end == "cut":
                self.assertTrue(self.streaming.cut(direct))
            else:
                self.streaming.close()
            self.run_for(1.0)
            self.assertEqual((self.streaming._held, self.streams.counters()["streams"]), ([], 0), end)
            self.tearDown()


class RelayedTests(RelayedCase):
    def test_last(self) -> None:
        """The relay is called after all ports of the server, and carries what was sent before, both ways."""
        path = self.relayed()
        self.assertEqual((path.uplink, path.state), (NAME, State.ACTIVE))
        self.assertEqual(self.called(), [SERVER_HOST, SERVER_HOST, RELAY_HOST, RELAY_HOST])  # the last by the server
        self.assertEqual(self.told, ["stream-tried", "stream-up"])
        self.run_for(1.0)
        self.all_came()

    def test_not_needed(self) -> None:
        """While a TCP port of the server answers nobody calls the relay."""
        self.start(passes=False)
        self.run_for(PATIENCE + 3.0, sending=True)
        self.assertEqual((set(self.called()), self.relayed_paths()), ({SERVER_HOST}, []))
        self.assertEqual(self.stream_paths(self.session), ["active"])

    def test_nobody_there(self) -> None:
        """A relay without our server costs nothing but the attempts, that come ever less often."""
        self.place.stop()
        self.net.settle()
        self.net.called.clear()
        self.net.refusing.add(SERVER_HOST)
        self.start(passes=False)
        self.run_for(PATIENCE + REST + 2 * REST + 1.0)
        self.assertEqual((self.called().count(RELAY_HOST), self.relayed_paths()), (3, []))
        self.assertEqual(self.told, ["stream-tried", "stream-failed"])  # the reason is the same each time

    def test_direct_tried(self) -> None:
        """While the stream goes through a relay the server's ports are called now and then, the relay is not."""
        self.relayed()
        before = len(self.called())
        self.run_for(4 * LONGEST_REST)
        later = self.called()[before:]
        self.assertEqual(set(later), {SERVER_HOST})
        self.assertLess(len(later), 2 * 9)
        self.assertEqual([path.state for path in self.relayed_paths()], [State.ACTIVE])

    def test_no_second(self) -> None:
        """One that comes through the relay beside one that works is hung up on."""
        path = self.relayed()
        ours = self.streaming._open
        self.streaming._call(next(iter(self.streaming.passages())), self.streaming._places[0])
        self.run_for(1.0)
        self.assertIs(self.streaming._open, ours)
        self.assertEqual((self.relayed_paths(), self.streams.counters()["streams"]), ([path], 1))

    def test_udp_back(self) -> None:
        """UDP has the traffic again when it answers, and no packet is lost."""
        self.relayed()
        self.run_for(1.0, sending=True)
        self.allow(True)
        self.run_for(4.0, sending=True)
        (plain,) = (path for path in self.session.paths.values() if not path.rank)
        by_udp = plain.delivery.sent_packets
        self.run_for(1.0, sending=True)
        self.assertGreaterEqual(plain.delivery.sent_packets - by_udp, 50)
        self.run_for(1.0)
        self.all_came()

    def test_loses_most(self) -> None:
        """UDP that loses 60 % stands by for the relay, as it would for TCP, until it does not any more."""
        self.net.refusing.add(SERVER_HOST)
        plain = self.start()
        self.run_for(3.0, sending=True)
        self.assertEqual(self.called(), [])
        self.udp.loss = self.there_udp.loss = 0.6
        self.run_for(6.0, sending=True)
        (path,) = self.relayed_paths()
        self.assertEqual((path.state, plain.state), (State.ACTIVE, State.STANDBY))
        before = path.delivery.sent_packets + path.received.packets
        self.run_for(4.0, sending=True)
        self.assertGreater(path.delivery.sent_packets + path.received.packets - before, 200)  # of 400, and Acks
        self.udp.loss = self.there_udp.loss = 0.0
        self.run_for(12.0, sending=True)
        self.assertEqual(plain.state, State.ACTIVE)

    def test_relay_gone(self) -> None:
        """A passage that ends while it is needed is opened again, and nothing is lost."""
        self.relayed()
        for socket in list(self.place.relay._lines):
            if self.place.relay._passing.has(self.place.relay._lines[socket]):
                socket.drop("a test")
        self.run_for(1.0 + 2 * REST + STAGGER * 3, sending=True)
        self.run_for(1.0)
        self.assertEqual([path.state for path in self.relayed_paths()], [State.ACTIVE])
        self.assertEqual(self.told.count("stream-gone"), 1)
        self.all_came()

    def test_cut(self) -> None:
        """The operator cuts it by its name; neither the relay nor the server is called until it is restored."""
        path = self.relayed()
        self.assertTrue(self.streaming.cut(path))
        before = len(self.called())
        self.run_for(10.0)
        self.assertEqual((self.relayed_paths(), len(self.called())), ([], before))
        self.assertTrue(self.streaming.restore(NAME))
        self.run_for(1.5)
        self.assertEqual([each.state for each in self.relayed_paths()], [State.ACTIVE])

    def test_uplink_gone(self) -> None:
        """With the uplink that the relay was called from the stream goes."""
        self.relayed()
        self.sources.clear()
        self.run_for(0.1)
        self.streaming.look()
        self.assertEqual((self.relayed_paths(), self.told[-1]), ([], "stream-gone"))
