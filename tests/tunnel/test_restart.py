"""What becomes of a session when the server is another process from one moment to the next."""

from __future__ import annotations

from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.events import Effects
from morphnet.tunnel.path import Path
from tests.simulation import SERVER_END
from tests.tunnel.scenes import MBIT, Scene, way


class RestartTests(SynchronousTestCase):
    def test_server_restarts(self) -> None:
        """A new server process: what was not acknowledged is sent again, and both directions flow."""
        for outage in (0.05, 0.5, 5.0):
            scene = Scene([way(0.02), way(0.06)])
            scene.stream(600, 0.005)
            scene.run(1.0)
            delivered_before = len(scene.at_server)
            scene.restart_server()
            scene.run(outage)
            scene.connect(resumed=False)
            scene.stream(300, 0.005, up=False)
            scene.run(6)
            self.assertEqual((scene.lost(600), scene.lost(300, up=False)), (0, 0), outage)
            after = [plain for _, plain in scene.at_server[delivered_before:]]
            self.assertEqual(len(after), len(set(after)))  # once within the life of one process
            self.assertEqual(scene.states(), {"active"})

    def test_other_clock(self) -> None:
        """The new process may have any other clock: order, rates and silence are judged as well as before."""
        for ahead in (-990.0, 2300.0, 4294.9):
            scene = Scene([way(0.02, 3), way(0.06, 3)])
            scene.stream(100, 0.01, up=False)
            scene.load(1, 4 * MBIT)
            scene.run(2)
            scene.restart_server(ahead)
            scene.connect(resumed=False)
            scene.run(1)
            scene.at_client.clear()
            before = len(scene.at_server)
            scene.load(2, 5 * MBIT, up=False, flows=1)
            scene.load(2, 5 * MBIT)
            scene.run(3)
            self.assertGreaterEqual(len(scene.at_client) * 1400, 0.9 * 2 * 5 * MBIT, ahead)
            self.assertGreaterEqual((len(scene.at_server) - before) * 1400, 0.9 * 2 * 5 * MBIT, ahead)
            arrived = scene.arrived(up=False)
            disorder = sum(two < one for one, two in pairwise(arrived))
            self.assertLess(disorder, 0.04 * len(arrived), ahead)

    def test_again_and_again(self) -> None:
        """However often the server is restarted, every path is used at once: its silence was not theirs."""
        scene = Scene([way(0.02), way(0.06)])
        for _ in range(8):
            scene.stream(200, 0.005)
            scene.run(0.5)
            scene.restart_server()
            scene.run(1.0)
            scene.connect(resumed=False)
            scene.run(0.5)
            self.assertEqual(scene.states(), {"active"})
            scene.run(1.0)

    def test_killed_while_coming_back(self) -> None:
        """Killed again just after it is back: lost is only what it had acknowledged and still held, or was shed."""
        for scheduler in ("bond", "flow", "best", "redundant"):
            for seed in (7, 8):
                scene = Scene([way(0.02, 20), way(0.06, 20)], scheduler=scheduler)
                scene.random.seed(seed)
                scene.stream(1500, 0.01)
                held = 0
                for _ in range(10):
                    scene.run(0.09 * scene.random.random())
                    held += scene.server_session.inbound.reorder.packets
                    scene.restart_server()
                    scene.run(0.1 + 1.4 * scene.random.random())
                    scene.connect(resumed=False)
                scene.run(18)
                shed = scene.client_session.outbound.egress.codel_drops
                self.assertLess(shed, 3)
                self.assertLessEqual(scene.lost(1500), held + shed, (scheduler, seed))
                self.assertEqual(scene.states(), {"active"})

    def test_joined_midway(self) -> None:
        """A new process waits for nothing that its predecessor had: what comes is delivered at once, in order."""
        scene = Scene([way(0.02), way(0.06)])
        scene.stream(300, 0.005)
        scene.run(2)
        scene.restart_server()
        scene.connect(resumed=False)
        scene.stream(100, 0.005, first=300)
        scene.run(2)
        self.assertEqual(scene.arrived()[-100:], list(range(300, 400)))
        reorder = scene.server_session.inbound.reorder
        self.assertEqual((reorder.reordered, reorder.gaps), (0, 0))

    def test_held_back(self) -> None:
        """What the old process sent, and we had acknowledged but held back for one that is missing, is delivered."""
        scene = Scene([way(0.02, 3), way(0.06, 3)])
        scene.load(1, 5 * MBIT, up=False, flows=1)
        scene.run(0.5)
        scene.cut(1, directions=(1,))
        held = scene.run_until_held(scene.client_session)
        self.assertGreater(held, 0)
        delivered = len(scene.at_client)
        scene.restart_server()
        scene.connect(resumed=False)
        self.assertEqual(len(scene.at_client), delivered + held)
        self.assertEqual(scene.client_session.inbound.reorder.packets, 0)

    def test_counts_begin_anew(self) -> None:
        """The new process has received little: that is no loss, whatever the old one had received."""
        path = Path(0, 0, SERVER_END, 1466, 10.0)
        for moment in range(4):
            path.loss.add(50 * moment, 50 * moment, 10.0 + moment / 10)
        path.peer_restarted()
        path.loss.add(200, 1, 10.4)
        path.loss.add(260, 61, 10.5)
        self.assertEqual(path.loss.measured(), (0.0, 60))

    def test_ids_for_open_paths(self) -> None:
        """The new process's ids are for paths that are in use; closed ones show none."""
        scene = Scene([way(), way(), way()])
        effects = Effects()
        scene.client_session.close_path(1, scene.now, effects)
        scene._carry(effects, at_client=True)
        scene.restart_server()
        scene.connect(resumed=False)
        self.assertEqual([bool(path.shown) for path in scene.client_session.paths.values()], [True, False, True])
        self.assertEqual(len(scene.client_session.connection_ids.in_hand), 6)

    def test_old_life_is_over(self) -> None:
        """What the old server process sent, or was sent, is nothing to the new one."""
        scene = Scene([way()])
        scene.stream(50, 0.005)
        scene.stream(50, 0.005, up=False)
        scene.run(1)
        old_up, old_down = list(scene.links[0][0].log), list(scene.links[0][1].log)
        scene.restart_server()
        scene.connect(resumed=False)
        scene.run(1)
        delivered = len(scene.at_server), len(scene.at_client)
        for datagram in old_up:
            scene.arrive(datagram, 0, scene.addresses[0], up=True)
        for datagram in old_down:
            scene.arrive(datagram, 0, scene.addresses[0], up=False)
        self.assertEqual((len(scene.at_server), len(scene.at_client)), delivered)
