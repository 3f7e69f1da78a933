"""Paths that fall silent, are dead from the start, or work in one direction only."""

from __future__ import annotations

from itertools import pairwise, product

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.path import State
from morphnet.tunnel.timers import LATE, excuse
from tests.simulation import packet
from tests.tunnel.scenes import Scene, way
from tests.tunnel.test_wardrobe import Masks

RTTS = ((0.02, 0.06), (0.05, 0.3))  # seconds, of the two uplinks


class SilenceTests(SynchronousTestCase):
    def test_black_hole(self) -> None:
        """
        100 packets a second through `bond`, one path becomes a black hole: noticed within max(3 RTT, 200 ms), 0 lost,
        and no packet later than 300 ms (A2, A3).
        """
        for rtts, dead, up in product(RTTS, (0, 1), (True, False)):
            scene = Scene([way(rtt) for rtt in rtts], settle=3.0)
            scene.stream(300, 0.01, up=up)
            scene.run(1.0)
            cut_at = scene.now
            scene.cut(dead)
            scene.run(5)
            case = f"{rtts} dead {dead} up {up}"
            self.assertEqual((scene.lost(300, up=up), scene.doubled(up=up)), (0, 0), case)
            self.assertLessEqual(scene.longest_gap(up=up), 0.3 + max(rtts) / 2, case)
            noticed = [at for at, change in scene.changes("client" if up else "server", cut_at)
                       if change.path == dead and change.now == State.SILENT]  # fmt: skip
            self.assertEqual(len(noticed), 1, case)
            if dead == 0:  # the other has no traffic to notice it by: its heartbeat does
                self.assertLessEqual(noticed[0] - cut_at, max(3 * rtts[dead], 0.2) + 0.01, case)

    def test_many_falls(self) -> None:
        """
        However often a path has failed, once it works again it is asked at once, and carries traffic as soon as it has
        answered for a while and lost nothing.
        """
        for falls, heals_after in product((2, 8, 24), (0.4, 3.0)):
            scene = Scene([way(0.02), way(0.06)], settle=3.0)
            scene.stream(20_000, 0.01)
            for _ in range(falls):
                scene.cut(0)
                scene.run(1.0)
                scene.cut(0, heal=True)
                scene.run(1.0)
            scene.run(6.0)
            scene.cut(0)
            scene.run(heals_after)
            heals_at = scene.now
            scene.cut(0, heal=True)
            scene.run(10.0)
            healed = {str(change.now): at - heals_at for at, change in scene.changes("client", heals_at)}
            case = f"{falls} falls, healed after {heals_after} s: {healed}"
            self.assertLess(healed["active"], 4.0, case)
            self.assertEqual(scene.states(), {"active"}, case)

    def test_all_schedulers(self) -> None:
        """In each mode a path that dies takes no packet with it, and one that comes back is used again."""
        for scheduler in ("bond", "flow", "best", "redundant"):
            scene = Scene([way(0.02), way(0.06)], scheduler=scheduler)
            scene.stream(1600, 0.005)
            for step, (uplink, heal) in enumerate(((0, False), (0, True), (1, False), (1, True))):
                scene.at(scene.now + 1 + 1.5 * step, lambda s=scene, u=uplink, h=heal: s.cut(u, heal=h))  # type: ignore[misc]
            scene.run(10)
            self.assertEqual((scene.lost(1600), scene.doubled()), (0, 0), scheduler)
            self.assertLessEqual(scene.longest_gap(), 0.3, scheduler)
            self.assertEqual(scene.states(), {"active"}, scheduler)

    def test_redundant_hides_it(self) -> None:
        """With `redundant` no packet is late when the fast path dies: the copy is there already."""
        scene = Scene([way(0.02), way(0.06)], scheduler="redundant")
        scene.stream(300, 0.01)
        scene.run(1)
        scene.cut(0)
        scene.run(4)
        self.assertLessEqual(scene.longest_gap(), 0.04)

    def test_pinned_flow_moves(self) -> None:
        """A flow leaves its path when that dies, and keeps the other one when it comes back."""
        scene = Scene([way(0.02), way(0.06)], scheduler="flow")
        scene.stream(1000, 0.01)
        scene.run(1)
        scene.cut(0)
        scene.run(2)
        scene.cut(0, heal=True)
        scene.run(2)
        before = scene.links[0][0].carried
        scene.run(2)
        self.assertLess(scene.links[0][0].carried - before, 1000)
        scene.run(5)
        self.assertEqual(scene.lost(1000), 0)

    def test_idle(self) -> None:
        """The link dies while nothing flows; the first packet, whenever it comes, is there within a second (A4)."""
        for pause in (0.1, 2.0, 4.9, 60.0):
            scene = Scene([way(0.02), way(0.06)])
            scene.stream(10, 0.01)
            scene.run(60)
            scene.cut(0)
            scene.run(pause)
            sent_at = scene.now
            scene.send(packet(99))
            scene.run(2)
            self.assertIn(99, scene.arrived())
            self.assertLessEqual(scene.at_server[-1][0] - sent_at, 1.0, pause)

    def test_only_path_comes_back(self) -> None:
        """What was sent while there was no path at all is delivered when one comes back, in order, once."""
        scene = Scene([way()])
        scene.stream(100, 0.02)
        scene.run(0.5)
        scene.cut(0)
        scene.run(5)
        scene.cut(0, heal=True)
        scene.run(3)
        self.assertEqual(sorted(scene.arrived()), list(range(100)))
        self.assertEqual(scene.states(), {"active"})

    def test_dies_again_and_again(self) -> None:
        """A path that goes up and down all the time is left alone more and more, and takes nothing with it."""
        scene = Scene([way(0.02), way(0.04)])
        scene.stream(6000, 0.01)
        for step in range(150):
            scene.at(scene.now + 0.4 * step, lambda step=step: scene.cut(0, heal=bool(step % 2)))  # type: ignore[misc]
        scene.run(65)
        self.assertEqual((scene.lost(6000), scene.doubled()), (0, 0))
        self.assertLessEqual(len(scene.changes("client", scene.now - 30)), 8)

    def test_long_rtt_all_at_once(self) -> None:
        """A path whose RTT grows tenfold for good is not taken for silent again and again."""
        scene = Scene([way(0.04)])
        scene.stream(3000, 0.01)
        scene.run(1)
        for link in scene.links[0]:
            link.delay = 0.3
        scene.run(34)
        self.assertEqual((scene.lost(3000), scene.doubled()), (0, 0))
        self.assertLessEqual(len(scene.changes("client", 1003.0)), 6)
        self.assertEqual(scene.changes("client", scene.now - 25), [])


