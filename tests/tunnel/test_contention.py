"""Whose queue it is: every stage with every input, and what a path keeps beside others."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.capacity import SURE
from morphnet.tunnel.contention import (
    ASK_EVERY,
    ASK_SOON,
    GONE,
    LEFT,
    Contention,
    Sample,
    Signs,
    Stage,
)
from morphnet.tunnel.question import GIVE_UP
from morphnet.tunnel.rtt import RttEstimate
from morphnet.tunnel.share import LASTING, LESS, SHARE, TOP
from morphnet.tunnel.usual_loss import LOSSY, UsualLoss

RTT, EVERY = 0.04, 0.01  # seconds, without a queue, and between two Acks
CLEAR = 0.009  # seconds
FULL = 1e6  # bytes a second


class Sender:
    """
    A path's sender that is told what it sees.

    :param known: it has had the path for itself, for a while.
    """

    def __init__(self, known: bool = True) -> None:
        self.others, self.rtt, self.now = Contention(), RttEstimate(), 100.0
        self.limited = True
        self.acks(0.2, 0.0)
        self.sample(FULL, peak=0.0)
        for _ in range(SURE if known else 0):
            self.others.whole.was_ours(self.now)

    @property
    def signs(self) -> Signs:
        return Signs(RTT, CLEAR, CLEAR, self.limited, 0.05)

    def acks(self, seconds: float, queue: float) -> None:
        """Acks come for so long, each of a packet that waited for so long."""
        for _ in range(round(seconds / EVERY)):
            self.now += EVERY
            self.rtt.add(RTT + queue, now=self.now)
            self.others.look(self.rtt, self.signs, self.now)

    def sample(self, rate: float, lost: float = 0.0, queue: float = 0.0, peak: float = 0.01) -> None:
        """A new sample of the rate."""
        self.others.sampled(Sample(rate, lost, queue, peak, peak / 2), self.signs, self.now)

    def ask(self) -> None:
        """A queue of 100 ms stands, until it is asked whose it is."""
        while self.others.stage is Stage.ALONE:
            self.acks(EVERY, 0.1)

    def settle(self) -> None:
        """It is not ours."""
        self.ask()
        while self.others.stage is Stage.ASKING:
            self.acks(EVERY, 0.1)

    def rates(self, seconds: float, rate: float, lost: float = 0.0) -> None:
        """Samples for so long, five a second, while the queue is that of the others."""
        for _ in range(round(seconds / 0.2)):
            self.acks(0.2, 0.1)
            self.sample(rate, lost)


Input = Callable[[Sender], None]


def _losing(sender: Sender) -> None:
    sender.sample(FULL / 2, 0.02)
    sender.acks(EVERY, 0.0)


def _losing_by_chance(sender: Sender) -> None:
    sender.sample(FULL / 2, 0.02, peak=0.001)
    sender.acks(EVERY, 0.0)


def _losing_at_the_top(sender: Sender) -> None:
    sender.sample(FULL, 0.02)
    sender.acks(EVERY, 0.0)


def _nothing_comes(sender: Sender) -> None:
    sender.now += 5 + GIVE_UP
    sender.acks(EVERY, 0.1)


def _without_traffic(sender: Sender) -> None:
    sender.limited = False
    sender.acks(2.0, 0.1)


ALONE, ASKING, BESIDE = Stage.ALONE, Stage.ASKING, Stage.BESIDE
INPUTS: dict[str, tuple[Input, dict[Stage, Stage]]] = {
    "a queue for a moment": (lambda s: s.acks(0.2, 0.1), {ALONE: ALONE, ASKING: ASKING, BESIDE: BESIDE}),
    "a queue that stands": (lambda s: s.acks(0.5, 0.1), {ALONE: ASKING, ASKING: BESIDE, BESIDE: BESIDE}),
    "a queue for a long time": (
        lambda s: s.acks(ASK_EVERY + 0.1, 0.1),
        {ALONE: BESIDE, ASKING: BESIDE, BESIDE: ASKING},
    ),
    "no queue for a moment": (lambda s: s.acks(0.2, 0.0), {ALONE: ALONE, ASKING: ALONE, BESIDE: BESIDE}),
    "no queue any more": (lambda s: s.acks(GONE + 0.3, 0.0), {ALONE: ALONE, ASKING: ALONE, BESIDE: ALONE}),
    "losses": (_losing, {ALONE: BESIDE, ASKING: ASKING, BESIDE: BESIDE}),
    "losses by chance": (_losing_by_chance, {ALONE: ALONE, ASKING: ASKING, BESIDE: BESIDE}),
    "losses at the best rate": (_losing_at_the_top, {ALONE: ALONE, ASKING: ASKING, BESIDE: ALONE}),
    "silence": (_nothing_comes, {ALONE: ALONE, ASKING: ALONE, BESIDE: BESIDE}),
    "no traffic": (_without_traffic, {ALONE: ALONE, ASKING: BESIDE, BESIDE: BESIDE}),
}


class StageTests(SynchronousTestCase):
    def test_matrix(self) -> None:
        """Each stage answers each input."""
        for name, (give, expected) in INPUTS.items():
            self.assertEqual(set(expected), set(Stage), name)
            for stage, then in expected.items():
                sender = Sender()
                {ALONE: lambda s: None, ASKING: Sender.ask, BESIDE: Sender.settle}[stage](sender)
                self.assertIs(sender.others.stage, stage, name)
                if stage is BESIDE:
                    sender.sample(FULL / 2)
                give(sender)
                self.assertIs(sender.others.stage, then, (stage, name))

    def test_left(self) -> None:
        """When a queue goes that was too long to be drained by slowing down, others are gone; else it takes longer."""
        for queue, until in ((0.1, LEFT), (0.03, GONE)):
            sender = Sender()
            sender.settle()
            sender.acks(2.0, queue)
            sender.acks(until, 0.0)
            self.assertIs(sender.others.stage, BESIDE, queue)
            sender.acks(0.3, 0.0)
            self.assertIs(sender.others.stage, ALONE, queue)

    def test_unsure(self) -> None:
        """Who has never had the path for itself, and has little of it, asks again soon."""
        for known, again in ((False, ASK_SOON), (True, ASK_EVERY)):
            sender = Sender(known)
            sender.settle()
            sender.acks(again - 2 * EVERY, 0.1)
            self.assertIs(sender.others.stage, BESIDE)
            sender.acks(4 * EVERY, 0.1)
            self.assertIs(sender.others.stage, ASKING)

    def test_too_soon(self) -> None:
        """What comes before a round trip is over is no answer."""
        sender = Sender()
        sender.ask()
        sender.acks(RTT - EVERY, 0.0)
        self.assertIs(sender.others.stage, ASKING)
        sender.acks(3 * EVERY, 0.0)
        self.assertIs(sender.others.stage, ALONE)

    def test_ours(self) -> None:
        """A queue of ours goes when it is asked about; it is not asked again at once, and nothing is settled."""
        sender = Sender()
        sender.ask()
        self.assertEqual(sender.others.had, FULL)
        sender.acks(0.3, 0.0)
        self.assertIs(sender.others.stage, ALONE)
        self.assertLess(sender.rtt.calm, 0.001)

    def test_others_went(self) -> None:
        """What was settled beside others is void when their queue has gone: it was never the path's own."""
        sender = Sender()
        sender.settle()
        while sender.others.stage is BESIDE:
            sender.acks(EVERY, 0.1)
        self.assertGreater(sender.rtt.calm, 0.05)
        while sender.others.stage is ASKING:
            sender.acks(EVERY, 0.0)
        self.assertIs(sender.others.stage, ALONE)
        self.assertLess(sender.rtt.calm, 0.01)

    def test_crowded(self) -> None:
        """Losses below the best rate say without a question that others are there, and in the way."""
        sender = Sender()
        _losing(sender)
        self.assertEqual((sender.others.stage, sender.others.share.met), (BESIDE, True))

    def test_narrower(self) -> None:
        """A long queue that goes at once when we send half is ours, though we once had more: the path is narrower."""
        sender = Sender()
        sender.sample(FULL / 4, queue=0.1)
        sender.ask()
        sender.acks(0.15, 0.0)
        self.assertIs(sender.others.stage, ALONE)
        self.assertEqual(sender.others.capacity, FULL / 4)

    def test_narrower_meanwhile(self) -> None:
        """Half of a rate that the path does not deliver any more is no question: it is asked again."""
        sender = Sender()
        sender.ask()
        sender.acks(0.2, 0.1)
        sender.sample(FULL / 4, queue=0.1)
        while sender.others.had == FULL:
            sender.acks(EVERY, 0.1)
        self.assertIs(sender.others.stage, ASKING)
        self.assertEqual(sender.others.had, FULL / 4)
        sender.acks(0.5, 0.1)
        self.assertIs(sender.others.stage, BESIDE)

    def test_not_ours(self) -> None:
        """
        A queue that stands while we get less than the path is known to deliver is not ours, though nobody presses us:
        what others' router drops is mended for the stream inside, which would never slow down. That takes no question.
        """
        for known, rate, stage in (
            (True, FULL / 2, Stage.BESIDE),
            (True, FULL, Stage.ALONE),
            (False, FULL / 2, Stage.ALONE),
        ):
            sender = Sender(known)
            sender.limited = False
            sender.sample(rate)
            sender.acks(1.0, 0.03)
            self.assertIs(sender.others.stage, stage)


class ShareTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Others are there."""
        self.sender = Sender()
        self.sender.settle()

    def test_kept(self) -> None:
        """However full it is, the share is kept; what is lost does not lower what is known of the path."""
        self.sender.rates(7.0, FULL / 3, 0.1)
        self.assertEqual(self.sender.others.share.pace, SHARE * FULL)
        self.assertEqual(self.sender.others.capacity, FULL)

    def test_up_and_down(self) -> None:
        """While nobody is in the way it becomes more, and less by a tenth when something is lost."""
        self.sender.rates(0.2, FULL / 2, 0.05)
        before = self.sender.others.share.pace
        self.sender.rates(1.0, FULL * 0.8)
        more = self.sender.others.share.pace
        self.assertTrue(before * 1.1 < more < before * 1.5, (before, more))
        self.sender.rates(0.2, FULL * 0.8, 0.01)
        self.assertAlmostEqual(self.sender.others.share.pace, max(SHARE * FULL, LESS * more))

    def test_top(self) -> None:
        """While their queue stands it takes no more than its part; a queue that only comes and goes is none."""
        sender = Sender()
        sender.sample(FULL / 2)
        sender.settle()
        for _ in range(30):
            sender.acks(0.2, 0.1)
            sender.sample(sender.others.share.pace, peak=0.05)
        self.assertAlmostEqual(sender.others.share.pace, TOP * FULL)
        sender.rates(1.0, FULL * 0.6)
        self.assertGreater(sender.others.share.pace, 1.1 * TOP * FULL)

    def test_ruined(self) -> None:
        """Others lose much now and then; who loses much all the time sends more than the path can carry."""
        for _ in range(3):
            self.sender.rates(1.0, FULL / 3, 0.3)
            self.sender.rates(0.4, FULL / 3, 0.1)
        self.assertEqual(self.sender.others.capacity, FULL)
        self.sender.rates(LASTING + 1.0, FULL / 3, 0.3)
        self.assertLess(self.sender.others.capacity, 0.8 * FULL)


class LossTests(SynchronousTestCase):
    def test_all_of_it(self) -> None:
        """What a path loses while we have all of it is its usual loss, with a queue too; beside others it is not."""
        for rate, tolerated in ((FULL, 0.0), (FULL / 2, LOSSY)):
            sender = Sender()
            sender.others.usual = UsualLoss()
            sender.sample(rate, 0.0)
            self.assertEqual(sender.others.usual.tolerated(), tolerated)

    def test_usual(self) -> None:
        """What is lost without a queue is usual after a while; then only more than that tells of others."""
        sender = Sender()
        for _ in range(20):
            sender.acks(0.2, 0.0)
            sender.sample(FULL, 0.01, peak=0.001)
        self.assertGreater(sender.others.usual.tolerated(), 0.02)
        sender.sample(FULL / 2, 0.02)
        sender.acks(EVERY, 0.0)
        self.assertIs(sender.others.stage, ALONE)

    @given(
        st.lists(
            st.tuples(
                st.floats(0, 1e9),
                st.floats(0, 1),
                st.floats(-0.1, 10),
                st.floats(-0.1, 10),
                st.floats(0, 5),
                st.booleans(),
            ),
            max_size=60,
        )
    )
    def test_whatever_comes(self, inputs: list[tuple[float, float, float, float, float, bool]]) -> None:
        """A peer may tell any rates and losses: the pace stays between the share and a little more than it was told."""
        sender = Sender()
        told = FULL
        for rate, lost, queue, peak, waited, limited in inputs:
            sender.limited, told = limited, max(told, rate)
            sender.acks(3 * EVERY, max(0.0, queue))
            sender.now += waited
            sender.sample(rate, lost, queue, peak)
            others = sender.others
            self.assertLessEqual(others.capacity, told)
            if others.stage is BESIDE:
                self.assertGreaterEqual(others.share.pace, SHARE * others.capacity * 0.999)
                self.assertLessEqual(others.share.pace, 1.8 * told)
