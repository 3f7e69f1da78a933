"""What a process counts never falls, whatever comes and goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import ClientConfig, Tuning
from morphnet.host.host import Host
from morphnet.host.uplinks import Uplink
from morphnet.levels import LEVELS
from morphnet.net.pump import Pump
from morphnet.net.tun import Tun
from morphnet.net.udp import UdpDoor
from morphnet.roles.client.certified_node import Certificates
from morphnet.roles.client.node import ClientNode, Parts
from morphnet.roles.client.uplink_paths import UplinkPaths
from morphnet.roles.peers.sockets import PeerSockets
from morphnet.tunnel.events import Effects
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.session import Session
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Departure, Endpoint
from tests.fakes_door import FakeDoor, FakeUdp

SERVER = Endpoint("203.0.113.1", 8000)
NAMES, ADDRESSES = ("wan0", "wan1", "lte"), ("10.0.0.2", "10.0.0.3")
UPLINKS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(ADDRESSES))
STEPS = st.one_of(
    st.tuples(st.just("uplinks"), UPLINKS),
    st.tuples(st.just("traffic"), st.integers(1, 1000)),
    st.tuples(st.sampled_from(("session", "restart", "drop", "replace", "peer", "peer gone")), st.none()),
    st.tuples(st.sampled_from(("cut", "restore")), st.sampled_from(NAMES)),
)


class FakeTun:
    """Takes nothing, and has read one packet."""

    offloads = ()

    def counters(self) -> dict[str, int]:
        """Always the same."""
        return {"read_packets": 1}


class World:
    """A client, its uplinks, its server and one peer."""

    def __init__(self) -> None:
        clock, FakeUdp.made = cast(Any, Clock()), []
        self.pump = Pump(clock, Tunnel(server=False, entropy=bytes), clock.seconds)
        door = cast(type[UdpDoor], FakeUdp)
        self.uplink_paths = UplinkPaths(clock, self.pump, lambda kind, text: None, lambda *_: "", door)
        self.sockets = PeerSockets(clock, self.pump, 41194, lambda: None, door)
        parts = Parts(cast(Host, None), cast(Tun, FakeTun()), self.uplink_paths, Certificates())
        self.node = ClientNode(ClientConfig(), self.pump, parts)
        self.troubles = Counter[str]()  # of all sessions so far
        self.paths: dict[int, Path] = {}  # every one that there ever was

    @property
    def sent(self) -> int:
        """By all sockets so far."""
        return sum(len(door.sent) for door in FakeUdp.made)

    @property
    def totals(self) -> Counter[str]:
        """What all sessions have to have counted together."""
        found = Counter[str](self.troubles)
        for path in self.paths.values():
            found.update(sent_packets=path.delivery.sent_packets, sent_bytes=path.delivery.sent_bytes)
            found.update(received_packets=path.received.packets, received_bytes=path.received.bytes)
        return found

    def step(self, what: str, argument: Any) -> None:
        """One thing happens."""
        self._do(what, argument, self.uplink_paths.session)
        for session in self.pump.tunnel.sessions.values():
            self.paths.update({id(path): path for path in session.paths.values()})

    def _do(self, what: str, argument: Any, session: Session | None) -> None:
        match what:
            case "uplinks":
                uplinks = [Uplink(name, 1, True, (host,), (), None, None, 1500, 0) for name, host in argument.items()]
                self.uplink_paths.uplinks_are(uplinks)
                self.sockets.uplinks_are(uplinks)
            case "session":
                session = self.pump.tunnel.add_session("gateway", b"n" * 16, Tuning())
                session.install(bytes(32), bytes(32), 64, 0.0)
                self.uplink_paths.serve(session, [SERVER])
            case "restart" if session is not None:
                session.peer_restarted(Effects())
            case "drop":
                self.pump.tunnel.drop_session("gateway")
                self.uplink_paths.session = None
            case "replace":
                for key in list(self.sockets.numbers()):
                    number = self.sockets.replace(key)
                    assert number is not None
                    self.sockets.let_go(number)
            case "peer":
                nas = self.pump.tunnel.add_session("nas", b"p" * 16, Tuning(), [b"abcd"])
                nas.install(bytes(32), bytes(32), 1, 0.0)
                nas.open_path(99, SERVER, "direct", 0.0, Effects())
            case "peer gone":
                self.pump.tunnel.drop_session("nas")
            case "cut" if session is not None:
                for path in [each for each in session.paths.values() if each.uplink == argument]:
                    if path.state is not State.CLOSED:
                        self.uplink_paths.cut(path.id)
            case "restore":
                self.uplink_paths.restore(argument)
            case "traffic":
                self.traffic(argument)

    def traffic(self, size: int) -> None:
        """By every door and path that there is, and each kind of trouble."""
        for door in self.pump._doors.values():
            cast(FakeDoor, door).sent.append(Departure(door.number, SERVER, b"", 0))
        for session in self.pump.tunnel.sessions.values():
            session.counts["duplicate"] += 1
            session.inbound.reorder.gaps += 2
            session.inbound.reorder.reordered += 3
            session.outbound.egress.codel_drops += 4
            session.rekey(0.0)
            self.troubles.update(duplicate=1, gaps=2, held_back=3, dropped_queue=4, rekeys=1)
            for path in session.paths.values():
                if path.state is not State.CLOSED:
                    path.sent(1, size, size, 0.0, asks=False)
                    path.received.came(0, 1, size, 0, 0.0)


class HistoryTests(SynchronousTestCase):
    @settings(max_examples=200, deadline=None)
    @given(st.lists(STEPS, max_size=30))
    def test_never_falls(self, steps: list[tuple[str, Any]]) -> None:
        """
        After any history all that ever happened is in the totals once: what a session, path, socket or peer had counted
        is not gone with it. And of one session no counter falls.
        """
        world, before = World(), dict[str, int]()
        sessions = dict[Session, Mapping[str, int]]()
        for what, argument in [("uplinks", dict.fromkeys(NAMES[:2], ADDRESSES[0])), ("session", None), *steps]:
            world.step(what, argument)
            picture = world.node.status()
            self.assertFalse(LEVELS & (picture.counters.keys() | picture.totals.keys()))
            self.assertEqual(picture.counters.get("sent", 0), world.sent)
            totals = world.totals
            self.assertEqual(totals, {name: picture.totals.get(name, 0) for name in totals})
            now = {**picture.counters, **{f"all {name}": count for name, count in picture.totals.items()}}
            self.assertEqual({name for name in before if now.get(name, 0) < before[name]}, set())
            for shown, session in zip(picture.sessions, world.pump.tunnel.sessions.values(), strict=True):
                was = sessions.get(session, {})
                self.assertEqual({name for name in was if shown.counters.get(name, 0) < was[name]}, set())
                sessions[session] = shown.counters
            before = now
