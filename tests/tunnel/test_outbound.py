"""The sending half: nonces, copies, pieces, bounds."""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from morphnet.tunnel.events import Effects
from morphnet.tunnel.outbound import HOLD, ControlPacket, Outbound
from morphnet.tunnel.path import Path, State
from morphnet.wire.batch import VNET_HDR, Endpoint
from morphnet.wire.frames import Ack, Challenge, Ping
from morphnet.wire.header import FRAGMENT, SEGMENT, TO_SERVER, nonce_of
from morphnet.wire.segments import Run
from tests.simulation import packet, read, used_format
from tests.tunnel.scenes import MBIT, Scene, way
from tests.wire.test_segments import Naive

FAR = Endpoint("203.0.113.1", 8000)


def outbound(paths: int, **tuning: object) -> Outbound:
    """A sending half with keys and some active paths that carry large datagrams."""
    out = Outbound(Tuning(framing=used_format().name, **tuning), TO_SERVER, Counter())  # type: ignore[arg-type]
    out.keys.install(b"k" * 32, 64, 0.0)
    for number in range(paths):
        path = out.paths[number] = Path(number, number, FAR, 1466, 0.0)
        path.shown, path.mtu.proven = bytes(20), 1466
        path.life.state, path.validation.validated = State.ACTIVE, True
    return out


def acknowledge(path: Path, now: float) -> None:
    """All that was sent on `path` has arrived."""
    number = path.delivery.number
    if number:
        path.acknowledge(Ack(path.id, number - 1, 0, 0, number, 0, 0, ((max(0, number - 9000), number - 1),)), now)


class NonceTests(SynchronousTestCase):
    def test_never_twice(self) -> None:
        """Over four paths and 10^5 datagrams, rekeyed by count, no nonce is used twice under one key (D5)."""
        out, nonces, total, now = outbound(4, scheduler="redundant", rekey_packets=5000), set[object](), 0, 0.0
        while total < 100_000:
            now += 0.001
            effects = Effects()
            out.offer(Run(bytes(40), bytes(44 * 10), 10, SEGMENT, total), now, effects)
            out.send_frames(out.paths[total % 4], ControlPacket([Ping()]), now, effects)
            for sent in effects.sends:
                for at in range(0, len(sent.data), sent.size):
                    header = read(bytes(sent.data[at : at + sent.size]))
                    nonces.add((header.path, header.epoch, header.number))
                    total += 1
            for path in out.paths.values():
                acknowledge(path, now)
        self.assertEqual(len(nonces), total)
        self.assertGreater(out.keys.turns, 15)

    def test_path_in_nonce(self) -> None:
        """The same packet, copied to each path, goes under nonces that differ by the path id."""
        out, effects = outbound(3, scheduler="redundant"), Effects()
        out.offer(Run(b"", bytes(100), 100, 0, 1), 0.0, effects)
        headers = [read(bytes(sent.data)) for sent in effects.sends]
        self.assertEqual([(p.path, p.number, p.sequence) for p in headers], [(i, 0, 0) for i in range(3)])
        self.assertEqual([nonce_of(p)[0] for p in headers], [0, 1, 2])


class BoundTests(SynchronousTestCase):
    def test_peer_gone(self) -> None:
        """For a peer that is gone nothing grows, and what is too old is forgotten."""
        out = outbound(1, resend_bytes=200_000)
        for number in range(3000):
            out.offer(Run(b"", bytes(1000), 1000, 0, number), 0.0, Effects())
        path = out.paths[0]
        self.assertLessEqual(sum(f.size for f in path.delivery.flights if f.run), 200_000)
        self.assertLessEqual(out.egress.bytes, 200_000)
        path.enter(State.SILENT, 1.0)
        out.send_again(path.take_flights(), path)
        out.drain(HOLD + 1.5, Effects())
        self.assertEqual((bool(out.egress), out.egress.bytes), (False, 0))

    def test_unproven_address(self) -> None:
        """An address that has not proved itself is sent no more than it is allowed."""
        out, effects = outbound(1), Effects()
        path = out.paths[0]
        path.validation.validated, path.validation.allowance = False, 3 * used_format().overhead
        while out.send_frames(path, ControlPacket([Challenge(bytes(8))]), 0.0, effects):
            pass
        self.assertLessEqual(sum(len(sent.data) for sent in effects.sends), 3 * used_format().overhead)

    def test_too_large_for_pieces(self) -> None:
        """A packet that would take too many pieces is dropped and counted, and holds up none behind it."""
        out, effects = outbound(1), Effects()
        out.offer(Run(b"", bytes(30_000), 30_000, 0, 1), 0.0, effects)
        out.offer(Run(b"", bytes(100), 100, 0, 1), 0.0, effects)
        self.assertEqual([len(sent.data) for sent in effects.sends], [100 + used_format().overhead])


