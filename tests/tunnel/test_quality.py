"""What several paths give together, measured in simulated networks; shares are of the ceiling (figures B)."""

from __future__ import annotations

from statistics import median
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation import Link, packet, read
from tests.tunnel.scenes import INNER, MBIT, Scene, inner_share, way

Ways = list[tuple[Link, Link]]


def share(
    ways: Ways, *, up: bool = True, flows: int = 4, ceiling: float = 0.0, after: float = 1.5, **world: Any
) -> float:
    """Goodput of UDP that offers 1.2 times the ceiling (the sum of the rates), as a share of it, after so many s."""
    scene = Scene(ways, settle=1.0, **world)
    most = sum(pair[0].rate for pair in ways) * inner_share()
    scene.load(after + 2, most * 1.2, up=up, flows=flows)
    scene.run(after)
    out = scene.at_server if up else scene.at_client
    before = len(out)
    scene.run(2)
    return (len(out) - before) * INNER / 2 / (ceiling * inner_share() or most)


class ShareTests(SynchronousTestCase):
    def test_alike(self) -> None:
        """Two equal paths with RTTs of 20 and 60 ms give at least 95 % of their sum, both ways (B1)."""
        for up, flows, mbit in ((True, 4, 20), (False, 4, 8), (True, 1, 8)):
            got = share([way(0.02, mbit), way(0.06, mbit)], up=up, flows=flows)
            self.assertGreaterEqual(got, 0.95, (up, flows))

    def test_one_to_four(self) -> None:
        """So do two paths of which one is four times as wide, whichever is the nearer (B2)."""
        for ways in ([way(0.02, 12), way(0.06, 3)], [way(0.02, 3), way(0.06, 12)]):
            got = share(ways)
            self.assertGreaterEqual(got, 0.95)

    def test_slow(self) -> None:
        """Three packets are no queue that stands, however long a slow path takes for them: nobody is asked whose."""
        self.assertGreaterEqual(share([way(0.02, 3), way(0.06, 12)], after=5.0), 0.98)

    def test_trickle(self) -> None:
        """What is far less than a path carries is never held back, however much that jitters."""
        for seed in (1, 2):
            scene = Scene([way(0.02, 20, jitter=0.05)], seed=seed)
            scene.stream(4000, 0.001)
            scene.run(6)
            self.assertEqual((scene.lost(4000), scene.client_session.outbound.egress.age_drops), (0, 0), seed)

    def test_one_bad(self) -> None:
        """A third path that loses every other packet takes no more than 10 % from the good two (B3)."""
        got = share([way(0.02, 8), way(0.04, 8), way(0.03, 8, loss=0.5)], ceiling=16 * MBIT)
        self.assertGreaterEqual(got, 0.9)

    def test_jitter(self) -> None:
        """Jitter does not starve a path: most of seven worlds give it room for what it holds."""
        ways = [[way(0.02, 8, jitter=0.03), way(0.06, 8, jitter=0.03)] for _ in range(7)]
        got = [share(each, seed=seed, after=2.5) for seed, each in enumerate(ways, 1)]
        self.assertGreaterEqual(median(got), 0.85, got)

    def test_random_loss(self) -> None:
        """One packet in a hundred lost costs one in a hundred, not the rate."""
        got = share([way(0.02, 8, loss=0.01), way(0.06, 8, loss=0.01)])
        self.assertGreaterEqual(got, 0.95)

    def test_shallow_queue(self) -> None:
        """A short queue on the way is no reason to leave a path."""
        got = share([way(0.02, 8, queue=0.03), way(0.06, 8, queue=0.03)])
        self.assertGreaterEqual(got, 0.95)

    def test_after_a_rest(self) -> None:
        """After a rest the rate is there again at once: the pause was no measurement."""
        scene = Scene([way(0.02, 8), way(0.06, 8)])
        most = 16 * MBIT * inner_share()
        scene.load(2, most)
        scene.run(32)
        scene.load(2, most)
        scene.run(0.3)
        before = len(scene.at_server)
        scene.run(1.5)
        self.assertGreaterEqual((len(scene.at_server) - before) * INNER / 1.5 / most, 0.85)

    def test_never_worse_than_one(self) -> None:
        """One ordered flow over unlike paths is no worse than over the best of them alone (B8)."""
        alone = share([way(0.02, 8)], flows=1)
        for slow in (way(0.06, 2), way(0.15, 2), way(0.4, 1), way(0.06, 2, loss=0.02)):
            self.assertGreaterEqual(share([way(0.02, 8), slow], flows=1, ceiling=8 * MBIT), 0.95 * alone)

    def test_modes(self) -> None:
        """`best` fills the nearest path, `redundant` at least the wider, `flow` several with several flows."""
        for scheduler, flows, least in (("best", 4, 0.95), ("redundant", 4, 0.95), ("flow", 8, 1.2)):
            got = share([way(0.02, 8), way(0.06, 8)], scheduler=scheduler, flows=flows, ceiling=8 * MBIT)
            self.assertGreaterEqual(got, least, scheduler)