class DeadAtStartTests(SynchronousTestCase):
    def test_every_subset(self) -> None:
        """Of three uplinks any number is dead at the start: traffic flows within 3 s, all are used once healed (A5)."""
        for alive in product((False, True), repeat=3):
            if not any(alive):
                continue
            scene = Scene([way(0.02, dead=not each) for each in alive], settle=0.0)
            scene.stream(300, 0.01)
            scene.run(3.5)
            self.assertLessEqual(scene.at_server[0][0] - 1000.0, 3.0, alive)
            self.assertEqual(scene.lost(300), 0, alive)
            self.assertEqual(len(scene.client_session.outbound.usable_paths()), sum(alive))
            for uplink in range(3):
                scene.cut(uplink, heal=True)
            scene.run(4)
            self.assertEqual(scene.states(), {"active"}, alive)
            self.assertEqual(len(scene.server_session.paths), 3)

    def test_hot_plug(self) -> None:
        """An uplink that appears is used within 2 s (A6)."""
        scene = Scene([way(0.02)])
        scene.links.append(way(0.02))
        scene.addresses.append(scene.addresses[0]._replace(host="198.51.100.9"))
        scene.add_uplink(1)
        scene.run(2)
        self.assertEqual(len(scene.client_session.outbound.usable_paths()), 2)
        self.assertEqual(len(scene.server_session.outbound.usable_paths()), 2)


class OneWayTests(SynchronousTestCase):
    def test_one_direction_dead(self) -> None:
        """One path works in one direction only: both directions flow, by the other, and nothing flaps."""
        for direction in (0, 1):
            scene = Scene([way(0.04), way(0.04)])
            scene.stream(3000, 0.01)
            scene.stream(3000, 0.01, up=False)
            scene.run(2)
            scene.cut(0, directions=(direction,))
            scene.run(32)
            for up in (True, False):
                self.assertEqual((scene.lost(3000, up=up), scene.doubled(up=up)), (0, 0))
            self.assertLessEqual(len(scene.changes(since=1004.0)), 2)
            scene.cut(0, heal=True)
            scene.run(4)
            self.assertEqual(scene.states(), {"active"})


class LossyTests(SynchronousTestCase):
    def test_half_lost(self) -> None:
        """A path that loses every other packet is soon left to heartbeats: the others lose nothing, little flaps."""
        scene = Scene([way(0.01, loss=0.5), way(0.02), way(0.04)])
        scene.stream(6000, 0.01)
        scene.run(20)
        settled, lost_before = scene.now, len(range(2000)) - len([n for n in scene.arrived() if n < 2000])
        scene.run(42)
        self.assertLessEqual(scene.lost(6000) - lost_before, 20)
        self.assertLessEqual(len(scene.changes("client", settled)), 8)


class LateTimerTests(SynchronousTestCase):
    def test_unread(self) -> None:
        """Who slept may not have read yet that something came: nothing counts as lost until then."""
        scene = Scene([way()])
        delivery = scene.server_session.paths[0].delivery
        for late, waits in ((LATE / 2, 0.0), (10 * LATE, LATE)):
            delivery.overdue_at = scene.now
            excuse(scene.server_session, late, scene.now)
            self.assertAlmostEqual(delivery.overdue_at, scene.now + waits)

    def test_no_clock(self) -> None:
        """An idle path that is dressed shows at no regular times that it is there; a plain one does."""
        for dressed in (True, False):
            scene = Masks([way(0.02)])
            scene.wear(dressed=dressed)
            (path,) = scene.client_session.paths.values()
            scene.run(10)
            told = {path.delivery.asked_at}
            for _ in range(200):
                scene.run(0.5)
                told.add(path.delivery.asked_at)
            at = sorted(told)
            gaps = {round(later - earlier, 3) for earlier, later in pairwise(at)}
            usual = scene.client_session.heartbeat
            if dressed:
                self.assertGreater(len(gaps), len(at) // 2)
                self.assertTrue(0.74 * usual < min(gaps) < max(gaps) <= usual, gaps)
            else:
                self.assertEqual(gaps, {usual})
