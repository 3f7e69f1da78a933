"""A session that was offline for long: its keys are gone, it rests, and goes on with new ones."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.events import Forgotten, Rekeyed
from tests.simulation import packet
from tests.tunnel.scenes import Scene, way

HOUR = 3600.0


class ForgottenTests(SynchronousTestCase):
    def _offline(self, seconds: float) -> Scene:
        """Two uplinks, traffic, and then nothing any more for so long."""
        scene = Scene([way(0.02), way(0.06)])
        scene.stream(20, 0.01)
        scene.run(1.0)
        for uplink in (0, 1):
            scene.cut(uplink)
        scene.run(seconds)
        return scene

    def _back(self, scene: Scene) -> None:
        for uplink in (0, 1):
            scene.cut(uplink, heal=True)

    def test_told_once(self) -> None:
        """After 540 s each end has neither key nor secret, and says once that a new handshake is needed."""
        scene = self._offline(530.0)
        self.assertEqual(scene.told(Forgotten), [])
        scene.run(HOUR)
        self.assertEqual(len(scene.told(Forgotten)), 2)
        for session in (scene.client_session, scene.server_session):
            self.assertEqual((session.inbound.keys.live, session.outbound.keys.live), (False, False))

    def test_rests(self) -> None:
        """Without keys nothing is sent and little is done, whatever comes from inside."""
        scene = self._offline(600.0)
        turns = list[float]()
        scene.watch(turns.append)
        sent = [len(link.log) for pair in scene.links for link in pair]
        scene.send(packet(999))
        scene.send(packet(999, up=False), up=False)
        scene.run(100.0)
        self.assertEqual([len(link.log) for pair in scene.links for link in pair], sent)
        self.assertLess(len(turns), 400)

    def test_new_keys(self) -> None:
        """With the keys of a new handshake the same session goes on, both ways, as if nothing had been."""
        for seconds in (600.0, HOUR):
            scene = self._offline(seconds)
            self._back(scene)
            scene.connect(resumed=True)
            scene.run(3.0)
            scene.stream(100, 0.01, first=100)
            scene.stream(100, 0.01, up=False)
            scene.run(3.0)
            self.assertEqual(len([number for number in scene.arrived() if number >= 100]), 100, seconds)
            self.assertEqual((scene.lost(100, up=False), scene.doubled(up=False)), (0, 0), seconds)

    def test_short(self) -> None:
        """Offline for less, it goes on without any handshake, whenever that ends."""
        for seconds in (100.0, 170.0, 190.0, 310.0, 420.0, 530.0):
            scene = self._offline(seconds)
            self._back(scene)
            scene.run(5.0)
            scene.stream(50, 0.01, first=100)
            scene.run(3.0)
            self.assertEqual(len([number for number in scene.arrived() if number >= 100]), 50, seconds)

    def test_goes_on(self) -> None:
        """A session with hardly any traffic lives on its own keys for hours."""
        scene = Scene([way(0.02)])
        scene.run(3 * HOUR)
        self.assertEqual(scene.told(Forgotten), [])
        self.assertGreater(len(scene.told(Rekeyed)), 160)
