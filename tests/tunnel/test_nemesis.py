"""An enemy who cuts, heals, moves, rebinds and loses at random; what must hold whatever he does (H3)."""

from __future__ import annotations

import os
import random

from twisted.trial.unittest import SynchronousTestCase

from tests.tunnel.scenes import Scene, way

ROUNDS = int(os.environ.get("MORPHNET_EXAMPLES", "100")) // 20  # lives of a world
SECONDS = 12.0  # of each


class Nemesis:
    """Does harm to one scene, but always leaves one path alone that has worked for a while."""

    def __init__(self, scene: Scene, seed: int, loss: float) -> None:
        self.scene, self.chance, self.loss = scene, random.Random(seed), loss
        self.ends = scene.now + SECONDS
        self.spared = 0

    def strike(self) -> None:
        """One act, and the next in a moment, until it is enough."""
        if self.scene.now >= self.ends:
            return
        scene, victim = self.scene, self.chance.randrange(len(self.scene.links))
        act = self.chance.randrange(7)
        if act == 0 and all(not link.dead for link in scene.links[victim]):
            path = scene.client_session.paths[victim]
            if path.usable and scene.now - path.since > 2.0:
                self.spared = victim
        elif victim != self.spared:
            if act in (1, 2):
                scene.cut(victim, directions=((0, 1), (0,), (1,))[self.chance.randrange(3)])
            elif act in (3, 4):
                scene.cut(victim, heal=True)
            elif act == 5:
                (scene.move if self.chance.randrange(2) else scene.rebind)(victim)
            else:
                for link in scene.links[victim]:
                    link.loss = self.chance.choice((0.0, self.loss))
                    link.delay = self.chance.uniform(0.005, 0.1)
        scene.at(scene.now + self.chance.expovariate(3.0), self.strike)


class NemesisTests(SynchronousTestCase):
    def _live(self, seed: int, scheduler: str, loss: float) -> Scene:
        """One life under attack, with packets both ways all the time, and peace at the end."""
        scene = Scene([way(0.02), way(0.05), way(0.09)], scheduler=scheduler)
        nemesis = Nemesis(scene, seed, loss)
        count = int(SECONDS / 0.01)
        scene.stream(count, 0.01)
        scene.stream(count, 0.01, up=False)
        scene.at(scene.now + 0.3, nemesis.strike)
        while scene.now < nemesis.ends:
            scene.run(0.5)
            self._bounded(scene)
        self.assertGreater(len(scene.changes()), 6)  # he has been busy
        for uplink in range(3):
            scene.cut(uplink, heal=True)
            for link in scene.links[uplink]:
                link.loss = 0.0
        scene.run(5)
        return scene

    def _bounded(self, scene: Scene) -> None:
        """Nothing that either end keeps has grown."""
        for session in (scene.client_session, scene.server_session):
            self.assertLessEqual(session.inbound.reorder.packets, 4096)
            self.assertLessEqual(len(session.inbound.assembly), 256)
            self.assertLessEqual(session.outbound.egress.bytes, 8 << 20)
            self.assertLessEqual(sum(len(path.delivery.flights) for path in session.paths.values()), 5000)
            self.assertLessEqual(len(session.roaming._migrations._by_path), 3)
            self.assertLessEqual(len(session.connection_ids.in_hand), 64)
        for tunnel in (scene.client, scene.server):
            self.assertLessEqual(len(tunnel._shown), 64)
            self.assertLessEqual(len(tunnel._timers), 200)

    def test_nothing_is_lost(self) -> None:
        """While one path works, and the network loses nothing else, every packet arrives, once, in both directions."""
        for seed in range(ROUNDS):
            for scheduler in ("bond", "redundant") if seed % 2 else ("flow", "best"):
                scene = self._live(seed, scheduler, 0.0)
                for up in (True, False):
                    case = f"seed {seed} {scheduler} up {up}"
                    self.assertEqual(scene.doubled(up=up), 0, case)
                    self.assertEqual(scene.lost(int(SECONDS / 0.01), up=up), 0, case)

    def test_peace_heals(self) -> None:
        """With losses too nothing comes twice, and once all is well again all paths are used within 5 s."""
        for seed in range(100, 100 + ROUNDS // 2):
            scene = self._live(seed, ("bond", "redundant", "flow", "best")[seed % 4], 0.2)
            for up in (True, False):
                self.assertEqual(scene.doubled(up=up), 0, seed)
            self.assertLessEqual(scene.states(), {"active", "standby", "silent"})
            mark = len(scene.arrived())
            scene.stream(200, 0.005, first=50_000)
            scene.run(3)
            self.assertEqual(len(scene.arrived()) - mark, 200, seed)
