"""Sessions that move, rekey, and outlive their server, in simulated networks."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.events import Effects, PathMoved, Rekeyed
from morphnet.tunnel.path import State
from morphnet.wire.header import CONTROL, HANDSHAKE, IP, SHORT_ID
from tests.simulation import packet, read
from tests.tunnel.scenes import Scene, way


def shown(datagrams: list[bytes]) -> set[bytes]:
    """What datagrams show of their ids."""
    return {bytes(datagram[:SHORT_ID]) for datagram in datagrams}


class MoveTests(SynchronousTestCase):
    """Another address on the client's side, with packets both ways (A7)."""

    def _go(self, act: str, scheduler: str = "bond", links: int = 1) -> tuple[Scene, list[int], set[bytes]]:
        """A moves while packets flow: the scene, what each log held at the move, the ids shown before."""
        scene = Scene([way(0.04), way(0.06)][:links], scheduler=scheduler)
        scene.stream(600, 0.005)
        scene.stream(600, 0.005, up=False)
        scene.run(1)
        before = {each for pair in scene.links for link in pair for each in shown(link.log)}
        marks = [len(link.log) for link in scene.links[0]]
        getattr(scene, act)(0)
        scene.run(6)
        return scene, marks, before

    def _flows(self, scene: Scene) -> None:
        for up in (True, False):
            self.assertEqual((scene.lost(600, up=up), scene.doubled(up=up)), (0, 0))
        self.assertEqual(scene.server_session.paths[0].remote, scene.addresses[0])
        self.assertEqual(scene.states(), {"active"})

    def test_move(self) -> None:
        """The client's address changes: nothing is lost, and the gap is at most 1 RTT + 100 ms."""
        scene, _, _ = self._go("move")
        self._flows(scene)
        for up in (True, False):
            self.assertLessEqual(scene.longest_gap(up=up), 0.04 + 0.1)

    def test_rebind(self) -> None:
        """A NAT gives it another port: likewise, though the client does not know."""
        scene, _, _ = self._go("rebind")
        self._flows(scene)
        for up in (True, False):
            self.assertLessEqual(scene.longest_gap(up=up), 0.04 + 0.1)

    def test_seen(self) -> None:
        """The client is told by which address the server sees it: at first, after a move, and when a NAT did it."""
        for act in ("cut", "move", "rebind"):
            scene, _, _ = self._go(act, "redundant", 2)
            for uplink, path in scene.client_session.paths.items():
                if path.state != "silent":
                    self.assertEqual(path.seen_as, scene.addresses[uplink]._replace(local=""), (act, uplink))
                self.assertIsNone(scene.server_session.paths[uplink].seen_as)

    def test_redundant(self) -> None:
        """With two paths and `redundant` nobody notices at all."""
        for act in ("move", "rebind"):
            scene, _, _ = self._go(act, "redundant", 2)
            self._flows(scene)
            self.assertLessEqual(scene.longest_gap(), 0.03)

    def test_fresh_id(self) -> None:
        """After a move only ids are shown, in both directions, that were never shown before."""
        scene, (up, down), before = self._go("move")
        self.assertEqual(shown(scene.links[0][0].log[up:]) & before, set())
        for datagram in scene.links[0][1].log[down:]:
            self.assertNotIn(datagram[:SHORT_ID], before)

    def test_fresh_id_not_on_the_old_way(self) -> None:
        """The id of the new way is never shown on the old one, from where the two could be linked."""
        scene = Scene([way(0.04)])
        old_address, to_old = scene.addresses[0], list[bytes]()
        post = scene.post

        def watch(datagram: bytes, departure: object, *, up: bool) -> None:
            if not up and departure.to == old_address:  # type: ignore[attr-defined]
                to_old.append(datagram)
            post(datagram, departure, up=up)  # type: ignore[arg-type]

        scene.post = watch  # type: ignore[method-assign]
        scene.stream(400, 0.005)
        scene.stream(400, 0.005, up=False)
        scene.run(1)
        mark = len(scene.links[0][0].log)
        scene.move(0)
        scene.run(2)
        self.assertEqual(shown(to_old) & shown(scene.links[0][0].log[mark:]), set())

    def test_fresh_id_after_rebinding(self) -> None:
        """Once a NAT's new port has been noticed an id is shown that was never shown before."""
        scene, (up, _), before = self._go("rebind")
        after = scene.links[0][0].log[up:]
        changed = next(i for i, datagram in enumerate(after) if datagram[:SHORT_ID] not in before)
        self.assertEqual(read(after[changed]).type, HANDSHAKE)
        self.assertEqual(shown(after[changed:]) & before, set())

    def test_again_and_again(self) -> None:
        """Ids do not run out, however often the client moves."""
        scene = Scene([way(0.04)])
        scene.stream(4400, 0.01)
        seen = set[bytes]()
        for step in range(30):
            scene.run(1.3)
            mark = len(scene.links[0][0].log)
            (scene.move if step % 2 else scene.rebind)(0)
            scene.run(0.1)
            self.assertTrue(shown(scene.links[0][0].log[mark:]) - seen, step)
            seen |= shown(scene.links[0][0].log)
        scene.run(5)
        self.assertEqual(scene.lost(4400), 0)
        self.assertEqual(len(scene.told(PathMoved)), 30 + 15)  # the server's view, and the client's own moves

    def test_heartbeat_stalls_nothing(self) -> None:
        """Heartbeats, probes and challenges go between the data, and hold none of it up."""
        scene = Scene([way(0.04)], heartbeat_s=0.05)
        scene.stream(1000, 0.005)
        scene.run(6)
        self.assertLess(scene.longest_gap(), 0.006)


