"""What a process knows when it is told to end, its peer knows too: nothing comes twice, nothing that it had is lost."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.tunnel.scenes import MBIT, Scene, way


class FarewellTests(SynchronousTestCase):
    def _restarted(self, scheduler: str, seed: int, *, told: bool) -> Scene:
        """Under way: 900 packets up, while the server is started anew four times."""
        scene = Scene([way(0.02, 20), way(0.06, 20)], scheduler=scheduler)
        scene.random.seed(seed)
        scene.stream(900, 0.004)
        for _ in range(4):
            scene.run(0.3 + 0.4 * scene.random.random())
            if told:
                scene.stop_server()
            scene.restart_server()
            scene.run(0.05 + 0.3 * scene.random.random())
            scene.connect(resumed=False)
        scene.run(6)
        return scene

    def test_told_to_end(self) -> None:
        """However often it is told to end and started again, every packet comes out, and comes out once."""
        for scheduler in ("bond", "flow", "best"):
            for seed in range(4):
                scene = self._restarted(scheduler, seed, told=True)
                self.assertEqual((scene.lost(900), scene.doubled()), (0, 0), (scheduler, seed))

    def test_copies(self) -> None:
        """With a copy on every path nothing is lost; of what one of them brought another may come once more."""
        for seed in range(3):
            scene = self._restarted("redundant", seed, told=True)
            self.assertEqual(scene.lost(900), 0, seed)
            self.assertLess(scene.doubled(), 4 * 30, seed)

    def test_killed(self) -> None:
        """Killed, it cannot say what it had: that comes twice, and is no more than what was under way."""
        doubled = [self._restarted("bond", seed, told=False).doubled() for seed in range(6)]
        self.assertGreater(sum(doubled), 0)
        self.assertLess(max(doubled), 4 * 30)  # a round trip, and how long an acknowledgement may wait, each time

    def test_held_back(self) -> None:
        """What waits for one that is missing is delivered before the end."""
        scene = Scene([way(0.02, 3), way(0.06, 3)])
        scene.load(1, 5 * MBIT, flows=1)
        scene.run(0.5)
        scene.cut(1, directions=(0,))
        held = scene.run_until_held(scene.server_session)
        self.assertGreater(held, 0)
        before = len(scene.at_server)
        scene.stop_server()
        self.assertEqual(len(scene.at_server), before + held)
        self.assertEqual(scene.server_session.inbound.reorder.packets, 0)

    def test_one_way_is_lost(self) -> None:
        """The last word is said on every path, and twice."""
        scene = Scene([way(0.02, 20), way(0.06, 20)])
        scene.stream(300, 0.004)
        scene.run(0.6)
        scene.cut(0, directions=(1,))
        scene.stop_server()
        scene.restart_server()
        scene.run(0.1)
        scene.cut(0, heal=True, directions=(1,))
        scene.connect(resumed=False)
        scene.run(6)
        self.assertEqual((scene.lost(300), scene.doubled()), (0, 0))
