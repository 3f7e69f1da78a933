"""What is learned of a NAT from the mappings that ended."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.traversal.lifespan import ALIKE, IN_TIME, LONGEST, SHORTEST, Lifespan
from morphnet.wire.batch import Endpoint

NEVER = float("inf")


def mapping(number: int) -> Endpoint:
    return Endpoint("198.51.100.2", 20000 + number)


def learned(*ages: float) -> Lifespan:
    """From mappings of one socket, opened at 0, that ended at these ages."""
    lifespan, now = Lifespan(), 0.0
    lifespan.opened(now)
    lifespan.seen_as(mapping(0), now)
    for number, age in enumerate(ages, 1):
        now += age
        lifespan.seen_as(mapping(number), now)
    return lifespan


class LifespanTests(SynchronousTestCase):
    def test_twice_alike(self) -> None:
        """Once is chance; after twice at the same age there is another socket in time, counted from the last end."""
        self.assertEqual((learned().due_at(), learned(60.0).due_at()), (NEVER, NEVER))
        lifespan = learned(60.0, 61.0)
        self.assertEqual((lifespan.seconds, lifespan.due_at()), (60.0, 121.0 + IN_TIME * 60.0))

    def test_another_socket(self) -> None:
        """What is known of the NAT holds for the next socket, from when that is opened."""
        lifespan = learned(60.0, 61.0)
        lifespan.opened(170.0)
        self.assertEqual(lifespan.due_at(), 170.0 + IN_TIME * 60.0)
        lifespan.seen_as(mapping(9), 170.1)
        self.assertEqual(lifespan.due_at(), 170.0 + IN_TIME * 60.0)

    def test_by_chance(self) -> None:
        """Ends at ages that are not alike say nothing, nor do changes that follow each other at once."""
        self.assertEqual(learned(60.0, 30.0, 200.0).due_at(), NEVER)
        self.assertEqual(learned(*[SHORTEST / 2] * 9).due_at(), NEVER)
        self.assertEqual(learned(LONGEST * 2, LONGEST * 2).due_at(), NEVER)

    def test_same_news(self) -> None:
        """The second relay that tells of a change is not a second change."""
        lifespan = learned(60.0)
        for again in (60.5, 100.0):
            lifespan.seen_as(mapping(1), again)
        lifespan.seen_as(mapping(2), 120.0)
        self.assertEqual(lifespan.seconds, 60.0)

    @given(st.lists(st.integers(int(SHORTEST), int(LONGEST)), max_size=20))
    def test_any(self, ages: list[int]) -> None:
        """Whatever ended when: a life span is known just if two ends in a row were alike, and is the shorter age."""
        rules = [min(pair) for pair in pairwise(ages) if max(pair) - min(pair) <= ALIKE * max(pair)]
        self.assertEqual(learned(*ages).seconds, rules[-1] if rules else None)
