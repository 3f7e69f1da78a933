"""Datagrams that are carried beside the TUN."""

from __future__ import annotations

import random
from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.events import Effects
from morphnet.tunnel.totals import total_of
from morphnet.wire.batch import Arrival
from morphnet.wire.carried import MOST, Carried, CarriedRun
from morphnet.wire.segments import Run
from tests.simulation import packet
from tests.tunnel.scenes import Scene, way
from tests.wire.test_carried import runs_of, singles


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

    def test_narrow(self) -> None:
        """What a path takes whole, 100 a second each way, while both links begin to swallow what is large: all come."""
        ways = [(rtt, 1.5 * rtt, 0.0, 1.0) for rtt in (0.002, 0.011, 0.06)]
        ways.append((0.02, 0.06, 0.002, 0.111))  # a single one is lost by the far way
        for near, far, jitter, after in ways:
            scene = Scene([way(near, 20, jitter=jitter), way(far, 20, jitter=jitter)], settle=4.0)
            for up in (True, False):
                self.numbered(scene, 400, 0.01, up=up, size=1363)
            self.assertLess(1363 + 44, min(path.mtu.proven for path in scene.client_session.paths.values()))
            scene.run(after)
            for link in (link for pair in scene.links for link in pair):
                link.mtu = 1252
            scene.run(6)
            for came in scene.carried.values():
                self.assertEqual(len({each.data for each in came}), 400)
                self.assertEqual(len(came), 400)

    def batch(self, count: int) -> list[Carried]:
        """What two programs have sent since somebody looked: most of one length, some longer, shorter or empty."""
        chance = random.Random(7)
        sizes = [chance.choice((1200, 1200, 1200, 1200, 1200, 1201, 60, 4)) for _ in range(count)]
        return [Carried(7, step // 8 % 2, step.to_bytes(4, "big").ljust(size, b".")) for step, size in enumerate(sizes)]

    def test_together(self) -> None:
        """What comes at once goes in runs, over a path that is cut too, in every mode; all comes out, one by one."""
        for scheduler in ("bond", "flow", "redundant", "best"):
            scene, sent = Scene([way(0.02, 20), way(0.03, 20)], scheduler=scheduler), self.batch(640)
            for at in range(0, 640, 32):
                scene.at(scene.now + at / 1000, partial(scene.carry, *sent[at : at + 32]))
            scene.run(0.3)
            before = len(scene.carried["laptop"])
            for local in (0, 1):
                came = [each for each in scene.carried["laptop"] if each.local == local]
                if scheduler == "bond":
                    self.assertEqual(came, [each for each in sent if each.local == local][: len(came)])
            scene.cut(1)
            scene.run(4)
            came, dropped = scene.carried["laptop"], total_of(scene.client_session)["dropped_queue"]
            self.assertEqual((len(set(came)), len(came)), (640 - dropped, 640 - dropped), scheduler)
            self.assertLessEqual(dropped, 1)  # by CoDel, when half of the room is gone
            self.assertGreater(before, 200)
            self.assertEqual(scene.server.counts["malformed"], 0)

    def test_as_they_left(self) -> None:
        """Runs that come in as they left are opened at once; one that is forged or comes again takes none with it."""
        for spoilt in (-1, 0, 3, 15):
            scene, sent = Scene([way(0.02)]), [Carried(7, 1, bytes([step]) * 900) for step in range(16)]
            (departure,) = scene.client.from_local("gateway", runs_of(sent), scene.now).sends
            data = bytearray(departure.data)
            if spoilt >= 0:
                data[spoilt * departure.size + 100] ^= 1
            arrival = Arrival(0, scene.addresses[0], memoryview(data), departure.size)
            carried = scene.server.from_path([arrival], scene.now + 0.01).carried
            came = [each for _, run in carried for each in singles(run)]
            self.assertEqual([each for each in sent if each in came], came)
            least = sent[:spoilt] if spoilt >= 0 else sent
            self.assertEqual(came[: len(least)], least)
            again = scene.server.from_path([arrival], scene.now + 0.02).carried
            self.assertEqual(again, [])
            scene.run(1)
            self.assertEqual(scene.server_session.inbound.forged, 2 * (spoilt >= 0))

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
        effects = scene.client.from_local("nobody", [CarriedRun(1, 1, [b"x"])], scene.now)
        self.assertEqual((effects.sends, scene.client.counts["no_session"]), ([], 1))

    def test_no_head(self) -> None:
        """An authentic one that is none is dropped and counted."""
        scene = Scene([way(0.02)])
        run, effects = Run.of(CarriedRun(1, 1, [b"x"])), Effects()
        run.body = b"no"
        scene.client_session.outbound.offer(run, scene.now, effects)
        scene._carry(effects, at_client=True)
        scene.run(1)
        self.assertEqual((scene.carried, scene.server_session.counts["malformed"]), ({}, 1))
