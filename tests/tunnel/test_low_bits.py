"""Numbers of which only the low bits travel, and what new keys mean for them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.keyring import GENERATION_STEP
from tests.simulation import packet
from tests.tunnel.scenes import Scene, way


class LowBitsTests(SynchronousTestCase):
    def test_epochs_that_look_alike(self) -> None:
        """Of an epoch the low bits travel: keys of two handshakes whose epochs share them are told apart by the tag."""
        scene = Scene([way(0.02)])
        scene.stream(400, 0.005)
        scene.stream(400, 0.005, up=False)
        scene.run(0.5)
        before, scene.epoch = scene.epoch, scene.epoch + 256 - GENERATION_STEP
        scene.connect(resumed=True)
        self.assertEqual(scene.epoch, before + 256)
        scene.run(3)
        self.assertEqual([(scene.lost(400, up=up), scene.doubled(up=up)) for up in (True, False)], [(0, 0)] * 2)
        self.assertEqual(scene.server_session.inbound.keys.epoch, scene.epoch)
        self.assertEqual(scene.server_session.counts["forged"] + scene.client_session.counts["forged"], 0)

    def test_nonces_after_restart(self) -> None:
        """A client counts anew for a server that is a new process, under other keys."""
        scene = Scene([way(0.02), way(0.03)])
        scene.load(3, 300_000)
        scene.run(1)
        before = max(path.delivery.number for path in scene.client_session.paths.values())
        scene.restart_server()
        scene.run(0.2)
        scene.connect(resumed=False)
        self.assertLess(max(path.delivery.number for path in scene.client_session.paths.values()), before)
        scene.run(3)
        nonces = scene.nonces()
        self.assertGreater(len(nonces), 700)
        self.assertEqual(len(set(nonces)), len(nonces))
        self.assertEqual(scene.states(), {"active"})

    def test_large_numbers(self) -> None:
        """Numbers and sequences pass the turn of their low bits, and nothing is lost there."""
        scene = Scene([way(0.02)])
        for session in (scene.client_session, scene.server_session):
            session.paths[0].delivery.number += (
                1 << 32
            ) - 100  # some were lost, as far as the peer can tell: half a turn at most
        self.assertEqual(scene.client_session.paths[0].delivery.number >> 32, 0)
        for path in (scene.client_session.paths[0], scene.server_session.paths[0]):
            path.received.seen.highest = (1 << 32) - 150
        sequences = scene.client_session.outbound._sequences
        scene.send(packet(0, flow=7))
        scene.run(0.1)
        (lane,) = sequences
        sequences[lane] = (1 << 24) - 50
        scene.server_session.inbound.reorder.lane(lane).seen.highest = (1 << 24) - 60
        scene.stream(300, 0.005, first=1, flow=7)
        scene.run(3)
        self.assertEqual((scene.lost(301), scene.doubled()), (0, 0))
        self.assertEqual(scene.client_session.paths[0].delivery.number >> 32, 1)
        self.assertGreater(sequences[lane], 1 << 24)
