"""Streams as a mesh uses them: two ends with real sessions, TCP in memory between them."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.interfaces import IProtocol
from twisted.test.iosim import FakeTransport
from twisted.trial.unittest import SynchronousTestCase
from txaio.tx import config as autobahn_config

from morphnet.config import MeshConfig, Tuning
from morphnet.net.peer_stream import StreamPort
from morphnet.net.pump import Pump
from morphnet.net.tls import PeersTls, PeerTls
from morphnet.tap.streams import ENOUGH, MOST_HELD, PATIENCE, Streams
from morphnet.tunnel.carrier import DIRECT, STREAM, Carrier
from morphnet.tunnel.events import Effects
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.session import Session
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Departure, Endpoint
from morphnet.wire.places import LINE, Place
from morphnet.wire.places import STREAM as STREAM_PLACE
from tests.fakes_control import FakeNet, address_of
from tests.fakes_tls import CLIENT, FakeCa

HOSTS = {"anna": "198.51.100.2", "bert": "198.51.100.6"}
SECRETS = b"s" * 32, b"c" * 32
UDP = 1 << 17  # number of a door


class FakePort:
    """A listener."""

    def __init__(self, net: FakeNet, host: str) -> None:
        self._net, self._host = net, host

    def getHost(self) -> Any:
        """See IListeningPort."""
        return address_of(self._host, 4711)

    def stopListening(self) -> None:
        """See IListeningPort."""
        del self._net.servers[self._host]


class FakeMeeting:
    """Remembers what it was made with."""

    made: list[FakeMeeting] = []

    def __init__(self, reactor: object, here: Endpoint, there: Endpoint, factory: Any) -> None:
        self.here, self.there, self.factory, self.on = here, there, factory, False
        self.made.append(self)

    def start(self, within: float) -> None:
        """See MeetTcp."""
        self.on = True

    def stop(self) -> None:
        """See MeetTcp."""
        self.on = False


class FakeDoor:
    """UDP to the other end."""

    def __init__(self) -> None:
        self.sent: list[Departure] = []

    def send(self, departures: Any) -> None:
        """See DatagramDoor."""
        self.sent += departures


class FakePeer:
    """What Streams wants of a Peer."""

    def __init__(self, name: str, session: Session, *, caller: bool) -> None:
        self.name, self.caller = name, caller
        self.session: Session | None = session
        self.places = [Place(STREAM_PLACE, HOSTS[name], 4711)]

    def all_places(self) -> list[Place]:
        """See Peer."""
        return self.places

    def direct_paths(self) -> list[Path]:
        """See Peer."""
        paths = self.session.paths.values() if self.session is not None else ()
        return [path for path in paths if path.rank == DIRECT and path.state is State.ACTIVE]


class End:
    """A mesh, as far as Streams can tell."""

    def __init__(self, net: FakeNet, ca: FakeCa, name: str, config: MeshConfig) -> None:
        self.net, self.clock, self.config, self.name = net, net, config, name
        self.tunnel = Tunnel(server=False, entropy=random.Random(name).randbytes)
        self.pump = Pump(net, self.tunnel, net.seconds, lambda event: None)
        self.shown = ca.identity(name, CLIENT)
        self.peers: dict[str, FakePeer] = {}
        self.told: list[str] = []
        self.relays = SimpleNamespace(lines=list)
        self.streams = Streams(cast(Any, self), net, self.listen)
        self.streams.meeting = FakeMeeting  # type: ignore[assignment]

    def identity(self) -> Any:
        """See Mesh."""
        return self.shown

    def is_revoked(self, serial: str) -> bool:
        """See Mesh."""
        return False

    def tell(self, kind: str, session: str, text: str) -> None:
        """See Mesh."""
        self.told.append(kind)

    def endpoint(self, name: str) -> Endpoint:
        """See Mesh."""
        return Endpoint(name, 0)

    def carry_out(self, session: Session, effects: Effects) -> None:
        """See Mesh."""
        self.tunnel.poke(session, self.pump.now())
        self.pump.carry_out(effects)

    def listen(self, reactor: object, host: str, port: int, factory: Any) -> Any:
        """In memory."""
        self.net.servers[host] = factory
        return FakePort(self.net, host)

    def meet(self, name: str, *, caller: bool) -> Session:
        """There is a session with that peer."""
        session = self.tunnel.add_session(name, b"n" * 16, Tuning(), [], server=not caller)
        session.equals = True
        session.install(*SECRETS, 1, self.net.seconds())
        self.peers[name] = FakePeer(name, session, caller=caller)
        return session

    def paths(self) -> list[Path]:
        """Those of the one session that are streams."""
        return [path for each in self.tunnel.sessions.values() for path in each.paths.values() if path.rank == STREAM]


class StreamsTestCase(SynchronousTestCase):
    """anna, who is the caller, and bert; they have met."""

    config = MeshConfig()

    def setUp(self) -> None:
        self.net, ca = FakeNet(), FakeCa()
        self.patch(autobahn_config, "loop", self.net)
        self.patch(FakeMeeting, "made", [])
        self.anna, self.bert = (End(self.net, ca, name, self.config) for name in HOSTS)
        calling, called = self.anna.meet("bert", caller=True), self.bert.meet("anna", caller=False)
        ids = self.bert.tunnel.issue_ids(called, 8)
        self.anna.tunnel.learn_ids(calling, ids)
        calling.add_spares(ids)
        for end in (self.anna, self.bert):
            end.streams.hosts_are([HOSTS[end.name]])

    def search(self, *ends: End) -> None:
        """They look for a direct way, and long enough."""
        for end in ends:
            end.streams.search(cast(Any, next(iter(end.peers.values()))))
        self.net.pass_by(PATIENCE + 0.5, 0.1)

    def udp(self, end: End) -> Path:
        """A direct path that works, all of a sudden."""
        peer = next(iter(end.peers.values()))
        assert peer.session is not None
        end.tunnel.carriers[UDP], end.pump.doors[UDP] = Carrier(DIRECT, "eth0"), FakeDoor()
        path = Path(200, UDP, Endpoint("198.51.100.6", 9), 1400, self.net.seconds())
        path.enter(State.ACTIVE, self.net.seconds())
        peer.session.paths[200] = path
        end.streams.direct(cast(Any, peer))
        return path

    def held(self) -> tuple[int, int]:
        """How many streams each end has as doors."""
        return tuple(sum(number >= 1 << 20 for number in end.pump.doors) for end in (self.anna, self.bert))  # type: ignore[return-value]


class SearchTests(StreamsTestCase):
    def test_patience(self) -> None:
        """Nobody is called before the search has gone on for a while."""
        self.anna.streams.search(cast(Any, self.anna.peers["bert"]))
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
        self.assertIn("stream-up", self.anna.told)

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
        self.anna.peers["bert"].places = [Place(STREAM_PLACE, "203.0.113.7", 4711)]
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
        self.anna.streams.search(cast(Any, self.anna.peers["bert"]))
        self.udp(self.anna)
        self.net.pass_by(4.0, 0.1)
        self.assertEqual(self.net.called, [])

    def test_most_calls(self) -> None:
        """At most six places are called, each 0.2 s after the one before; places of the other family are not."""
        peer = self.anna.peers["bert"]
        peer.places = [Place(STREAM_PLACE, "2001:db8::1", 1)]
        peer.places += [Place(STREAM_PLACE, f"203.0.113.{number}", 4711) for number in range(9)]
        self.anna.streams.search(cast(Any, peer))
        self.net.pass_by(PATIENCE + 0.05, 0.05)
        self.assertEqual(len(self.net.called), 1)
        self.net.pass_by(2.0, 0.1)
        self.assertEqual([host for host, _ in self.net.called], [f"203.0.113.{number}" for number in range(6)])

    def test_meetings(self) -> None:
        """Where a relay sees the peer's line, it is met half way from the very port that we listen on."""
        there = Endpoint("203.0.113.7", 4720)
        for end, factory in ((self.anna, None), (self.bert, self.bert.streams.port.met)):
            FakeMeeting.made.clear()
            peer = next(iter(end.peers.values()))
            peer.places = [Place(STREAM_PLACE, "203.0.113.7", 4720), Place(LINE, "203.0.113.7", 555)]
            end.streams.search(cast(Any, peer))
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
        """We are where we listen, and where relays see our line from, by the same port."""
        self.anna.relays.lines = lambda: [
            (HOSTS["anna"], Place(LINE, "203.0.113.9", 50000)),
            ("10.0.0.1", Place(LINE, "203.0.113.10", 50000)),
        ]
        ours, outside = Place(STREAM_PLACE, HOSTS["anna"], 4711), Place(STREAM_PLACE, "203.0.113.9", 4711)
        self.assertEqual(self.anna.streams.places(), [ours, outside])

    def test_address_is_gone(self) -> None:
        """With an address its listener goes, and what leads by it."""
        self.anna.streams.hosts_are(["198.51.100.77"])
        self.assertNotIn(HOSTS["anna"], self.net.servers)
        self.assertEqual([place.host for place in self.anna.streams.places()], ["198.51.100.77"])


