"""TCP flows inside the tunnel, simulated: what they get once they have found their rate (figures B1 to B3, B8)."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from tests.inner_tcp import SEGMENT, bulk
from tests.simulation import Link, World

OUTER, IP_UDP, PAYLOAD = SEGMENT + 94, 28, SEGMENT - 52  # bytes
MBIT = 1e6 / 8
SECONDS = 12.0  # of a load; the second half counts

Ways = Sequence[tuple[float, float]]  # (delay in seconds, Mbit/s) of each way


def world(ways: Ways, seed: int = 1) -> World:
    """A tunnel over these ways, idle for a second; with half a millisecond of jitter."""
    share = (OUTER - IP_UDP) / OUTER  # a Link counts UDP payload
    links = [
        (Link(delay, rate * MBIT * share, jitter=0.0005), Link(delay, rate * MBIT * share)) for delay, rate in ways
    ]
    made = World([(up, down) for down, up in links], Tuning(), seed)
    made.run(1.0)
    return made


def share(made: World, rates: float, flows: int, *, up: bool = False) -> float:
    """Payload that arrives in the second half, as a share of what those rates (Mbit/s) can carry."""
    connections = bulk(made, flows, up=up)
    made.run(SECONDS / 2)
    before = sum(each.arrived for each in connections)
    made.run(SECONDS / 2)
    arrived = sum(each.arrived for each in connections) - before
    return arrived * OUTER / (SECONDS / 2) / (rates * MBIT)


class InnerTcpTests(SynchronousTestCase):
    def test_alike(self) -> None:
        """20 and 20 Mbit/s with RTTs of 20 and 60 ms: four flows get 95 % of the ceiling, one gets 85 % (B1)."""
        self.assertGreaterEqual(share(world([(0.01, 20), (0.03, 20)]), 40, 4), 0.95)
        self.assertGreaterEqual(share(world([(0.01, 20), (0.03, 20)]), 40, 1), 0.85)

    def test_one_to_four(self) -> None:
        """The same with 5 and 20 Mbit/s (B2)."""
        self.assertGreaterEqual(share(world([(0.01, 5), (0.03, 20)]), 25, 1, up=True), 0.85)

    def test_one_bad(self) -> None:
        """A third way that loses every other packet takes no more than a tenth from the good two (B3)."""
        made = world([(0.01, 20), (0.02, 20), (0.015, 20)])
        for link in made.links[2]:
            link.loss = 0.5
        self.assertGreaterEqual(share(made, 40, 4), 0.9)

    def test_narrow_second(self) -> None:
        """A second way that is narrow makes nobody wait who does not fill the first: of 20 + 2 Mbit/s 80 % in 6 s."""
        made = world([(0.005, 20), (0.005, 2)])
        (connection,) = bulk(made, 1, up=False)
        made.run(6.0)
        self.assertGreaterEqual(connection.arrived * OUTER / 6.0, 0.8 * 22 * MBIT)

    def test_random_loss(self) -> None:
        """One packet in a hundred is lost at random, both ways: the tunnel repairs it, and one flow gets 85 % (B10)."""
        for ways in ([(0.01, 20)], [(0.01, 10), (0.03, 5)]):
            made = world(ways)
            for link in made.links[0]:
                link.loss = 0.01
            self.assertGreaterEqual(share(made, sum(rate for _, rate in ways), 1), 0.85, ways)

    def test_never_worse_than_one(self) -> None:
        """One flow over unlike ways gets no less than over the wider one alone (B8)."""
        for ways in ([(0.01, 10), (0.15, 10)], [(0.01, 10), (0.1, 1)]):
            self.assertGreaterEqual(share(world(ways), 10, 1), 0.95, ways)

    def test_wide_and_far(self) -> None:
        """What is wide and far is found as soon as it is needed: 20 Mbit/s at 100 ms and 2 at 10 give 80 % in 8 s."""
        made = world([(0.05, 20), (0.005, 2)])
        (connection,) = bulk(made, 1, up=False)
        made.run(8.0)
        self.assertGreaterEqual(connection.arrived * OUTER / 8.0, 0.8 * 22 * MBIT)

    def test_lossy_and_far(self) -> None:
        """
        One packet in a hundred is lost on a way of 100 ms: 75 % of it, where TCP without a tunnel has a tenth.

        Each loss is mended in one more round trip, and the burst that this lets go is not taken for too much.
        """
        made = world([(0.05, 20)])
        for link in made.links[0]:
            link.loss = 0.01
        self.assertGreaterEqual(share(made, 20, 1), 0.75)
