"""A path through a relay and a direct one: who carries the traffic, what the other costs, what a change loses."""

from __future__ import annotations

from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.carrier import DIRECT, RELAYED, Carrier
from morphnet.tunnel.events import Effects, PathMoved
from morphnet.tunnel.part import Part
from morphnet.tunnel.path import State
from morphnet.tunnel.timers import LINGER
from morphnet.wire.batch import Departure, Endpoint
from morphnet.wire.header import IP
from tests.simulation import SERVER_END, Link, read
from tests.tunnel.scenes import MBIT, Scene, way

RELAY, WAN, OTHER = 0, 1, 2  # doors, and uplinks of the scene
ENDS = {True: "client", False: "server"}


class Peers(Scene):
    """Two peers, by a relay from the start, and directly when `go_direct` was called."""

    parts = Part.CALLER, Part.CALLED

    def __init__(self, relay: tuple[Link, Link], *direct: tuple[Link, Link], **tuning: object) -> None:
        self.trail: list[tuple[float, bool, int, bytes]] = []  # when, from the client, by which way, what
        self.there = SERVER_END  # where the called peer is on the direct way
        self.held = {WAN, OTHER}
        super().__init__([relay, *direct], **tuning)  # type: ignore[arg-type]

    def connect(self, *, resumed: bool) -> None:
        for tunnel in (self.client, self.server):
            tunnel.carriers[RELAY] = Carrier(RELAYED, "relay")
        self.addresses[RELAY] = Endpoint("laptop", 0)
        super().connect(resumed=resumed)

    def add_uplink(self, uplink: int) -> None:
        if uplink not in self.held:
            super().add_uplink(uplink)

    def go_direct(self) -> None:
        """A way was found."""
        self.held.discard(WAN)
        self.add_uplink(WAN)

    def post(self, datagram: bytes, departure: Departure, *, up: bool) -> None:
        self.trail.append((self.now, up, departure.door, datagram))
        super().post(datagram, departure, up=up)

    def arrive(self, datagram: bytes, door: int, source: Endpoint, *, up: bool, link: Link | None = None) -> None:
        by = next(number for number, pair in enumerate(self.links) if link in pair)
        if by == WAN and not up:
            source = self.there
        super().arrive(datagram, by, source, up=up, link=link)

    def both(self, count: int, every: float, first: int = 0) -> None:
        """A stream in each direction."""
        for up in (True, False):
            self.stream(count, every, up=up, first=first)

    def sent_by(self, door: int, since: float, *, up: bool | None = None, traffic: bool = False) -> list[float]:
        """When datagrams, or only those with packets in them, were sent that way."""
        return [at for at, by_client, by, datagram in self.trail
                if by == door and at > since and up in (None, by_client)
                and (not traffic or read(datagram).type == IP)]  # fmt: skip

    def active_since(self, door: int, *, up: bool) -> float:
        """When the path by that door became active at that end, the last time."""
        session = self.client_session if up else self.server_session
        numbers = {path.id for path in session.paths.values() if path.door == door}
        return max(at for at, event in self.changes(ENDS[up]) if event.path in numbers and event.now == State.ACTIVE)


class Unequal(Peers):
    """One end is no peer: it knows its server by one address."""

    parts = Part.CLIENT, Part.SERVER


def peers(relay_rtt: float = 0.08, direct_rtt: float = 0.02, **tuning: object) -> Peers:
    """Both ways are good, the relay's is longer."""
    return Peers(way(relay_rtt), way(direct_rtt), **tuning)