class SuperPacketTests(SynchronousTestCase):
    def _supers(self, scene: Scene, count: int) -> int:
        """Send super packets of 40 slices; how many bytes of payload they hold."""
        for number in range(count):
            naive = Naive(4, 6, bytes(40 * 1300), 1300, seq=number * 40 * 1300)
            given = bytearray(naive.from_kernel())
            given[VNET_HDR + 12 : VNET_HDR + 20] = packet(0)[VNET_HDR + 12 : VNET_HDR + 20]  # the client's addresses
            scene.send(bytes(given))
            scene.run(0.3)
        scene.run(3)
        return count * 40 * 1300

    def _payload(self, scene: Scene) -> int:
        return sum(len(plain) - VNET_HDR - 40 for _, plain in scene.at_server)

    def test_narrow(self) -> None:
        """Super packets larger than the window of each path get through, in every mode, and none goes in circles."""
        for scheduler in ("redundant", "bond", "flow", "best"):
            scene = Scene([way(0.05, 3.0, queue=1.0), way(0.05, 2.0, queue=1.0)], scheduler=scheduler)
            for _ in range(20):  # learn that the paths are narrow
                scene.load(0.2, 1.0 * MBIT)
                scene.run(0.3)
            scene.at_server.clear()
            self.assertEqual(self._supers(scene, 10), self._payload(scene), scheduler)
            carried = sum(pair[0].carried for pair in scene.links)
            self.assertLess(carried, 4 * 10 * 40 * 1400 + 3_000_000)


