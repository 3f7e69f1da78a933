"""
Two ends of a tunnel and the network between them, simulated: no clock but its own, no chance but its seed.

An event is (time, order, action). Links delay, lose, queue and limit the rate of single datagrams.
"""

from __future__ import annotations

import dataclasses
import heapq
import math
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from morphnet.tunnel.events import Effects, Event
from morphnet.tunnel.part import Part
from morphnet.tunnel.session import Session
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import VNET_HDR, Arrival, Departure, Endpoint
from morphnet.wire.carried import Carried
from morphnet.wire.formats import COMPACT, SEED, Format
from morphnet.wire.header import Header
from morphnet.wire.ip import peek
from tests.wire.test_carried import runs_of, singles

CLIENT4, SERVER4 = b"\x0a\x49\x00\x02", b"\x0a\x49\x00\x01"
SERVER_END = Endpoint("203.0.113.1", 8000)


_formats: list[Format] = [COMPACT]  # the last is the one in use


def used_format() -> Format:
    """The one that worlds speak now."""
    return _formats[-1]


class SpeaksSeed(SynchronousTestCase):
    """A test case, before its other bases, whose worlds speak the format `seed`."""

    def setUp(self) -> None:
        _formats.append(SEED)
        self.addCleanup(_formats.pop)
        super().setUp()


def read(datagram: bytes) -> Header:
    """What a datagram of a world says; of what the format shortens, the low bits."""
    whole = datagram[:16] + datagram[18:22] if used_format() is SEED else datagram[:8] + bytes(12)
    return used_format().unpack(datagram, 0, len(datagram), whole, datagram[39] >> 7 if used_format() is SEED else 0)


def renumbered(datagram: bytes, number: int) -> bytes:
    """The datagram with another packet number, as somebody writes it who has no key."""
    out, bits = bytearray(datagram), used_format().number_bits
    at = 42 if used_format() is SEED else 11
    out[at : at + bits // 8] = (number & ((1 << bits) - 1)).to_bytes(bits // 8, "big")
    return bytes(out)


@dataclass
class Link:
    """One direction of one way."""

    delay: float = 0.01  # seconds
    rate: float = 0.0  # bytes a second; 0 is no limit
    loss: float = 0.0
    queue: float = 0.1  # seconds of rate that may wait
    jitter: float = 0.0  # seconds, uniform
    keeps_order: bool = True
    codel: bool = False  # the queue is kept short by it
    dead: bool = False
    mtu: int = 1472  # bytes of UDP payload
    free_at: float = 0.0
    last_at: float = 0.0
    carried: int = 0
    dropped: int = 0
    log: list[bytes] = field(default_factory=list)
    _law: CoDel = field(default_factory=lambda: CoDel())

    def take(self, size: int, now: float, chance: random.Random) -> float | None:
        """When so many bytes that are sent now will arrive; None when they are lost."""
        if self.dead or size > self.mtu or chance.random() < self.loss:
            self.dropped += 1
            return None
        start = max(now, self.free_at)
        if self.rate:
            if start - now > self.queue or (self.codel and self._law.drops(start - now, start)):
                self.dropped += 1
                return None
            start += size / self.rate
            self.free_at = start
        arrive = start + self.delay + chance.random() * self.jitter
        if self.keeps_order:
            arrive = self.last_at = max(arrive, self.last_at)
        self.carried += size
        return arrive


class CoDel:
    """
    Whether a router's queue drops what leaves it.

    Source: RFC 8289 section 5, with 5 ms and 100 ms. A queue of one way keeps its order, so that it can be asked when
    a packet comes.
    """

    def __init__(self) -> None:
        self._above = self._next = 0.0  # seconds: since when it is too long, and one interval; the next drop
        self._count, self._dropping = 0, False

    def drops(self, sojourn: float, now: float) -> bool:
        """
        :param sojourn: seconds that the packet has waited when it leaves, which is `now`.
        """
        if sojourn < 0.005:
            self._above, self._dropping = 0.0, False
            return False
        if not self._above:
            self._above = now + 0.1
        if self._dropping:
            if now < self._next:
                return False
            self._count += 1
            self._next += 0.1 / math.sqrt(self._count)
            return True
        if now < self._above:
            return False
        self._dropping = True
        self._count = self._count - 2 if now - self._next < 1.6 and self._count > 2 else 1
        self._next = now + 0.1 / math.sqrt(self._count)
        return True


def packet(number: int, size: int = 100, flow: int = 1, *, up: bool = True) -> bytes:
    """A UDP packet behind an empty virtio header; its payload starts with `number`."""
    source, destination = (CLIENT4, SERVER4) if up else (SERVER4, CLIENT4)
    payload = struct.pack("!Q", number).ljust(size - 28, b"x")
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, size, 0, 0x4000, 64, 17, 0, source, destination)
    return bytes(VNET_HDR) + ip + struct.pack("!HHHH", flow, 9, size - 20, 0) + payload


