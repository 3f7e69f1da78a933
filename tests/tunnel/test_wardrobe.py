"""Sessions whose datagrams are dressed: what passes, what is seen, who is not heard."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.events import Effects
from morphnet.tunnel.migration import RECHALLENGE
from morphnet.tunnel.tunnel import Tunnel
from morphnet.tunnel.validation import AMPLIFICATION
from morphnet.wire.batch import Arrival, Departure, Endpoint
from morphnet.wire.shapes.masked import Masked
from morphnet.wire.shapes.quic import WITH_INITIAL, Quic
from morphnet.wire.shapes.shape import MASKED, QUIC, Shape
from tests.simulation import SERVER_END, Link, packet
from tests.tunnel.scenes import Scene, way

STRANGER = Endpoint("192.0.2.66", 6666)


class Masks(Scene):
    """A world whose two ends can undress both shapes; the client begins to wear one when it is told to."""

    def __init__(self, links: list[tuple[Link, Link]], settle: float = 2.0, seed: int = 1, kind: str = MASKED) -> None:
        super().__init__(links, 0.0, seed)
        network, entropy = b"network " * 4, self.random.randbytes
        self.shape, self.server_shape = Masked(network, entropy), Masked(network, entropy)
        self.quic, self.server_quic = Quic(network, entropy, "www.example.org"), Quic(network, entropy, None)
        self.client.wardrobe.shapes = self.shape, self.quic
        self.of_server: tuple[Masked | Quic, ...] = self.server_shape, self.server_quic
        self.server.wardrobe.shapes = self.of_server
        self.worn_by_client: Shape = self.shape if kind == MASKED else self.quic
        self.run(settle)

    def wear(self, *, dressed: bool = True) -> None:
        """The client is told to."""
        effects = Effects()
        self.client_session.wear(self.worn_by_client if dressed else None, self.now, effects)
        self._carry(effects, at_client=True)
        self.client.poke(self.client_session, self.now)

    def from_stranger(self, data: bytes, size: int = 0) -> int:
        """Bytes that the server sends, to anybody, because of what a stranger sends."""
        effects = self.server.from_path([Arrival(0, STRANGER, memoryview(data), size or len(data))], self.now)
        return sum(len(departure.data) for departure in effects.sends)

    def worn(self) -> set[str]:
        """What the paths wear, at both ends."""
        return {
            path.shape.name if path.shape is not None else "plain"
            for session in (self.client_session, self.server_session)
            for path in session.paths.values()
        }

    def ids(self, tunnel: Tunnel) -> set[bytes]:
        """What plain datagrams may start with."""
        return set(tunnel._shown)

    def plain_ones(self) -> list[int]:
        """How many plain datagrams each uplink has had, up and down together."""
        ids = self.ids(self.client) | self.ids(self.server)
        return [sum(each[:8] in ids for link in pair for each in link.log) for pair in self.links]


class MaskedTests(SynchronousTestCase):
    kind = MASKED

    def world(self, links: list[tuple[Link, Link]], settle: float = 2.0, seed: int = 1) -> Masks:
        """Whose shape is that of these tests."""
        return Masks(links, settle, seed, self.kind)

    def test_from_the_start(self) -> None:
        """A session that wears it from its first datagram on shows nothing plain, and carries everything both ways."""
        scene = self.world([], 0.0)
        scene.wear()
        scene.links += [way(0.02, 20), way(0.03, 20)]
        scene.addresses += [Endpoint(f"198.51.100.{i + 1}", 5000) for i in range(2)]
        for uplink in range(2):
            scene.add_uplink(uplink)
        scene.run(1.0)
        for up in (True, False):
            scene.stream(500, 0.002, up=up, size=1400)
        scene.run(2.0)
        self.assertEqual((scene.lost(500), scene.lost(500, up=False)), (0, 0))
        self.assertEqual((scene.worn(), scene.plain_ones()), ({self.kind}, [0, 0]))
        self.assertEqual(scene.server.counts["stranger"] + scene.client.counts["stranger"], 0)

    def test_switch_under_load(self) -> None:
        """It is put on and taken off under load, many times: nothing is lost or doubled, and both ends do the same."""
        scene = self.world([way(0.02, 20), way(0.03, 20)])
        for up in (True, False):
            scene.stream(3000, 0.001, up=up, size=1400)
        for turn in range(6):
            masked = turn % 2 == 0
            scene.wear(dressed=masked)
            scene.run(0.45)
            self.assertEqual(scene.worn(), {self.kind if masked else "plain"})
        scene.run(2.0)
        self.assertEqual((scene.lost(3000), scene.lost(3000, up=False)), (0, 0))
        self.assertEqual((scene.doubled(), scene.doubled(up=False)), (0, 0))

    def test_one_path(self) -> None:
        """Each path wears what it was told to."""
        scene = self.world([way(0.02, 20), way(0.02, 20)])
        scene.client_session.table.wear(scene.client_session.paths[1], scene.worn_by_client)
        before = scene.plain_ones()
        scene.stream(400, 0.002, size=1400)
        scene.run(2.0)
        after = scene.plain_ones()
        self.assertEqual((scene.lost(400), after[1] - before[1]), (0, 0))
        self.assertGreater(after[0], before[0])

    def test_late_ones(self) -> None:
        """What was sent before the change and comes after it does not lead the server back."""
        scene = self.world([way(0.02)])
        link = scene.links[0][0]
        old = link.log[-1]
        scene.wear()
        scene.stream(10, 0.01)
        scene.run(0.5)
        self.assertEqual(scene.worn(), {self.kind})
        scene.arrive(old, 0, scene.addresses[0], up=True)
        self.assertEqual(scene.worn(), {self.kind})

    def test_rebound(self) -> None:
        """The challenge to a new address wears what came from there: who stands between sees no plain datagram."""
        scene = self.world([way(0.02)])
        scene.wear()
        scene.stream(200, 0.01)
        scene.run(0.5)
        before = scene.plain_ones()
        scene.rebind(0)
        scene.run(2.5)
        self.assertEqual((scene.lost(200), scene.plain_ones()), (0, before))

    def test_moved_and_dressed(self) -> None:
        """A client that puts it on where it has just come, since nothing plain passes there, is answered alike."""
        scene = self.world([way(0.02)])
        scene.stream(300, 0.01)
        scene.run(0.5)
        scene.wear()
        scene.rebind(0)
        before = scene.plain_ones()
        scene.run(3.5)
        self.assertEqual((scene.lost(300), scene.plain_ones()), (0, before))

    def test_narrow(self) -> None:
        """On a path that carries full plain datagrams and not a byte more, nothing is lost when they become longer."""
        for mtu in (1440, 1448, 1460):
            scene = self.world([way(0.02, mtu=mtu)])
            self.assertEqual(scene.client_session.paths[0].mtu.proven, 1440)
            scene.stream(600, 0.005, size=1400)
            scene.run(0.5)
            scene.wear()
            scene.run(4.0)
            self.assertEqual((scene.lost(600), scene.worn()), (0, {self.kind}))
            path = scene.client_session.paths[0]
            self.assertLessEqual(path.mtu.proven + path.overhead, mtu)

    def test_never_more(self) -> None:
        """Before its address has proved itself a client gets at most three times what it sent, padding included."""
        for seed in range(20):
            scene = self.world([], 0.0, seed)
            scene.wear()
            scene.links.append(way(0.02))
            scene.addresses.append(Endpoint("198.51.100.1", 5000))
            scene.links[0][1].dead = True
            scene.add_uplink(0)
            scene.run(3.0)
            up, down = (sum(map(len, link.log)) for link in scene.links[0])
            self.assertLessEqual(down, 3 * up)

    def test_never_more_elsewhere(self) -> None:
        """So it is with the challenge to an address from which what was held back comes, whatever the path may get."""
        held = list[bytes]()
        for seed in range(20):
            scene = self.world([way(0.02)], seed=seed)
            scene.wear()
            scene.run(0.05 * seed)
            held.clear()
            scene.post = lambda datagram, departure, *, up: held.append(datagram)  # type: ignore[method-assign]
            for number in range(10):
                scene.send(packet(number, 40 + 30 * number))
            challenged = 0
            for number, datagram in enumerate(held):
                end, sent = Endpoint("192.0.2.66", 7000 + number), 0
                for effects in (
                    scene.server.from_path([Arrival(0, end, memoryview(datagram), len(datagram))], scene.now),
                    scene.server.on_timer(scene.now),
                ):
                    sent += sum(len(each.data) for each in effects.sends if each.to == end)
                self.assertLessEqual(sent, AMPLIFICATION * len(datagram))
                challenged += sent > 0
                scene.now += RECHALLENGE
            self.assertEqual(challenged, 10)

    def test_challenge_pays(self) -> None:
        """What a challenge wears counts as sent to the address that it goes to."""
        scene = self.world([way(0.02)])
        scene.wear()
        scene.run(1.0)
        scene.post = lambda datagram, departure, *, up: held.append(datagram)  # type: ignore[method-assign]
        held, end, sent = list[bytes](), Endpoint("192.0.2.66", 7000), 0
        for number in range(30):
            scene.send(packet(number, 40))
            arrival = Arrival(0, end, memoryview(held[-1]), len(held[-1]))
            sent += sum(len(each.data) for each in scene.server.from_path([arrival], scene.now).sends if each.to == end)
            scene.now += RECHALLENGE
            self.assertLessEqual(sent, AMPLIFICATION * sum(map(len, held)))
            migration = scene.server_session.roaming._migrations._by_path[0]
            self.assertEqual(migration.allowance, AMPLIFICATION * sum(map(len, held)) - sent)


class LengthTests(SynchronousTestCase):
    def test_first_lengths(self) -> None:
        """The first datagrams of a path have other lengths each time."""
        up, down = set[int](), set[int]()
        for seed in range(30):
            scene = Masks([], 0.0, seed)
            scene.wear()
            scene.links.append(way(0.02))
            scene.addresses.append(Endpoint("198.51.100.1", 5000))
            scene.add_uplink(0)
            scene.run(0.03)
            up.add(len(scene.links[0][0].log[0]))
            down.add(len(scene.links[0][1].log[0]))
        self.assertGreater(len(up), 20)
        self.assertGreater(len(down), 15)


class QuicTests(MaskedTests):
    """The same in the other shape."""

    kind = QUIC

    def test_begins_with_a_handshake(self) -> None:
        """The first datagram of each path is an Initial, both ways; soon all are short. A move begins another flow."""
        for seed in range(10):
            scene = Masks([], 0.0, seed, QUIC)
            scene.wear()
            scene.links += [way(0.02, 20), way(0.03, 20)]
            scene.addresses += [Endpoint(f"198.51.100.{i + 1}", 5000) for i in range(2)]
            for uplink in range(2):
                scene.add_uplink(uplink)
            scene.run(1.0)
            for up, down in scene.links:
                for log in (up.log, down.log):
                    self.assertEqual((len(log[0]), log[0][0] >> 4), (WITH_INITIAL, 0xC), seed)
                    self.assertLess(sum(each[0] >> 6 == 3 for each in log), 8)
            self.assertEqual([each[0] >> 6 for link in scene.links[0] for each in link.log[-3:]], [1] * 6)
            path = scene.client_session.paths[0]
            flow = path.shape
            scene.client_session.move_path(0, path.door, path.remote, scene.now, Effects())
            self.assertIsNot(path.shape, flow)

    def test_forgotten_flow(self) -> None:
        """A server that has forgotten a flow goes on with another object of it; its full datagrams stay as long."""
        for seed in range(5):
            scene = Masks([way(0.02)], seed=seed, kind=QUIC)
            scene.wear()
            scene.run(2.0)
            path = scene.server_session.paths[0]
            flow, before = path.shape, (path.spare, path.overhead, path.mtu.proven)
            scene.server_quic.flows.clear()
            scene.stream(5, 0.01)
            scene.run(0.2)
            self.assertIsNot(path.shape, flow)
            self.assertEqual((path.spare, path.overhead, path.mtu.proven), before)

    def test_replays_leave_nothing(self) -> None:
        """What is not authentic is not remembered, though it was ours once."""
        scene = Masks([], 0.0, 1, QUIC)
        scene.wear()
        scene.links.append(way(0.02))
        scene.addresses.append(Endpoint("198.51.100.1", 5000))
        scene.add_uplink(0)
        scene.run(1.0)
        self.assertEqual(len(scene.server_quic.flows), 1)
        scene.server_quic.flows.clear()
        for each in scene.links[0][0].log:
            self.assertEqual(scene.from_stranger(each), 0)
        self.assertEqual(len(scene.server_quic.flows), 0)

    def test_forgotten_on_the_way(self) -> None:
        """
        Who lets only pass what has begun as QUIC, and forgets what he has seen, stops a path for moments: it falls
        silent, and begins another connection. In a silence that is nobody's doing it begins one, not many.
        """
        scene = Masks([], 0.0, 1, QUIC)
        scene.wear()
        scene.links.append(way(0.02))
        scene.addresses.append(Endpoint("198.51.100.1", 5000))
        known, seen, passed = [False], list[bytes](), scene.post

        def inspected(datagram: bytes, departure: Departure, *, up: bool) -> None:
            if up and datagram[0] >> 4 == 0xC:
                known[0] = True
                seen.append(datagram[6:14])
            if known[0]:
                passed(datagram, departure, up=up)

        scene.post = inspected  # type: ignore[method-assign]
        scene.add_uplink(0)
        scene.run(2.0)
        scene.stream(1500, 0.01)
        scene.run(5.0)
        self.assertEqual(scene.states(), {"active"})
        known[0] = False
        scene.run(3.0)
        self.assertEqual((known, scene.states()), ([True], {"active"}))
        scene.run(15.0)
        self.assertEqual(scene.lost(1500), 0)
        seen.clear()
        scene.cut(0)
        scene.run(20.0)
        self.assertEqual(len(set(seen)), 1)


class StrangerTests(SynchronousTestCase):
    """Figure D12: who is not of the network gets no byte, and learns nothing."""

    kind = MASKED

    def setUp(self) -> None:
        self.scene = Masks([way(0.02)], kind=self.kind)
        self.scene.wear()
        self.scene.stream(50, 0.01, size=1400)
        self.scene.run(1.0)
        self.log = list(self.scene.links[0][0].log)
        self.chance = random.Random(9)

    def test_replays(self) -> None:
        """Whatever was on the wire, from elsewhere: whole, cut short, bent, joined: no byte is answered."""
        scene, sent = self.scene, 0
        for each in self.log[-40:]:
            sent += scene.from_stranger(each)
            sent += scene.from_stranger(each[: self.chance.randrange(len(each))])
            at = self.chance.randrange(len(each))
            sent += scene.from_stranger(each[:at] + bytes((each[at] ^ 0x40,)) + each[at + 1 :])
            sent += scene.from_stranger(each + bytes(7))
        self.assertEqual((sent, scene.worn()), (0, {self.kind}))

    def test_wireguard(self) -> None:
        """So it is with WireGuard's first messages, and with QUIC's, DNS and NTP."""
        rest = self.chance.randbytes
        words = (
            b"\x01\0\0\0" + rest(144),
            b"\x02\0\0\0" + rest(88),
            b"\xc0\0\0\0\x01\x08" + rest(1194),
            b"\x23" + bytes(47),
        )
        before = self.scene.server.counts["stranger"]
        self.assertEqual(sum(self.scene.from_stranger(each) for each in words), 0)
        self.assertEqual(self.scene.server.counts["stranger"] - before, len(words))

    def test_cost(self) -> None:
        """Rows of garbage are looked at once each, all of it together, and none of it is opened."""
        scene, server = self.scene, self.scene.server_session
        opened = server.inbound.forged
        for most in (2, 1, 1):  # the first such row is tried in what came last as well
            looked = [shape.read for shape in scene.of_server]
            self.assertEqual(scene.from_stranger(self.chance.randbytes(64 * 1400), 1400), 0)
            reads = sorted(shape.read - was for shape, was in zip(scene.of_server, looked, strict=True))
            self.assertLessEqual(reads, [1, most])
        self.assertEqual(server.inbound.forged, opened)

    def test_plain_costs_nothing(self) -> None:
        """While everything that comes is plain and known, no mask is made."""
        scene = Masks([way(0.02)])
        scene.stream(50, 0.01)
        scene.run(1.0)
        self.assertEqual([shape.read for shape in (*scene.of_server, scene.shape, scene.quic)], [0] * 4)

    def test_mixed(self) -> None:
        """In one arrival, plain, dressed and garbage: each is what it is."""
        scene = Masks([way(0.02)], kind=self.kind)
        plain = next(iter(scene.client.from_tun([memoryview(packet(0, 1000))], scene.now).sends))
        scene.wear()
        worn = next(iter(scene.client.from_tun([memoryview(packet(1, 1000))], scene.now).sends))
        size = len(worn.data)
        row = self.chance.randbytes(size) + bytes(worn.data) + self.chance.randbytes(size) + bytes(plain.data)
        effects = scene.server.from_path([Arrival(0, scene.addresses[0], memoryview(row), size)], scene.now)
        self.assertEqual((len(effects.delivers), scene.server.counts["stranger"]), (2, 2))
        self.assertEqual(plain.to, SERVER_END)

    def test_trace(self) -> None:
        """Who watches a session sees its datagrams as they are without their clothes."""
        lines = list[str]()
        self.scene.client_session.trace = lines.append
        self.scene.stream(5, 0.01)
        self.scene.run(0.3)
        self.assertEqual(sum(line.startswith("> path 0 ip") for line in lines), 5)


class QuicStrangerTests(StrangerTests):
    """The same, whole handshakes among what is repeated."""

    kind = QUIC
