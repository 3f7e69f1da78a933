"""A client and its server in memory, each with its data plane: UDP passes or does not, TCP is that of a FakeNet."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase
from txaio.tx import config as autobahn_config

from morphnet.config.roles import Tuning
from morphnet.net.dial import Destination
from morphnet.net.gate import Gate
from morphnet.net.limits import Limits
from morphnet.net.ondevice import Source
from morphnet.net.pump import Pump
from morphnet.net.tls import ClientTls, ServerTls
from morphnet.roles.certificates.proxied import Proxied
from morphnet.roles.client.streaming import Streaming
from morphnet.roles.server.streams import Streams
from morphnet.roles.signalling.control_server import ControlServer
from morphnet.tunnel.events import Effects
from morphnet.tunnel.path import Path
from morphnet.tunnel.session import Session
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Arrival, Departure, Endpoint
from tests.fakes_control import CLIENT_HOST, SERVER_HOST, FakeNet, FakeOffice
from tests.fakes_relay import MANY
from tests.fakes_tls import CLIENT, SERVER, FakeCa
from tests.simulation import CLIENT4, numbers, packet

DELAY = 0.01  # seconds that a datagram takes
STEP = 0.02


class FakeTun:
    """Keeps what comes out."""

    def __init__(self) -> None:
        self.came: list[bytes] = []

    def write(self, packets: Sequence[bytes | bytearray | memoryview]) -> None:
        self.came += [bytes(each) for each in packets]

    def doRead(self) -> None:
        """Nobody answers."""


class FakeUdp:
    """A UDP socket whose datagrams reach the other pump while `passes`."""

    def __init__(self, net: FakeNet, own: Pump, here: Endpoint) -> None:
        self.net, self.own, self.here = net, own, here
        self.number = own.new_number()
        self.there: FakeUdp | None = None
        self.passes, self.loss = True, 0.0  # share of what is sent
        self._chance = random.Random(2)

    def counters(self) -> dict[str, int]:
        """Nothing is counted."""
        return {}

    def send(self, departures: Sequence[Departure]) -> None:
        """In a moment it is there, or never."""
        for departure in departures:
            if self.passes and self.there is not None and self._chance.random() >= self.loss:
                self.net.callLater(DELAY, self.there.take, self.here, bytes(departure.data), departure.size)

    def take(self, source: Endpoint, data: bytes, size: int) -> None:
        """What the other one has sent."""
        if self.passes:
            self.own.from_door([Arrival(self.number, source, memoryview(data), size)])


class StreamsTestCase(SynchronousTestCase):
    """The session is there, and nothing has been sent yet."""

    def setUp(self) -> None:
        self.net, self.ca, chance = FakeNet(), FakeCa(), random.Random(1)
        self.patch(autobahn_config, "loop", self.net)  # the one clock that Autobahn knows
        self.server = Pump(self.net, Tunnel(server=True, entropy=chance.randbytes), self.net.seconds)
        self.client = Pump(self.net, Tunnel(server=False, entropy=chance.randbytes), self.net.seconds)
        self.in_server, self.in_client = FakeTun(), FakeTun()
        self.server.tun, self.client.tun = self.in_server, self.in_client
        self.told: list[str] = []  # by the client
        self.told_there: list[str] = []
        self.revoked: set[str] = set()
        self.sources = [Source("wan", CLIENT_HOST)]
        self.streaming = Streaming(
            self.net,
            self.client,
            lambda kind, text: self.told.append(kind),
            ClientTls(self.ca.identity("laptop", CLIENT), "gateway"),
            lambda: self.sources,
            self.reach,
        )
        self.serve()
        self.session = self.begin()
        self.udp = self.plug()
        self.sent = 0

    def reach(self, place: Endpoint) -> Destination:
        """How it is called by TCP."""
        return Destination(place.host, place.port, lambda: self.sources, on_device=FakeNet.on_device)

    def serve(self, limits: Limits = MANY) -> None:
        """The port of the server."""
        proxied = Proxied(dict, lambda peer: peer.serial in self.revoked, time.time)
        gate = Gate(self.net)
        self.streams = Streams(
            self.server, lambda kind, session, text: self.told_there.append(kind), gate, limits, proxied
        )
        tls = ServerTls(self.ca.identity("gateway", SERVER), lambda peer: peer.serial in self.revoked)
        self.control = ControlServer(tls, FakeOffice(), gate, limits, streams=self.streams.take)
        self.net.servers[SERVER_HOST] = self.control.factory

    def begin(self) -> Session:
        """A session with keys at both ends: the client's."""
        theirs = self.server.tunnel.add_session("laptop", bytes(16), Tuning(), (CLIENT4,))
        ours = self.client.tunnel.add_session("gateway", bytes(16), Tuning())
        for session in (theirs, ours):
            session.install(bytes(32), bytes(range(32)), 64, self.net.seconds())
        ours.add_ids(self.server.tunnel.issue_ids(theirs, 8))
        return ours

    def plug(self) -> FakeUdp:
        """An uplink: the client's socket."""
        here = FakeUdp(self.net, self.client, Endpoint(CLIENT_HOST, 5000))
        there = FakeUdp(self.net, self.server, Endpoint(SERVER_HOST, 8000))
        here.there, there.there = there, here
        self.there_udp = there
        self.client.attach(here)
        self.server.attach(there)
        return here

    def start(self, *, passes: bool = True, ports: Sequence[int] = (443, 8443)) -> Path:
        """The client opens its path by UDP, and is told where the server takes streams."""
        self.allow(passes)
        now, effects = self.net.seconds(), Effects()
        path = self.session.open_path(self.udp.number, Endpoint(SERVER_HOST, 8000), "wan", now, effects)
        self.client.carry_out(effects)
        self.client.tunnel.poke(self.session, now)
        self.streaming.serve(self.session, [SERVER_HOST], ports)
        return path

    def allow(self, passes: bool) -> None:
        """Whether UDP passes from now on."""
        self.udp.passes = passes

    def run_for(self, seconds: float, *, sending: bool = False) -> None:
        """Let time go by; `sending`, both ends send a packet each STEP."""
        for _ in range(round(seconds / STEP)):
            if sending:
                self.client.from_tun([memoryview(packet(self.sent))])
                self.server.from_tun([memoryview(packet(self.sent, up=False))])
                self.sent += 1
            self.streaming.look()
            self.net.advance(STEP)
            self.net.settle()

    def all_came(self) -> None:
        """Every packet came, at both ends, and none twice."""
        for tun in (self.in_server, self.in_client):
            self.assertEqual(sorted(numbers(tun.came)), list(range(self.sent)))

    def stream_paths(self, session: Session) -> list[str]:
        """States of the paths by TCP that are not closed."""
        return [path.state for path in session.paths.values() if path.rank == 1 and path.state != "closed"]

    @property
    def there(self) -> Session:
        """The server's session."""
        return self.server.tunnel.sessions["laptop"]
