"""What surrounds a peer, in memory."""

from __future__ import annotations

import ipaddress
import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from cryptography import x509
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from morphnet.net.pump import Pump
from morphnet.net.tls import Identity
from morphnet.pki.authority import Description
from morphnet.roles.peers.port_guess import Varying
from morphnet.roles.peers.reaching import Reachable
from morphnet.roles.peers.sessions import Names, Sessions
from morphnet.roles.peers.surroundings import Line, Ourselves, Surroundings
from morphnet.traversal.courtesy import Courtesy
from morphnet.tunnel.carrier import DIRECT, RELAYED, Carrier
from morphnet.tunnel.events import Effects
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.session import Session
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Endpoint
from morphnet.wire.messages.relay import EVERYBODY
from tests.fakes_door import FakeDoor
from tests.fakes_tls import CLIENT, FakeCa

CA = FakeCa()
INNER = {"anna": "10.73.0.2", "bert": "10.73.0.3", "carl": "10.73.0.4"}
NETWORKS = ("10.73.0.0/24",)
INSTANCE = "0" * 16
STARTED_AT = 50.0  # seconds on the data plane's clock


def identity(name: str) -> Identity:
    """The certificate of that machine, with its address inside."""
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(INNER[name]))]
    return CA.identity(name, CLIENT, names=names)


class FakeHistory:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []
        self.counts: Counter[str] = Counter()

    def tell(self, kind: str, session: str, text: str) -> None:
        self.lines.append((kind, session, text))

    def kinds(self) -> list[str]:
        """Of the lines, in order."""
        return [kind for kind, _, _ in self.lines]

    def count(self, what: str) -> None:
        self.counts[what] += 1


def surroundings(
    name: str,
    clock: Clock,
    history: FakeHistory | None = None,
    *,
    wanted: Sequence[str] = (EVERYBODY,),
    instance: str = INSTANCE,
    revoked: Collection[str] = (),
) -> Surroundings:
    """
    Those of that machine's peers.

    :param revoked: serials of certificates.
    """
    shown = identity(name)
    ourselves = Ourselves(
        name=name,
        addresses=(INNER[name],),
        networks=NETWORKS,
        wanted=tuple(wanted),
        tuning=Tuning(),
        instance=instance,
        identity=lambda: shown,
        is_revoked=lambda certificate: certificate.serial in revoked,
        candidates=list,
    )
    entropy = random.Random(name + instance).randbytes
    return Surroundings(clock, clock.seconds, entropy, ourselves, history if history is not None else FakeHistory())


class FakeLine:
    """To a relay; keeps what it is given."""

    def __init__(self, number: int) -> None:
        self.number, self.host, self.address = number, f"relay{number}", "203.0.113.1"
        self.posted: list[tuple[str, int, bytes]] = []  # for whom, which kind, and what

    def post(self, name: str, kind: int, content: bytes) -> bool:
        """Keep it; there is always room."""
        self.posted.append((name, kind, content))
        return True

    def kinds(self) -> list[int]:
        """Of what it was given."""
        return [kind for _, kind, _ in self.posted]


class FakeRelays:
    """Two, and every peer is at both, until a test says otherwise."""

    def __init__(self, lines: Sequence[Line] = ()) -> None:
        self.lines = [FakeLine(7), FakeLine(8)]
        self.there: list[Line] = list(lines) or list(self.lines)
        self.hurried = 0
        self.open = True  # whether handshakes may begin

    def having(self, name: str) -> list[Line]:
        """The same relays for every peer."""
        return self.there

    def may_meet(self, line: Line) -> bool:
        """At every relay or at none: for the test to say."""
        return self.open

    def hurry(self) -> None:
        self.hurried += 1


class FakeIntroduced:
    """A peer that has shown a certificate; both ends have the same zeros."""

    group = "X25519MLKEM768"

    def __init__(self, name: str, not_after: float = float("inf")) -> None:
        self.peer = Description(name, "client", f"serial of {name}", 0.0, not_after, (INNER[name],))

    def export(self, context: bytes, length: int) -> bytes:
        """As many zeros as asked for, whatever the context."""
        return bytes(length)