class RankTests(SynchronousTestCase):
    """The two ends of one session."""

    def assert_nothing_lost(self, scene: Peers, count: int) -> None:
        """All of both streams came out, once."""
        for up in (True, False):
            self.assertEqual((scene.lost(count, up=up), scene.doubled(up=up)), (0, 0), ENDS[up])

    def test_relay_alone(self) -> None:
        """While there is no other the relay's path carries all, in both directions."""
        scene = peers()
        scene.both(100, 0.01)
        scene.run(3)
        self.assert_nothing_lost(scene, 100)
        self.assertEqual({path.rank for path in scene.client_session.paths.values()}, {RELAYED})
        self.assertEqual({path.rank for path in scene.server_session.paths.values()}, {RELAYED})

    def test_moves_over(self) -> None:
        """As soon as the direct path is active at an end, nothing of its traffic goes by the relay; nothing is lost."""
        for rtt in (0.002, 0.02, 0.3):  # the direct way may also be the longer one
            scene = peers(direct_rtt=rtt)
            scene.both(1000, 0.005)
            scene.run(2)
            scene.go_direct()
            scene.run(6)
            for up in (True, False):
                at = scene.active_since(WAN, up=up)
                self.assertGreater(len(scene.sent_by(RELAY, 0, up=up, traffic=True)), 100)
                self.assertEqual(scene.sent_by(RELAY, at, up=up, traffic=True), [], (rtt, ENDS[up]))
                self.assertGreater(len(scene.sent_by(WAN, at, up=up, traffic=True)), 300)
                self.assertGreater(scene.active_since(RELAY, up=up), 0)
            self.assert_nothing_lost(scene, 1000)

    def test_download_beside(self) -> None:
        """A direct path ends under load: what the relay has no room for is sent again, and no ping waits for it."""
        relay, direct = (Link(delay=0.04, rate=20 * MBIT, queue=0.02), Link(delay=0.04)), way(0.02, 50)
        scene = Peers(relay, direct)
        scene.go_direct()
        scene.run(1)
        scene.load(8, 15 * MBIT, up=True)
        scene.stream(1000, 0.01, first=1 << 20, flow=9)
        scene.run(3)
        scene.cut(WAN)
        scene.run(12)
        arrived = [(at, number) for at, number in zip((at for at, _ in scene.at_server), scene.arrived(), strict=True)]
        pings = [at for at, number in arrived if number >= 1 << 20]
        self.assertGreater(relay[0].dropped, 10)
        self.assertEqual(len(pings), 1000)
        self.assertLess(max(after - before for before, after in pairwise(pings)), 0.5)
        self.assertEqual(scene.doubled(), 0)

    def test_dormant(self) -> None:
        """A relay's path sends nothing at all for a minute while the direct one works, with traffic and without."""
        for traffic in (True, False):
            scene = peers()
            scene.go_direct()
            scene.run(LINGER + 3)
            since = scene.now
            if traffic:
                scene.both(6000, 0.01)
            scene.run(60)
            self.assertEqual(scene.sent_by(RELAY, since), [], traffic)
            for session in (scene.client_session, scene.server_session):
                self.assertEqual({path.state for path in session.paths.values()}, {State.ACTIVE})

    def test_load(self) -> None:
        """The same under a load that the direct way cannot carry: the relay is not there to help."""
        scene = Peers(way(0.08), way(0.02, mbit=10))
        scene.go_direct()
        scene.run(LINGER + 3)
        since = scene.now
        scene.load(10, 12.5e6 / 5)
        scene.run(12)
        self.assertEqual(scene.sent_by(RELAY, since), [])
        self.assertGreater(len(scene.arrived()), 5000)

    def test_goes_black(self) -> None:
        """When the direct way goes black nothing is lost, and the relay carries on at once, in both directions."""
        for directions in ((0, 1), (0,), (1,)):
            scene = peers()
            scene.go_direct()
            scene.run(60)
            began = scene.now
            scene.both(1000, 0.005)
            scene.run(1)
            cut = scene.now
            scene.cut(WAN, directions=directions)
            scene.run(10)
            self.assert_nothing_lost(scene, 1000)
            for up in (True, False):
                self.assertLess(scene.longest_gap(up=up), 0.35 if len(directions) == 2 else 0.6, (directions, ENDS[up]))
                self.assertFalse(scene.sent_by(RELAY, began, up=up, traffic=True)[0] < cut)

    def test_comes_back(self) -> None:
        """A direct way that works again carries the traffic again, the relay rests again; nothing is lost."""
        scene = peers()
        scene.go_direct()
        scene.run(40)
        scene.both(6000, 0.005)
        scene.run(2)
        scene.cut(WAN)
        scene.run(5)
        scene.cut(WAN, heal=True)
        scene.run(15)
        since = scene.now
        scene.run(18)
        self.assertEqual(scene.sent_by(RELAY, since), [])
        self.assert_nothing_lost(scene, 6000)

    def test_idle_then_black(self) -> None:
        """A direct way that goes black in an idle moment is noticed, and the next packet is there by the relay."""
        scene = peers()
        scene.go_direct()
        scene.run(60)
        scene.cut(WAN)
        scene.run(20)
        began = scene.now
        scene.both(1, 0.1)
        scene.run(0.5)
        self.assert_nothing_lost(scene, 1)
        for arrived in (scene.at_server, scene.at_client):
            self.assertLess(arrived[0][0] - began, 0.1)

    def test_relay_gone(self) -> None:
        """What was under way through a relay that is known to be gone goes another way at once."""
        scene = peers()
        scene.held.clear()
        scene.both(400, 0.005)
        scene.run(1)
        scene.cut(RELAY)
        scene.go_direct()
        scene.run(0.05)
        effects = Effects()
        for session, at_client in ((scene.client_session, True), (scene.server_session, False)):
            for path in list(session.paths.values()):
                if path.rank:
                    session.silence(path.id, scene.now, effects)
                    session.silence(99, scene.now, effects)  # there is none
            scene._carry(effects, at_client=at_client)
            effects = Effects()
        scene.run(3)
        self.assert_nothing_lost(scene, 400)
        for up in (True, False):
            self.assertLess(scene.longest_gap(up=up), 0.15)

    def test_relay_gone_while_dormant(self) -> None:
        """A relay that goes while it rests is missed by nobody."""
        scene = peers()
        scene.go_direct()
        scene.run(10)
        effects = Effects()
        scene.client_session.silence(0, scene.now, effects)
        scene._carry(effects, at_client=True)
        scene.cut(RELAY)
        scene.both(500, 0.01)
        scene.run(7)
        self.assert_nothing_lost(scene, 500)
        self.assertLess(max(scene.longest_gap(up=up) for up in (True, False)), 0.05)

    def test_copies(self) -> None:
        """Also who sends everything by every path sends it by the best ones only."""
        scene = peers(scheduler="redundant")
        scene.go_direct()
        scene.run(LINGER + 3)
        since = scene.now
        scene.both(500, 0.01)
        scene.run(8)
        self.assertEqual(scene.sent_by(RELAY, since, traffic=True), [])
        self.assert_nothing_lost(scene, 500)


