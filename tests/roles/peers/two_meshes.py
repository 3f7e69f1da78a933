"""Two ends with real sessions, and TCP in memory between them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from txaio.tx import config as autobahn_config

from morphnet.config.roles import Tuning
from morphnet.net.ondevice import Source
from morphnet.net.pump import Pump
from morphnet.net.tls import Peer
from morphnet.roles.peers.reaching import PATIENCE, Reaching
from morphnet.roles.peers.sessions import Sessions
from morphnet.roles.peers.streams import Net, Streams
from morphnet.traversal.courtesy import Courtesy
from morphnet.tunnel.carrier import DIRECT, STREAM, Carrier
from morphnet.tunnel.events import Event, PathChanged
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.session import Session
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Endpoint
from morphnet.wire.candidates import STREAM as STREAM_CANDIDATE
from morphnet.wire.candidates import Candidate
from tests.fakes_control import FakeNet, address_of
from tests.fakes_door import FakeDoor
from tests.roles.peers.fakes import FakeHistory, identity, surroundings

HOSTS = {"anna": "198.51.100.2", "bert": "198.51.100.6"}
SECRETS = b"s" * 32, b"c" * 32


class FakePort:
    """A listener."""

    def __init__(self, net: FakeNet, host: str) -> None:
        self._net, self._host = net, host

    def getHost(self) -> Any:
        """Port 4711 of its host."""
        return address_of(self._host, 4711)

    def stopListening(self) -> None:
        """From now on nobody answers at its host."""
        del self._net.servers[self._host]


class FakeMeeting:
    """Remembers what it was made with."""

    made: list[FakeMeeting] = []

    def __init__(self, reactor: object, here: Endpoint, there: Endpoint, factory: Any, device: str = "") -> None:
        self.here, self.there, self.factory, self.device, self.on = here, there, factory, device, False
        self.made.append(self)

    def start(self, within: float) -> None:
        """It is on until it is stopped, however long that takes."""
        self.on = True

    def stop(self) -> None:
        self.on = False


class FakeOutside:
    """As relays see us."""

    def __init__(self) -> None:
        self.blocked = False
        self.seen: list[tuple[str, Candidate]] = []

    def udp_is_blocked(self) -> bool:
        """For the test to say."""
        return self.blocked

    def lines(self) -> list[tuple[str, Candidate]]:
        """What the test has put there; none at first."""
        return self.seen


class FakePeer:
    """A peer, as far as reaching it is concerned."""

    def __init__(self, name: str, session: Session, *, caller: bool) -> None:
        self.name, self.caller = name, caller
        self.session: Session | None = session
        self.where = [Candidate(STREAM_CANDIDATE, HOSTS[name], 4711)]
        self.told: list[str] = []

    def candidates(self) -> Sequence[Candidate]:
        """The port that listens on its host."""
        return self.where

    def direct_paths(self) -> list[Path]:
        """The active ones of its session; none without a session."""
        paths = self.session.paths.values() if self.session is not None else ()
        return [path for path in paths if path.rank == DIRECT and path.state is State.ACTIVE]

    def streamed(self, way: str) -> None:
        self.told.append(way)

    def cut(self) -> None:
        self.told.append("cut")


class End:
    """One of two, with a data plane and streams."""

    def __init__(self, net: FakeNet, name: str, *, on: bool) -> None:
        self.net, self.name, self.shown = net, name, identity(name)
        self.history, self.outside, self.courtesy = FakeHistory(), FakeOutside(), Courtesy()
        around = surroundings(name, net, self.history)
        ourselves = dataclasses.replace(
            around.ourselves, identity=lambda: self.shown, is_revoked=lambda peer: self.is_revoked(peer)
        )
        around = dataclasses.replace(around, ourselves=ourselves)
        self.tunnel = Tunnel(server=False, entropy=around.entropy)
        self.pump = Pump(net, self.tunnel, net.seconds)
        self.pump.follow(self.changed)
        self.sessions = Sessions(self.pump, around.entropy, self.courtesy, lambda names: None)
        self.peers: dict[str, FakePeer] = {}
        self.reaching: dict[str, Reaching] = {}
        tcp = Net(net, on, 0, self.listen, FakeMeeting, FakeNet.on_device)
        self.streams = Streams(around, tcp, self.pump, self.sessions, self.courtesy, self.outside)

    def is_revoked(self, peer: Peer) -> bool:
        """Whether a certificate is."""
        return False

    def changed(self, event: Event) -> None:
        """As a peer passes on what the data plane tells."""
        peer = self.peers.get(event.session) if isinstance(event, PathChanged) else None
        if isinstance(event, PathChanged) and peer is not None and peer.session is not None:
            path = peer.session.paths[event.path]
            if path.rank == STREAM:
                self.reaching[event.session].path_changed(path, event.now)

    def search(self) -> None:
        """A direct way to the other one is looked for."""
        for each in self.reaching.values():
            each.search()

    def listen(self, gate: object, host: str, port: int, factory: Any, device: str) -> Any:
        """In memory."""
        self.net.servers[host] = factory
        return FakePort(self.net, host)

    def meet(self, name: str, *, caller: bool) -> Session:
        """There is a session with that peer."""
        session = self.sessions.begin(name, b"n" * 16, Tuning(), [], caller=caller)
        session.install(*SECRETS, 1, self.net.seconds())
        peer = self.peers[name] = FakePeer(name, session, caller=caller)
        self.reaching[name] = self.streams.reaching(peer)
        return session

    def held(self) -> list[int]:
        """Numbers of the streams that are doors."""
        return [number for number, carrier in self.tunnel.carriers.items() if carrier.rank == STREAM]

    def paths(self) -> list[Path]:
        """Those of the one session that are streams."""
        return [path for each in self.tunnel.sessions.values() for path in each.paths.values() if path.rank == STREAM]


class StreamsTestCase(SynchronousTestCase):
    """anna, who is the caller, and bert; they have met."""

    on = True  # whether there shall be streams

    def setUp(self) -> None:
        self.net = FakeNet()
        self.patch(autobahn_config, "loop", self.net)
        self.patch(FakeMeeting, "made", [])
        self.anna, self.bert = (End(self.net, name, on=self.on) for name in HOSTS)
        calling, called = self.anna.meet("bert", caller=True), self.bert.meet("anna", caller=False)
        ids = self.bert.tunnel.issue_ids(called, 8)
        self.anna.tunnel.learn_ids(calling, ids)
        calling.add_ids(ids)
        for end in (self.anna, self.bert):
            end.streams.sources_are([Source("eth0", HOSTS[end.name])])

    def search(self, *ends: End) -> None:
        """They look for a direct way, and long enough."""
        for end in ends:
            end.search()
        self.net.pass_by(PATIENCE + 0.5, 0.1)

    def udp(self, end: End) -> Path:
        """A direct path that works, all of a sudden."""
        peer = next(iter(end.peers.values()))
        assert peer.session is not None
        door = FakeDoor(end.pump.new_number())
        end.pump.attach(door, Carrier(DIRECT, "eth0"))
        path = Path(200, door.number, Endpoint("198.51.100.6", 9), 1400, self.net.seconds())
        path.enter(State.ACTIVE, self.net.seconds())
        peer.session.paths[200] = path
        end.reaching[peer.name].direct()
        return path

    def held(self) -> tuple[int, int]:
        """How many streams each end has as doors."""
        return len(self.anna.held()), len(self.bert.held())