class RekeyTests(SynchronousTestCase):
    def test_by_count(self) -> None:
        """Over 100 keys in each direction, turned every 100 packets under load on two unlike paths: 0 lost (D4)."""
        scene = Scene([way(0.02), way(0.09)], rekey_packets=100)
        scene.load(1, 18_000_000, flows=3)
        scene.run(2)
        count = len(scene.arrived())
        self.assertGreater(scene.client_session.outbound.keys.turns, 100)
        self.assertGreater(len(scene.told(Rekeyed)), 100)
        self.assertEqual((scene.lost(count), scene.doubled()), (0, 0))
        self.assertEqual(scene.server_session.counts["no_key"], 0)

    def test_by_time(self) -> None:
        """Over 100 keys turned by time: 0 lost, in both directions (D4)."""
        scene = Scene([way(0.02), way(0.09)], rekey_seconds=0.1)
        scene.stream(2400, 0.005)
        scene.stream(2400, 0.005, up=False)
        scene.run(14)
        self.assertGreater(scene.client_session.outbound.keys.turns, 100)
        self.assertGreater(scene.server_session.outbound.keys.turns, 100)
        for up in (True, False):
            self.assertEqual((scene.lost(2400, up=up), scene.doubled(up=up)), (0, 0))

    def test_long_outage(self) -> None:
        """After an outage of nine minutes, control link and all, the keys still fit: both ratchets went on."""
        scene = Scene([way()])
        scene.cut(0)
        scene.stream(530, 1.0, first=100_000)
        scene.run(530)
        scene.cut(0, heal=True)
        scene.run(4)
        scene.stream(10, 0.01)
        scene.run(1)
        self.assertEqual(scene.lost(10), 0)
        scene.stream(10, 0.01, up=False)
        scene.run(1)
        self.assertEqual(scene.lost(10, up=False), 0)

    def test_control_reconnects(self) -> None:
        """New control handshakes under load, each with new keys: 0 lost, in both directions."""
        scene = Scene([way(0.02), way(0.09)])
        scene.stream(1000, 0.002)
        scene.stream(1000, 0.002, up=False)
        for step in range(15):
            scene.at(scene.now + 0.1 + step * 0.1, lambda: scene.connect(resumed=True))
        scene.run(4)
        for up in (True, False):
            self.assertEqual((scene.lost(1000, up=up), scene.doubled(up=up)), (0, 0))
        for session in (scene.client_session, scene.server_session):
            self.assertEqual(session.outbound.keys.epoch, scene.epoch)

    def test_server_waits(self) -> None:
        """The server begins to send under new keys when it has seen the client do so, not at any other news."""
        scene = Scene([way()])
        secrets, epoch = (b"1" * 32, b"2" * 32), scene.epoch + 64
        scene.server_session.install(*secrets, epoch, scene.now)
        scene.client_session.rekey(scene.now)  # the old chain turns meanwhile
        scene.stream(10, 0.01)
        scene.run(1)
        self.assertLess(scene.server_session.outbound.keys.epoch, epoch)
        scene.client_session.install(*secrets, epoch, scene.now)
        scene.stream(10, 0.01)
        scene.run(1)
        self.assertEqual(scene.server_session.outbound.keys.epoch, epoch)

    @settings(max_examples=2)
    @given(st.sampled_from(["bond", "redundant"]), st.integers(0, 1 << 30))
    def test_nonces(self, scheduler: str, seed: int) -> None:
        """Under one key no nonce comes twice, over four paths, with cuts, moves and resends between (D5)."""
        self.move_about(scheduler, seed)

    def move_about(self, scheduler: str, seed: int) -> None:
        """A load over four paths, cut and moved by chance: no nonce comes twice."""
        scene = Scene([way(0.02), way(0.03), way(0.05), way(0.08)], scheduler=scheduler, rekey_packets=2000)
        scene.random.seed(seed)
        scene.load(2, 1_500_000)
        scene.load(2, 1_500_000, up=False)
        for step in range(12):
            uplink = scene.random.randrange(4)
            scene.run(0.15)
            (scene.cut, scene.move, scene.rebind, lambda i: scene.cut(i, heal=True))[step % 4](uplink)
        scene.connect(resumed=True)
        scene.run(1)
        nonces = scene.nonces()
        self.assertGreater(len(nonces), 4_000)
        self.assertEqual(len(set(nonces)), len(nonces))