class EqualTests(SynchronousTestCase):
    """Of two peers either one may find itself behind another address."""

    def rebind(self, *, equals: bool) -> Peers:
        """The called peer's NAT gives it another port, while both send."""
        scene = (Peers if equals else Unequal)(way(0.08), way(0.02))
        scene.go_direct()
        scene.run(10)
        scene.both(400, 0.005)
        scene.run(1)
        scene.there = SERVER_END._replace(port=4711)
        scene.run(4)
        return scene

    def test_called_moves(self) -> None:
        """The caller follows the called one to its new address, once that has proved itself."""
        scene = self.rebind(equals=True)
        path = next(path for path in scene.client_session.paths.values() if path.door == WAN)
        self.assertEqual((path.remote, path.state), (scene.there, State.ACTIVE))
        self.assertEqual((scene.lost(400), scene.lost(400, up=False)), (0, 0))

    def test_server_does_not(self) -> None:
        """A client does not follow its server: it has called that one address."""
        scene = self.rebind(equals=False)
        path = next(path for path in scene.client_session.paths.values() if path.door == WAN)
        self.assertEqual(path.remote, SERVER_END)
        self.assertGreater(scene.client_session.counts["elsewhere"], 0)


class OtherSocketTests(SynchronousTestCase):
    """One end goes on by another socket while the one before still works, as it does when that will not for long."""

    def test_moves_once(self) -> None:
        """Whichever end moves, both do so once, nothing is lost, the relay carries nothing, and the rate is known."""
        for up in (True, False):
            scene = Peers(way(0.08), way(0.04, 20), way(0.04, 20))
            for tunnel in (scene.client, scene.server):
                tunnel.carriers[WAN] = tunnel.carriers[OTHER] = Carrier(DIRECT, "wan")
            scene.go_direct()
            scene.run(LINGER + 3)
            scene.both(3000, 0.001)
            scene.run(1)
            ends = scene.client_session, scene.server_session
            session, since = ends[0 if up else 1], scene.now
            path = next(path for path in session.paths.values() if path.door == WAN)
            rate, effects = path.pacer.window.rate(scene.now), Effects()
            scene.addresses[OTHER] = scene.addresses[WAN]._replace(port=4711)
            session.move_path(path.id, OTHER, SERVER_END if up else scene.addresses[OTHER], scene.now, effects)
            self.assertEqual((path.pacer.window.rate(scene.now), path.mtu.proven), (rate, path.mtu.ceiling))
            scene._carry(effects, at_client=up)
            scene.run(6)
            self.assertEqual([each.paths[path.id].door for each in ends], [OTHER, OTHER])
            self.assertEqual(len(scene.told(PathMoved)), 2, ENDS[up])
            self.assertEqual((scene.lost(3000), scene.lost(3000, up=False)), (0, 0))
            self.assertEqual((scene.doubled(), scene.doubled(up=False)), (0, 0))
            self.assertEqual(scene.sent_by(RELAY, since, traffic=True), [])


class StandbyTests(SynchronousTestCase):
    def test_comes_back_unused(self) -> None:
        """A direct path that once lost half is used again when it loses nothing any more, though nobody uses it."""
        for up in (True, False):
            scene = peers()
            scene.go_direct()
            scene.run(3.0)
            ends = (scene.client_session, scene.client), (scene.server_session, scene.server)
            (session, tunnel), (other, _) = ends if up else ends[::-1]
            path = next(path for path in session.paths.values() if path.door == WAN)
            arrived = other.paths[path.id].received.packets
            path.loss.clear()
            path.loss.add(path.delivery.acked - 200, (arrived - 100) & 0xFFFFFFFF, scene.now - 1.0)
            path.loss.add(path.delivery.acked, arrived, scene.now - 0.5)
            self.assertAlmostEqual(path.loss.rate(), 0.5)
            path.enter(State.STANDBY, scene.now)
            tunnel.poke(session, scene.now)
            scene.run(20.0)
            self.assertEqual(path.state, State.ACTIVE, f"up {up}")
