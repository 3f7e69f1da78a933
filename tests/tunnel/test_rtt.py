"""Estimates of one path."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.rtt import LossMeter, RateMeter, RttEstimate, WindowedBest

TIMES = st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(0.001, 1.0)), min_size=1, max_size=60)


class RttTests(SynchronousTestCase):
    def test_converges(self) -> None:
        """Equal samples lead to themselves, without variation or jitter."""
        rtt = RttEstimate()
        for step in range(100):
            rtt.add(0.05, now=step * 0.1)
        self.assertAlmostEqual(rtt.smoothed or 0.0, 0.05)
        self.assertLess(rtt.variation, 1e-6)
        self.assertEqual(rtt.jitter, 0.0)

    @given(st.integers(0, 2**32 - 1))
    def test_queue(self, zero: int) -> None:
        """A queue on the way there is seen, one on the way back is none; wherever the peer's clock stands."""
        rtt = RttEstimate()
        for step in range(20):
            rtt.add(0.05, now=step * 0.1, there=zero)
        rtt.add(0.09, now=2.1, there=zero)
        self.assertEqual((rtt.queue, rtt.delayed), (0.0, 0.0))
        rtt.add(0.06, now=2.2, there=(zero + 10_000) % 2**32)
        self.assertAlmostEqual(rtt.queue, 0.01)

    def test_faster_than_known(self) -> None:
        """What was late against the fastest is so by more when a faster one comes: a path that jitters begins slow."""
        rtt = RttEstimate()
        for took in (0.09, 0.1):
            rtt.add(0.2, now=0.0, there=round(took * 1e6), calm=True)
        before = rtt.calm, rtt.delayed
        rtt.add(0.2, now=0.1, there=60_000)
        self.assertApproximates(rtt.calm, before[0] + 0.03, 0.001)
        self.assertAlmostEqual(rtt.delayed, (before[1] + 0.03) * 7 / 8)

    def test_other_clock(self) -> None:
        """A peer whose clock is another one begins without a queue."""
        rtt = RttEstimate()
        rtt.add(0.05, now=0.0, there=1_000)
        rtt.other_clock()
        rtt.add(0.05, now=0.1, there=900_000)
        self.assertEqual(rtt.queue, 0.0)

    def test_unrest(self) -> None:
        """How much one sample differs from the next is known from few of them: a new path that jitters has no queue."""
        rtt = RttEstimate()
        for step, late in enumerate((0.0, 0.04, 0.01, 0.05, 0.0, 0.03)):
            rtt.add(0.02 + late, now=step / 100)
        self.assertTrue(0.02 < rtt.unrest < 0.05, rtt.unrest)
        for step in range(200):
            rtt.add(0.06, now=1 + step / 100)
        self.assertLess(rtt.unrest, 0.001)

    def test_queue_that_grows(self) -> None:
        """A queue that grows and goes, 2 ms from sample to sample, is hardly any jitter, however long it gets."""
        rtt = RttEstimate()
        for step in range(400):
            rtt.add(0.02 + 0.002 * abs(25 - step % 50), now=step / 100)
        self.assertLess(rtt.unrest, 0.0025)

    def test_calm(self) -> None:
        """What is late on a path with little in flight is its jitter."""
        rtt = RttEstimate()
        for step in range(100):
            rtt.add(0.05 + step % 2 * 0.01, now=step * 0.1, there=step % 2 * 10_000, calm=True)
        self.assertAlmostEqual(rtt.calm, 0.005, places=2)
        self.assertAlmostEqual(rtt.base(10.0) or 0.0, 0.055, places=2)

    @given(TIMES, st.booleans())
    def test_windowed_best(self, steps: list[tuple[float, float]], lowest: bool) -> None:
        """The best of the last seconds is what looking at all samples gives; the newest never expires."""
        best, now, samples = WindowedBest(5.0, lowest=lowest), 0.0, list[tuple[float, float]]()
        for pause, sample in steps:
            now += pause
            best.add(sample, now)
            samples.append((now, sample))
            recent = [value for at, value in samples if now - at <= 5.0] or [sample]
            self.assertEqual(best.best(now), min(recent) if lowest else max(recent))