class PathTests(SynchronousTestCase):
    def test_closed(self) -> None:
        """A path that the client closes is left alone by both ends, and its flights go another way."""
        scene = Scene([way(0.02), way(0.06)])
        scene.stream(300, 0.005)
        scene.stream(300, 0.005, up=False)
        scene.run(0.5)
        effects = Effects()
        scene.client_session.close_path(0, scene.now, effects)
        scene._carry(effects, at_client=True)
        scene.run(3)
        for up in (True, False):
            self.assertEqual((scene.lost(300, up=up), scene.doubled(up=up)), (0, 0))
        mark = [len(link.log) for link in scene.links[0]]
        scene.run(90)
        self.assertLessEqual(sum(len(link.log) for link in scene.links[0]) - sum(mark), 120)
        self.assertIs(scene.client_session.paths[0].state, State.CLOSED)
        self.assertIs(scene.server_session.paths[0].state, State.CLOSED)
        scene.add_uplink(0)
        scene.run(1)
        self.assertEqual(scene.states(), {"active"})
        self.assertEqual(set(scene.client_session.paths), {0, 1})

    def test_opened_anew(self) -> None:
        """A path that was left alone because it fell again and again is judged anew when its uplink comes again."""
        scene = Scene([way(0.02), way(0.06)])
        scene.stream(4000, 0.005)
        for _ in range(5):
            scene.cut(0)
            scene.run(1.0)
            scene.cut(0, heal=True)
            scene.run(0.5)
        effects = Effects()
        scene.client_session.close_path(0, scene.now, effects)
        scene._carry(effects, at_client=True)
        scene.run(0.2)
        scene.add_uplink(0)
        scene.run(0.5)
        for session in (scene.client_session, scene.server_session):
            self.assertEqual((session.paths[0].state, session.paths[0].life.falls), (State.ACTIVE, 0))

    def test_closed_in_silence(self) -> None:
        """If nobody told the server that a path is closed it finds out, though the way still works."""
        scene = Scene([way(0.02), way(0.06)])
        effects = Effects()
        scene.client_session.close_path(0, scene.now, effects, tell=False)
        scene.client.poke(scene.client_session, scene.now)
        scene.stream(300, 0.005, up=False)
        scene.run(5)
        self.assertEqual((scene.lost(300, up=False), scene.doubled(up=False)), (0, 0))
        self.assertIs(scene.server_session.paths[0].state, State.SILENT)
        scene.run(90)
        self.assertIs(scene.server_session.paths[0].state, State.CLOSED)

    def test_too_many(self) -> None:
        """A client that opens ever more paths gets no more than the server's bound."""
        scene = Scene([way() for _ in range(30)])
        self.assertLessEqual(len(scene.server_session.paths), 16)
        scene.stream(100, 0.005)
        scene.run(2)
        self.assertEqual(scene.lost(100), 0)

    def test_types_on_the_wire(self) -> None:
        """What was asked for in frames is control, what proves is handshake, and packets are IP."""
        scene = Scene([way()])
        scene.send(packet(1))
        scene.run(10)
        types = {read(d).type for link in scene.links[0] for d in link.log}
        self.assertLessEqual({IP, HANDSHAKE}, types)
        self.assertLessEqual(types, {IP, HANDSHAKE, CONTROL, 2})


class SwitchTests(SynchronousTestCase):
    def test_under_load(self) -> None:
        """Schedulers are switched 40 times under load: 0 lost, none twice (A12)."""
        scene = Scene([way(0.02), way(0.06)])
        scene.stream(4000, 0.002)
        names = ("bond", "redundant", "flow", "best")
        for step in range(40):
            scene.at(
                scene.now + 0.1 + step * 0.19,
                lambda step=step: scene.client_session.set_scheduler(names[step % 4]),  # type: ignore[misc]
            )
        scene.run(10)
        self.assertEqual((scene.lost(4000), scene.doubled()), (0, 0))