class FakeReaching:
    """Notes what a peer wants of streams."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.works = False

    def search(self) -> None:
        self.asked.append("search")

    def path_changed(self, path: Path, state: str) -> None:
        self.asked.append(f"path {state}")

    def stand_in(self) -> bool:
        """Note it; whether it works is for the test to say."""
        self.asked.append("stand in")
        return self.works

    def direct(self) -> None:
        """Read the fields and the nonce, and check what is known or there twice: id, length, path, epoch, direction."""
        self.asked.append("direct")

    def forget(self) -> None:
        self.asked.append("forget")

    def stop(self) -> None:
        self.asked.append("stop")


class FakeStreams:
    """Of one peer."""

    def __init__(self) -> None:
        self.made = FakeReaching()

    def reaching(self, peer: Reachable) -> FakeReaching:
        """The same one for every peer."""
        return self.made


class FakePorts:
    """Sockets for searches and guesses; the router is an ordinary one until a test says otherwise."""

    def __init__(self, families: Mapping[int, bool]) -> None:
        self.families = dict(families)
        self.leaving: set[int] = set()
        self.router: Varying | None = None
        self.many = [100, 101, 102]
        self.users: list[str] = []

    def has(self, number: int) -> bool:
        """Whether the test gave it that socket."""
        return number in self.families

    def is_leaving(self, number: int) -> bool:
        """Whether the test has put it among those that leave."""
        return number in self.leaving

    def varying(self) -> Varying | None:
        """The router that varies, if a test has set one."""
        return self.router

    def open(self, user: str, uplink: str, address: str) -> list[int]:
        """Note who uses them, and give them all; asked for only where the router varies."""
        assert self.router == (uplink, address)
        self.users.append(user)
        return self.many

    def release(self, user: str) -> None:
        """Strike the user off, if it is there."""
        if user in self.users:
            self.users.remove(user)


class PlaneTestCase(SynchronousTestCase):
    """anna has a data plane with a socket on each of two uplinks, and a line to a relay."""

    name = "anna"

    def setUp(self) -> None:
        self.clock, self.history = Clock(), FakeHistory()
        self.clock.advance(STARTED_AT)
        self.around = surroundings(self.name, self.clock, self.history)
        self.tunnel = Tunnel(server=False, entropy=self.around.entropy)
        self.pump = Pump(self.clock, self.tunnel, self.clock.seconds)
        self.addCleanup(self.pump.stop)
        self.wifi, self.lte = self.attach(Carrier(DIRECT, "wifi")), self.attach(Carrier(DIRECT, "lte"))
        self.line = self.attach(Carrier(RELAYED, "relay"))
        self.met: list[Names] = []
        self.courtesy = Courtesy()
        self.sessions = Sessions(self.pump, self.around.entropy, self.courtesy, self.met.append)

    def attach(self, carrier: Carrier) -> FakeDoor:
        """One more door."""
        door = FakeDoor(self.pump.new_number())
        self.pump.attach(door, carrier)
        return door

    def begin(self, peer: str = "bert") -> Session:
        """A session with that peer, which has keys, and ids enough."""
        caller = self.around.ourselves.calls(peer)
        session = self.sessions.begin(peer, bytes(16), Tuning(), [INNER[peer]], caller=caller)
        session.install(bytes(32), bytes(32), 1, self.clock.seconds())
        session.add_ids(self.sessions.issue_ids(session, 8))
        return session

    def path(self, session: Session, door: FakeDoor, host: str, state: State = State.ACTIVE) -> Path:
        """A path by that door, which works."""
        uplink = self.pump.carrier(door.number).name
        path = session.open_path(door.number, Endpoint(host, 9), uplink, self.clock.seconds(), Effects())
        session.table.change(path, state, self.clock.seconds(), Effects())
        return path