class LossTests(SynchronousTestCase):
    @given(st.integers(0, 9), st.integers(0, 2**40))
    def test_share(self, missing: int, first: int) -> None:
        """So many of ten lost are that share, wherever the counts begin, and when they wrap."""
        loss = LossMeter()
        for step in range(50):
            loss.add(first + 10 * step, (2**32 - 100 + (10 - missing) * step) & 0xFFFFFFFF, step * 0.06)
        self.assertAlmostEqual(loss.rate(), missing / 10)

    def test_forgets(self) -> None:
        """Loss that is over is forgotten within a few seconds."""
        loss = LossMeter()
        for step in range(50):
            loss.add(10 * step, 5 * step, step * 0.1)
        for step in range(50, 110):
            loss.add(10 * step, 250 + 10 * (step - 50), step * 0.1)
        self.assertEqual(loss.rate(), 0.0)

    def test_since(self) -> None:
        """Of late it may be asked as well: what was lost from then on, and of how many."""
        loss = LossMeter()
        for step in range(20):
            loss.add(10 * step, 10 * step, step * 0.1)
        for step in range(20, 31):
            loss.add(10 * step, 200 + 4 * (step - 20), step * 0.1)
        self.assertEqual(loss.measured(2.5), (0.6, 50))
        self.assertEqual(loss.measured(3.0)[1], 0)

    def test_another_process(self) -> None:
        """A peer that counts from the start again is no loss."""
        loss = LossMeter()
        loss.add(1000, 1000, 0.0)
        loss.add(1100, 100, 1.0)
        self.assertEqual(loss.rate(), 0.0)


class RateTests(SynchronousTestCase):
    def _feed(self, meter: RateMeter, began: float, total: int, seconds: float = 1.0) -> list[float]:
        """1 MB/s in Acks every 10 ms on a clock that shows `began` seconds; the samples."""
        samples = []
        for step in range(int(seconds * 100)):
            at = round((began + step * 0.01) * 1e6) & 0xFFFFFFFF
            rate = meter.add(at, total + 10_000 * step, 0.05)
            samples += [] if rate is None else [rate]
        return samples

    def test_steady(self) -> None:
        """A steady stream is measured, also while the clock's 32 bits turn over."""
        samples = self._feed(RateMeter(), 4294.5, 0)
        self.assertGreater(len(samples), 10)
        for sample in samples:
            self.assertAlmostEqual(sample, 1e6, delta=1.0)

    def test_pause(self) -> None:
        """What spans a pause measures the pause: it is no sample, however long it was."""
        for pause in (1.0, 60.0, 1900.0, 2500.0, 4000.0, 100_000.0):
            meter = RateMeter()
            self._feed(meter, 5.0, 0)
            for sample in self._feed(meter, 6.0 + pause, 1_000_000):
                self.assertAlmostEqual(sample, 1e6, delta=1.0)

    def test_another_process(self) -> None:
        """A receiver with another clock and another count is measured again at once, and never below zero."""
        for clock in (0.0, 3.0, 1000.0, 2200.0, 4200.0):
            meter = RateMeter()
            self._feed(meter, 2000.0, 10**9)
            samples = self._feed(meter, clock, 0)
            self.assertGreater(len(samples), 10, clock)
            self.assertGreaterEqual(min(samples), 0.0)

    def test_late_ack(self) -> None:
        """An Ack that was overtaken is ignored."""
        meter = RateMeter()
        self._feed(meter, 5.0, 0)
        self.assertIsNone(meter.add(5_200_000, 200_000, 0.05))
        self.assertEqual(len(self._feed(meter, 6.0, 1_000_000)), 20)
