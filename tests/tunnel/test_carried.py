"""Datagrams that are carried beside the TUN."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.events import Effects
from morphnet.wire.carried import MOST, Carried
from morphnet.wire.segments import Run
from tests.simulation import packet
from tests.tunnel.scenes import Scene, way


class CarriedTests(SynchronousTestCase):
    def numbered(self, scene: Scene, count: int, every: float, *, up: bool = True, size: int = 1400) -> None:
        """Numbered datagrams of two programs, from now on."""
        for step in range(count):
            carried = Carried(7, step % 2, step.to_bytes(4, "big").ljust(size, b"."))
            scene.at(scene.now + step * every, lambda carried=carried: scene.carry(carried, up=up))  # type: ignore[misc]

    def test_in_order(self) -> None:
        """All of them come, both ways, over two unequal paths, those of each program in their order."""
        for up, peer in ((True, "laptop"), (False, "gateway")):
            scene = Scene([way(0.02, 8), way(0.06, 8)])
            self.numbered(scene, 600, 0.001, up=up)
            scene.run(2)
            came = scene.carried[peer]
            self.assertEqual(len(came), 600)
            for local in (0, 1):
                numbers = [int.from_bytes(each.data[:4], "big") for each in came if each.local == local]
                self.assertEqual(numbers, sorted(numbers))
            self.assertEqual({(each.carry, len(each.data)) for each in came}, {(7, 1400)})

    def test_lost(self) -> None:
        """What is lost with a path, or on the way, goes again."""
        scene = Scene([way(0.02, 8, loss=0.02), way(0.03, 8)])
        self.numbered(scene, 600, 0.002)
        scene.run(0.5)
        scene.cut(1)
        scene.run(4)
        self.assertEqual({int.from_bytes(each.data[:4], "big") for each in scene.carried["laptop"]}, set(range(600)))

    def test_beside_packets(self) -> None:
        """Packets of the TUN in the same lane have an order of their own: neither counts for the other."""
        scene = Scene([way(0.02)])
        for step in range(200):
            scene.at(scene.now + step / 1000, lambda step=step: scene.send(packet(step, 100, 0)))  # type: ignore[misc]
        self.numbered(scene, 200, 0.001, size=100)
        scene.run(1)
        self.assertEqual((len(scene.at_server), len(scene.carried["laptop"])), (200, 200))
        self.assertEqual(scene.server.counts["duplicate"], 0)

    def test_sizes(self) -> None:
        """One that is larger than its path allows comes whole; one that no session can carry is counted."""
        scene = Scene([way(0.02)])
        for size in (0, 1, 1500, 9000):
            scene.carry(Carried(1, 1, bytes(size)))
        scene.carry(Carried(1, 1, bytes(MOST)))
        scene.run(1)
        self.assertEqual([len(each.data) for each in scene.carried["laptop"]], [0, 1, 1500, 9000])
        self.assertEqual(scene.client.counts["too_large"] + scene.client_session.counts["too_large"], 1)

    def test_compressed(self) -> None:
        """So does one that was compressed."""
        scene = Scene([way(0.02)], compression="zstd")
        scene.carry(Carried(1, 1, b"again and " * 100))
        scene.run(1)
        self.assertEqual(scene.carried["laptop"], [Carried(1, 1, b"again and " * 100)])

    def test_nobody(self) -> None:
        """Where nobody takes them they are dropped and counted; so are those for a session that is not there."""
        scene = Scene([way(0.02)])
        scene.server_session.inbound.carries = False
        scene.carry(Carried(1, 1, b"x"))
        scene.run(1)
        self.assertEqual(scene.carried, {})
        self.assertEqual(scene.server_session.counts["unexpected"], 1)
        effects = scene.client.from_local("nobody", [Carried(1, 1, b"x")], scene.now)
        self.assertEqual((effects.sends, scene.client.counts["no_session"]), ([], 1))

    def test_no_head(self) -> None:
        """An authentic one that is none is dropped and counted."""
        scene = Scene([way(0.02)])
        run, effects = Run.of(Carried(1, 1, b"x")), Effects()
        run.body = b"no"
        scene.client_session.outbound.offer(run, scene.now, effects)
        scene._carry(effects, at_client=True)
        scene.run(1)
        self.assertEqual((scene.carried, scene.server_session.counts["malformed"]), ({}, 1))