class DelayTests(SynchronousTestCase):
    def _delays(self, scene: Scene, sent: dict[int, float]) -> list[float]:
        """Seconds between sending and delivery, ascending."""
        return sorted(at - sent[number] for (at, _), number in zip(scene.at_server, scene.arrived(), strict=True))

    def _sparse(self, scene: Scene, count: int, every: float) -> dict[int, float]:
        """Numbered packets of a sparse flow, and when each is sent."""
        scene.stream(count, every)
        return {number: scene.now + number * every for number in range(count)}

    def test_jitter(self) -> None:
        """
        One of two paths jitters by 5 to 150 ms: reordering adds no more than its bound to the delay of a packet:
        99 % are there within the worst delay and that bound (B4).
        """
        scene = Scene([way(0.02), way(0.01, jitter=0.145)])
        sent = self._sparse(scene, 3000, 0.003)
        scene.run(12)
        delays = self._delays(scene, sent)
        self.assertEqual(len(delays), 3000)
        self.assertLessEqual(delays[int(0.99 * len(delays))], 0.15 + 0.05)

    def test_bounded_by_configuration(self) -> None:
        """A packet that never comes delays those behind it by no more than the configured bound."""
        for bound_ms in (20, 50, 120):
            scene = Scene([way(0.02, loss=0.02), way(0.2, loss=0.02)], reorder_ms=float(bound_ms))
            sent = self._sparse(scene, 2000, 0.002)
            scene.run(8)
            delays = self._delays(scene, sent)
            self.assertLessEqual(delays[int(0.99 * len(delays))], 0.1 + bound_ms / 1000 + 0.005)

    def test_sparse_flow_beside_bulk(self) -> None:
        """A ping beside flows that offer more than there is waits for no queue of theirs, and is not dropped."""
        scene = Scene([way(0.02, 8), way(0.06, 8)])
        scene.load(6, 24 * MBIT)
        scene.run(3)
        numbers = range(1_000_000, 1_000_000 + 200)
        began = scene.now
        for step, number in enumerate(numbers):
            plain = packet(number, 100, 4242)
            scene.at(began + step * 0.01, lambda plain=plain: scene.send(plain))  # type: ignore[misc]
        scene.run(3)
        delays = sorted(at - (began + (number - 1_000_000) * 0.01)
                        for (at, _), number in zip(scene.at_server, scene.arrived(), strict=True)
                        if number >= 1_000_000)  # fmt: skip
        self.assertGreaterEqual(len(delays), 196)
        self.assertLessEqual(delays[int(0.95 * len(delays))], 0.12)

    def test_lanes_apart(self) -> None:
        """A flow without losses does not wait for the losses of another: no head-of-line blocking between flows."""
        scene = Scene([way(0.02), way(0.06)])
        post, flows = scene.post, (1, 2)

        def lossy(datagram: bytes, departure: object, *, up: bool) -> None:
            if not (up and read(datagram).lane == lane_of_two and scene.random.random() < 0.3):
                post(datagram, departure, up=up)  # type: ignore[arg-type]

        scene.send(packet(0, flow=flows[1]))
        lane_of_two = read(scene.links[0][0].log[-1]).lane
        scene.run(1)
        scene.at_server.clear()
        scene.post = lossy  # type: ignore[method-assign]
        sent = self._sparse(scene, 500, 0.005)
        scene.stream(500, 0.005, first=10_000, flow=flows[1])
        scene.run(5)
        late = [at - sent[n] for (at, _), n in zip(scene.at_server, scene.arrived(), strict=True) if n < 10_000]
        self.assertEqual(len(late), 500)
        self.assertLessEqual(max(late), 0.04)


class RateStepTests(SynchronousTestCase):
    def test_narrower(self) -> None:
        """From 20 to 5 Mbit/s: the estimate is right within 10 s, and the queue in the path at most 100 ms (B5)."""
        scene = Scene([way(0.03, 20)])
        scene.load(4, 20 * MBIT)
        scene.at(scene.now + 4, lambda: scene.load(10, 7 * MBIT))
        scene.run(3)
        up, down = scene.links[0]
        up.rate = down.rate = 5 * MBIT
        scene.run(4)
        path = scene.client_session.paths[0]
        for _ in range(6):
            scene.run(1)
            self.assertLessEqual(up.free_at - scene.now, 0.1)
            self.assertLessEqual(abs(path.pacer.window.rate(scene.now) - 5 * MBIT), 1 * MBIT)

    def test_wider(self) -> None:
        """From 5 to 20 Mbit/s: it is found within 8 s."""
        scene = Scene([way(0.03, 5)])
        scene.load(2, 7 * MBIT)
        scene.at(scene.now + 2, lambda: scene.load(9, 20 * MBIT))
        scene.run(2)
        for link in scene.links[0]:
            link.rate = 20 * MBIT
        scene.run(8)
        before = len(scene.at_server)
        scene.run(0.8)
        self.assertGreaterEqual((len(scene.at_server) - before) * INNER / 0.8, 0.8 * 20 * MBIT * inner_share())