class NarrowPathTests(SynchronousTestCase):
    def test_fragments(self) -> None:
        """On a path that carries 1280 bytes, without ICMP, full packets travel in pieces and arrive whole (B7)."""
        scene = Scene([way(0.02, 20, mtu=1252)])
        scene.load(4, 10 * MBIT)
        scene.run(5)
        count = len(scene.arrived())
        self.assertEqual((scene.lost(count), scene.doubled()), (0, 0))
        self.assertEqual({len(plain) for _, plain in scene.at_server}, {1410})
        self.assertGreaterEqual(count * 1400, 0.95 * 4 * 10 * MBIT)
        flags = [read(d).flags for d in scene.links[0][0].log[-10:] if len(d) > 500]
        self.assertTrue(all(flag & FRAGMENT for flag in flags))

    def test_becomes_narrow(self) -> None:
        """A path that carries less all at once, without ICMP, is no black hole: goodput is back within 5 s (B7)."""
        for links in ([way(0.02, 20)], [way(0.02, 20), way(0.03, 20)]):
            scene = Scene(links)
            scene.load(12, 10 * MBIT)
            scene.run(3)
            for link in scene.links[0]:
                link.mtu = 1252
            scene.run(5)
            before = len(scene.at_server)
            scene.run(3)
            self.assertGreaterEqual((len(scene.at_server) - before) * 1400, 0.9 * 3 * 10 * MBIT, len(links))

    def test_copy_of_none(self) -> None:
        """With `redundant` what only one path carried goes again by one that came back since, once."""
        out, effects = outbound(2, scheduler="redundant"), Effects()
        out.paths[1].life.state = State.SILENT
        for _ in range(3):
            out.offer(Run(b"", bytes(100), 100, 0, 1), 0.0, effects)
        out.paths[1].life.state = State.ACTIVE
        out.offer(Run(b"", bytes(100), 100, 0, 1), 0.0, effects)
        self.assertEqual([len(path.delivery.flights) for path in out.paths.values()], [4, 1])
        self.assertEqual(out.leave(out.paths[0], [out.paths[1]]), 3)

    def test_copies_on_leave(self) -> None:
        """What a path is left with after the other one fell silent goes again when it falls silent in its turn."""
        out, effects = outbound(2, scheduler="redundant"), Effects()
        for _ in range(3):
            out.offer(Run(b"", bytes(100), 100, 0, 1), 0.0, effects)
        self.assertEqual(out.leave(out.paths[0], [out.paths[1]]), 0)
        self.assertEqual(out.leave(out.paths[1], [out.paths[0]]), 3)

    def test_waits_while_full(self) -> None:
        """What waits for a path without room gets no older by it: the path may be dead, and others not yet back."""
        out, effects = outbound(1, scheduler="best", queue_ms=50), Effects()
        path = out.paths[0]
        size = 1000 - used_format().overhead
        while not out.egress:
            out.offer(Run(b"", bytes(size), size, 0, 1), 0.0, effects)
        out.drain(1.0, effects)
        self.assertTrue(out.egress)
        path.life.state = State.SILENT
        out.leave(path, [])
        out.drain(1.1, effects)
        path.life.state = State.ACTIVE
        out.drain(2.0, effects)
        self.assertEqual(out.egress.age_drops, 0)

    def test_stall(self) -> None:
        """After a moment in which nothing moved nothing is too old; where little moves at any time, it is."""
        for rate, dropped in ((0.0, 0), (1e6, 0), (1e4, 1)):
            out, effects = outbound(1, scheduler="best", queue_ms=50), Effects()
            path = out.paths[0]
            while not out.egress:
                out.offer(Run(b"", bytes(1000), 1000, 0, 1), 0.0, effects)
            if rate:
                path.pacer.window.startup = False
                path.pacer.window._rates.add(rate, 0.0)
            out.drain(0.0, effects)
            acknowledge(path, 0.5)
            out.drain(0.5, effects)
            self.assertEqual(out.egress.age_drops, dropped, rate)

    def test_worse_path_has_room(self) -> None:
        """While what waits is worth no worse path, the timer is for the best one, though the other has room at once."""
        out, effects = outbound(2), Effects()
        for path, rtt in zip(out.paths.values(), (0.02, 0.08), strict=True):
            path.rtt.add(rtt, now=0.0)
            path.pacer.landing.way = rtt / 2
        best, worse = out.paths.values()
        best.pacer.window.startup = worse.pacer.window.startup = False
        for path in (best, worse):
            path.pacer.window._rates.add(1e6, 0.0)
        self.assertEqual(out.room_at(0.0), float("inf"))
        while not out.egress:
            out.offer(Run(b"", bytes(1000), 1000, 0, 1), 0.0, effects)
        self.assertGreater(worse.pacer.room(0.0), 5_000)
        self.assertEqual({sent.door for sent in effects.sends}, {0})
        self.assertEqual(out.room_at(0.0), best.pacer.room_at(1, 1000 + out.format.overhead, 0.0))
        self.assertGreater(out.room_at(0.0), 0.0)

    def test_unlike_widths(self) -> None:
        """With `redundant` over paths of unlike width every packet arrives whole, and once."""
        scene = Scene([way(0.02, mtu=1252), way(0.021), way(0.022, mtu=1300)], settle=6.0, scheduler="redundant")
        scene.load(2, 4 * MBIT)
        scene.run(3)
        count = len(scene.arrived())
        self.assertEqual((scene.lost(count), scene.doubled()), (0, 0))
        self.assertEqual({plain[VNET_HDR + 36 :] for _, plain in scene.at_server}, {b"x" * 1364})


class CompressionTests(SynchronousTestCase):
    def test_through_the_tunnel(self) -> None:
        """Compressed or not, what comes out is what went in, and takes fewer bytes where it can."""
        sizes = {}
        for compression in ("off", "zstd", "gzip"):
            scene = Scene([way()], compression=compression)
            scene.load(0.5, 4 * MBIT)
            scene.run(2)
            self.assertEqual({plain[VNET_HDR + 36 :] for _, plain in scene.at_server}, {b"x" * 1364})
            sizes[compression] = scene.links[0][0].carried
        self.assertLess(max(sizes["zstd"], sizes["gzip"]), sizes["off"] / 3)
