"""A tunnel's stream beside others on one bottleneck, in simulated networks; shares are of what would be fair."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import fmean

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from tests.inner_bbr import Bbr
from tests.inner_control import Cubic
from tests.inner_tcp import IP_UDP, SEGMENT, Bulk, bulk, rival
from tests.simulation import CoDel, Link, World
from tests.tunnel.scenes import MBIT

OUTER = SEGMENT + 94  # bytes that a full inner packet takes on the wire
ENOUGH, LEFT = 0.8, 0.5  # of the fair share: what is ours at least, and the others'
PLAIN_BBR = 0.17  # of it: what a plain stream has beside one of BBR and a queue of 2.5 round trips
ALONE, BESIDE, COUNTED, AGAIN = 4.0, 12.0, 7.0, 3.0  # seconds


@dataclass
class Outcome:
    """What came of it."""

    alone: float  # share of the wire, before
    ours: float  # of our fair share, beside the others
    theirs: float  # of theirs
    again: float  # share of the wire in the last second, when they had gone


def _world(link: Link, seed: int = 1) -> World:
    narrow = replace(link, rate=link.rate * (OUTER - IP_UDP) / OUTER, jitter=0.0005)  # a Link counts UDP payload
    world = World([(narrow, replace(narrow, _law=CoDel()))], Tuning(), seed)
    world.run(1.0)
    return world


def late(link: Link, others: int = 1, seed: int = 1) -> tuple[float, float]:
    """Ours comes when others have filled the wire: its share of what is fair, and theirs."""
    world = _world(link, seed)
    rivals = [rival(world, 0, up=False, control=Cubic()) for _ in range(others)]
    world.run(6.0)
    mine = bulk(world, 1, up=False)
    world.run(5.0)
    before = sum(each.arrived for each in mine), sum(each.arrived for each in rivals)
    world.run(COUNTED)
    after = sum(each.arrived for each in mine), sum(each.arrived for each in rivals)
    ours, theirs = [(b - a) * OUTER / COUNTED / link.rate for a, b in zip(before, after, strict=True)]
    return ours * (others + 1), theirs * (others + 1) / others


def beside(link: Link, others: int = 1, *, bbr: bool = False, up: bool = False, streams: int = 1) -> Outcome:
    """Alone, then beside so many plain streams through the same wire, then alone again."""
    rate = link.rate
    world = _world(link)
    mine, rivals = bulk(world, streams, up=up), list[Bulk]()

    def share(seconds: float) -> tuple[float, float]:
        before = sum(each.arrived for each in mine), sum(each.arrived for each in rivals)
        world.run(seconds)
        after = sum(each.arrived for each in mine), sum(each.arrived for each in rivals)
        got = [(late - early) * OUTER / seconds / rate for early, late in zip(before, after, strict=True)]
        return got[0], got[1]

    world.run(ALONE / 2)
    alone, _ = share(ALONE / 2)
    rivals = [rival(world, 0, up=up, control=Bbr() if bbr else Cubic()) for _ in range(others)]
    world.run(BESIDE - COUNTED)
    ours, theirs = share(COUNTED)
    for each in rivals:
        each.stop()
    world.run(AGAIN - 1.0)
    again, _ = share(1.0)
    fair = 1 / (others + 1)
    return Outcome(alone, ours / fair, theirs / (1 - fair), again)


def wire(mbit: float, rtt: float, queue: float = 10.0, *, codel: bool = False) -> Link:
    """
    One direction of a way.

    :param queue: round trips of its rate that may wait.
    """
    return Link(rtt / 2, mbit * MBIT, queue=queue * rtt, codel=codel)


class BesideTests(SynchronousTestCase):
    """Ours and theirs get what they should; when they have gone all is ours again."""

    def _holds(self, outcome: Outcome, enough: float = ENOUGH) -> None:
        self.assertGreaterEqual(outcome.ours, enough, outcome)
        self.assertGreaterEqual(outcome.theirs, LEFT, outcome)
        self.assertGreaterEqual(outcome.again, 0.9 * outcome.alone, outcome)
        self.assertGreaterEqual(outcome.alone, 0.85, outcome)

    def test_long_queue(self) -> None:
        """Beside one download that fills a queue of 100 ms, down and up."""
        for up in (False, True):
            self._holds(beside(wire(20, 0.04, 2.5), up=up))

    def test_short_queue(self) -> None:
        """Beside one that makes a queue so short that it only shows in losses."""
        self._holds(beside(wire(20, 0.04, 0.5)))

    def test_many(self) -> None:
        """Beside four."""
        self._holds(beside(wire(20, 0.04, 1), 4))

    def test_bbr(self) -> None:
        """Beside one of BBR; where its two round trips overflow the queue, three times what a plain stream has."""
        self._holds(beside(wire(20, 0.04, 4), bbr=True))
        self._holds(beside(wire(20, 0.02, 2.5), bbr=True), 3 * PLAIN_BBR)

    def test_codel(self) -> None:
        """Beside one whose queue a router keeps short."""
        self._holds(beside(wire(20, 0.02, 50, codel=True)))

    def test_slow(self) -> None:
        """On 10 Mbit/s, where a packet takes longer than a queue may."""
        self._holds(beside(wire(10, 0.01, 1)))

    def test_four_of_ours(self) -> None:
        """Four streams in the tunnel beside one get no less than one would get, nearly."""
        self._holds(beside(wire(20, 0.04, 1), streams=4), 0.9)

    def test_late(self) -> None:
        """Who comes when the wire is full has 0.8 of the fair share after five seconds, mean of three seeds."""
        for queue in (2.5, 0.5):
            ours, theirs = zip(*[late(wire(20, 0.04, queue), seed=seed) for seed in (1, 2, 3)], strict=True)
            self.assertGreaterEqual(fmean(ours), ENOUGH)
            self.assertGreaterEqual(fmean(theirs), LEFT)
