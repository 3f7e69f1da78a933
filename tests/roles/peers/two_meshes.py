"""Two ends with real sessions, and TCP in memory between them."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase
from txaio.tx import config as autobahn_config

from morphnet.config.roles import MeshConfig, Tuning
from morphnet.net.ondevice import Source
from morphnet.net.pump import Pump
from morphnet.net.tls import Peer
from morphnet.roles.peers.streams import PATIENCE, Streams
from morphnet.traversal.courtesy import Courtesy
from morphnet.tunnel.carrier import DIRECT, STREAM, Carrier
from morphnet.tunnel.events import Effects, Event, PathChanged
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.session import Session
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Departure, Endpoint
from morphnet.wire.places import STREAM as STREAM_PLACE
from morphnet.wire.places import Place
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

    def __init__(self, reactor: object, here: Endpoint, there: Endpoint, factory: Any, device: str = "") -> None:
        self.here, self.there, self.factory, self.device, self.on = here, there, factory, device, False
        self.made.append(self)

    def start(self, within: float) -> None:
        """See MeetTcp."""
        self.on = True

    def stop(self) -> None:
        """See MeetTcp."""
        self.on = False


class FakeDoor:
    """UDP to the other end."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.sent: list[Departure] = []

    def send(self, departures: Any) -> None:
        """See DatagramDoor."""
        self.sent += departures


class FakeStory:
    """Remembers what was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def streamed(self, way: str) -> None:
        """See Acquaintance."""
        self.told.append(way)

    def cut(self) -> None:
        """See Acquaintance."""
        self.told.append("cut")


class FakePeer:
    """What Streams wants of a Peer."""

    def __init__(self, name: str, session: Session, *, caller: bool) -> None:
        self.name, self.caller = name, caller
        self.session: Session | None = session
        self.places = [Place(STREAM_PLACE, HOSTS[name], 4711)]
        self.story = FakeStory()

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
        self.pump = Pump(net, self.tunnel, net.seconds)
        self.pump.follow(self.changed)
        self.ca, self.shown = ca, ca.identity(name, CLIENT)
        self.peers: dict[str, FakePeer] = {}
        self.courtesy = Courtesy()
        self.told: list[str] = []
        self.blocked = False
        self.relays = SimpleNamespace(lines=list, udp_is_blocked=lambda: self.blocked)
        self.streams = Streams(cast(Any, self), net, self.listen)
        self.streams.meeting = FakeMeeting  # type: ignore[assignment]
        self.streams.on_device = FakeNet.on_device

    def identity(self) -> Any:
        """See Mesh."""
        return self.shown

    def is_revoked(self, peer: Peer) -> bool:
        """See Mesh."""
        return False

    def changed(self, event: Event) -> None:
        """As Mesh and Peer pass on what the data plane tells."""
        peer = self.peers.get(event.session) if isinstance(event, PathChanged) else None
        if isinstance(event, PathChanged) and peer is not None and peer.session is not None:
            path = peer.session.paths[event.path]
            if path.rank == STREAM:
                self.streams.path_changed(cast(Any, peer), path, event.now)

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

    def listen(self, gate: object, host: str, port: int, factory: Any, device: str) -> Any:
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

    def held(self) -> list[int]:
        """Numbers of the streams that are doors."""
        return [number for number, carrier in self.tunnel.carriers.items() if carrier.rank == STREAM]

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
            end.streams.sources_are([Source("eth0", HOSTS[end.name])])

    def search(self, *ends: End) -> None:
        """They look for a direct way, and long enough."""
        for end in ends:
            end.streams.search(cast(Any, next(iter(end.peers.values()))))
        self.net.pass_by(PATIENCE + 0.5, 0.1)

    def udp(self, end: End) -> Path:
        """A direct path that works, all of a sudden."""
        peer = next(iter(end.peers.values()))
        assert peer.session is not None
        end.pump.attach(FakeDoor(UDP), Carrier(DIRECT, "eth0"))
        path = Path(200, UDP, Endpoint("198.51.100.6", 9), 1400, self.net.seconds())
        path.enter(State.ACTIVE, self.net.seconds())
        peer.session.paths[200] = path
        end.streams.direct(cast(Any, peer))
        return path

    def held(self) -> tuple[int, int]:
        """How many streams each end has as doors."""
        return len(self.anna.held()), len(self.bert.held())