def numbers(packets: list[bytes]) -> list[int]:
    """The numbers in delivered packets, in order of delivery."""
    return [struct.unpack_from("!Q", p, VNET_HDR + peek(memoryview(p)[VNET_HDR:]).headers)[0] for p in packets]


class World:
    """A client with uplinks 0 .. n-1 and a server."""

    parts = Part.CLIENT, Part.SERVER  # what they are to one another

    def __init__(self, links: list[tuple[Link, Link]], tuning: Tuning | None = None, seed: int = 1) -> None:
        self.now = 1000.0
        self.links = links  # (up, down) of each uplink
        self.tuning = dataclasses.replace(tuning or Tuning(), framing=used_format().name)
        self.random = random.Random(seed)
        self.client = Tunnel(server=False, entropy=self.random.randbytes)
        self.server = Tunnel(server=True, entropy=self.random.randbytes)
        self.client.carries = self.server.carries = True
        self.carried: dict[str, list[Carried]] = {}  # by the session's peer
        self.at_server: list[tuple[float, bytes]] = []
        self.at_client: list[tuple[float, bytes]] = []
        self.events: list[tuple[float, str, Event]] = []
        self.addresses = [Endpoint(f"198.51.100.{i + 1}", 5000) for i in range(len(links))]
        self.on_deliver: Callable[[bool, bytes], None] | None = None
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self.epoch = 0
        self.connect(resumed=False)
        for uplink in range(len(links)):
            self.add_uplink(uplink)

    # -- control, in no time -----------------------------------------------------------------------------------------

    def connect(self, *, resumed: bool) -> None:
        """What a control handshake does."""
        effects = Effects()
        secrets = self.random.randbytes(32), self.random.randbytes(32)
        self.epoch += 64
        name = b"S" * 16
        if not resumed:
            opened = self.server.add_session("laptop", name, self.tuning, (CLIENT4,), part=self.parts[1])
            opened.inbound.reorder.midway = "gateway" in self.client.sessions
        ids = self.server.issue_ids(self.server_session, 8)
        if "gateway" not in self.client.sessions:
            self.client.add_session("gateway", name, self.tuning, part=self.parts[0])
        elif not resumed:
            self.client_session.peer_restarted(effects)
        self.server_session.install(*secrets, self.epoch, self.now + getattr(self.server, "ahead", 0.0))
        self.client_session.install(*secrets, self.epoch, self.now)
        self.server_session.be_patient(self.tuning.repair_ms / 1000)
        self.client_session.be_patient(self.tuning.repair_ms / 1000)
        self.client.learn_ids(self.client_session, ids)
        self.client_session.add_ids(ids)
        self.client_session.greet(self.now, effects)
        self._carry(effects, at_client=True)
        self.client.poke(self.client_session, self.now)

    @property
    def client_session(self) -> Session:
        return self.client.sessions["gateway"]

    @property
    def server_session(self) -> Session:
        return self.server.sessions["laptop"]

    def add_uplink(self, uplink: int) -> None:
        effects = Effects()
        self.client_session.open_path(uplink, SERVER_END, f"wan{uplink}", self.now, effects)
        self._carry(effects, at_client=True)
        self.client.poke(self.client_session, self.now)

    # -- the network -------------------------------------------------------------------------------------------------

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Do `action` at that time."""
        self._order += 1
        heapq.heappush(self._agenda, (when, self._order, action))

    def _carry(self, effects: Effects, *, at_client: bool) -> None:
        for departure in effects.sends:
            for at in range(0, len(departure.data), departure.size):
                self.post(bytes(departure.data[at : at + departure.size]), departure, up=at_client)
        delivered = self.at_client if at_client else self.at_server
        for plain in effects.delivers:
            delivered.append((self.now, bytes(plain)))
            if self.on_deliver is not None:
                self.on_deliver(at_client, bytes(plain))
        for peer, carried in effects.carried:
            self.carried.setdefault(peer, []).extend(singles(carried))
        self.events += [(self.now, "client" if at_client else "server", event) for event in effects.events]

    def post(self, datagram: bytes, departure: Departure, *, up: bool) -> None:
        """Send one datagram into the network."""
        if up:
            uplink = departure.door
        else:
            uplink = next((i for i, a in enumerate(self.addresses) if a == departure.to), -1)
            if uplink < 0:
                return
        link = self.links[uplink][0 if up else 1]
        link.log.append(datagram)
        arrive = link.take(len(datagram), self.now, self.random)
        if arrive is None:
            return
        source = self.addresses[uplink] if up else SERVER_END
        door = 0 if up else uplink
        self.at(arrive, lambda: self.arrive(datagram, door, source, up=up, link=link))

    def arrive(self, datagram: bytes, door: int, source: Endpoint, *, up: bool, link: Link | None = None) -> None:
        """One datagram reaches the server (`up`) or the client."""
        if link is not None and link.dead:
            return
        tunnel = self.server if up else self.client
        effects = tunnel.from_path([Arrival(door, source, memoryview(datagram), len(datagram))], self.now)
        self._carry(effects, at_client=not up)

    # -- doing things ------------------------------------------------------------------------------------------------

    def send(self, plain: bytes, *, up: bool = True) -> None:
        """One packet from inside."""
        tunnel = self.client if up else self.server
        self._carry(tunnel.from_tun([memoryview(plain)], self.now), at_client=up)

    def carry(self, *batch: Carried, up: bool = True) -> None:
        """Datagrams of programs beside the TUN."""
        tunnel, peer = (self.client, "gateway") if up else (self.server, "laptop")
        self._carry(tunnel.from_local(peer, runs_of(batch), self.now), at_client=up)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while True:
            timers = [(t, tunnel) for tunnel in (self.client, self.server) if (t := tunnel.next_timer()) is not None]
            due = min((t for t, _ in timers), default=float("inf"))
            event = self._agenda[0][0] if self._agenda else float("inf")
            if min(due, event) > end:
                break
            if event <= due:
                self.now = max(self.now, event)
                heapq.heappop(self._agenda)[2]()
                continue
            self.now = max(self.now, due)
            for when, tunnel in timers:
                if when <= self.now:
                    self._carry(tunnel.on_timer(self.now), at_client=tunnel is self.client)
        self.now = end

    def stream(
        self, count: int, every: float, *, up: bool = True, size: int = 100, first: int = 0, flow: int = 1
    ) -> None:
        """`count` numbered packets, one each `every` seconds, from now on."""
        for step in range(count):
            self.at(
                self.now + step * every,
                lambda step=step: self.send(packet(first + step, size, flow, up=up), up=up),  # type: ignore[misc]
            )
