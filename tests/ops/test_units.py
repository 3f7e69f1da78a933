"""Quantities as a person reads them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.units import amount, delay, part, span, speed


class UnitsTests(SynchronousTestCase):
    def test_examples(self) -> None:
        """Three digits, and two units of a duration."""
        self.assertEqual([amount(n) for n in (0, 999, 1000, 1 << 20, 63_100_000)],
                         ["0 B", "999 B", "0.98 KiB", "1.00 MiB", "60.2 MiB"])  # fmt: skip
        self.assertEqual([speed(n) for n in (0, 12, 2_275_000, 156e6)], ["-", "96 bit/s", "18.2 Mbit/s", "1.25 Gbit/s"])
        self.assertEqual([delay(n) for n in (None, 0.00042, 0.0231, 1.234)], ["-", "0.42 ms", "23.1 ms", "1.23 s"])
        self.assertEqual([part(n) for n in (0, 0.004, 0.37, 0.9996, 1)], ["0%", "0.4%", "37%", "100%", "100%"])
        self.assertEqual([span(n) for n in (-1, 59.9, 60, 3725, 86400, 190_000)],
                         ["0s", "59s", "1m", "1h 2m", "1d", "2d 4h"])  # fmt: skip

    @given(st.floats(0, 1e15), st.floats(0, 1), st.floats(0, 1e5), st.floats(0, 3e8))
    def test_widths(self, octets: float, share: float, seconds: float, age: float) -> None:
        """Nothing outgrows its column."""
        self.assertLessEqual(len(amount(octets)), 9)
        self.assertLessEqual(len(speed(octets)), 11)
        self.assertLessEqual(len(part(share)), 5)
        self.assertLessEqual(len(delay(min(seconds, 9999))), 7)
        self.assertLessEqual(len(span(age)), 7)