class OffTests(StreamsTestCase):
    config = MeshConfig(streams=False)

    def test_off(self) -> None:
        """With streams = false nobody listens and nobody is called."""
        self.search(self.anna, self.bert)
        self.assertEqual((self.net.servers, self.net.called, self.anna.streams.places()), ({}, [], []))


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
        self.assertIn("stream-gone", self.bert.told)

    def test_again(self) -> None:
        """The next stream carries a path again."""
        self.streams(self.bert)[0].drop("pulled out")
        self.net.settle()
        self.search(self.anna)
        self.net.pass_by(2.0, 0.1)
        self.assertEqual(self.held(), (1, 1))
        for end in (self.anna, self.bert):
            doors = [path.door for path in end.paths() if path.state is State.ACTIVE]
            self.assertEqual(doors, [number for number in end.pump.doors if number >= 1 << 20])

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
        path.probe_at = float("inf")
        self.net.pass_by(2 * ENOUGH)
        self.assertEqual(self.held(), (1, 1))

    def test_session_ends(self) -> None:
        """With the session the stream ends, at both ends."""
        self.anna.streams.forget("bert")
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
        self.assertIn(used.number, self.bert.pump.doors)

    def other_streams(self) -> Any:
        """As anna calls when she does not care how many there are."""
        carefree = SimpleNamespace(opened=lambda stream: None, arrived=lambda it: None, lost=lambda it, why: None)
        tls = PeersTls(self.anna.shown, lambda name: True, self.anna.is_revoked)
        port = StreamPort(tls, cast(Any, carefree), self.net, 1)
        return port.calling(PeerTls(self.anna.shown, "bert", self.anna.is_revoked), Endpoint(HOSTS["bert"], 4711))
