"""Numbers of which only the low bits travel."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.header import unwrap


class UnwrapTests(SynchronousTestCase):
    @given(st.integers(0, 2**60), st.sampled_from([8, 24, 32]), st.data())
    def test_nearest(self, near: int, bits: int, data: st.DataObject) -> None:
        """A number less than half a turn away is found again from its low bits."""
        number = near + data.draw(st.integers(-(2 ** (bits - 1)) + 1, 2 ** (bits - 1) - 1))
        if number >= 0:
            self.assertEqual(unwrap(number & ((1 << bits) - 1), near, bits), number)

    @given(st.sampled_from([8, 24, 32, 64]), st.integers(0, 2**40), st.data())
    def test_never_negative(self, bits: int, near: int, data: st.DataObject) -> None:
        """There are no numbers below zero, however far the value is."""
        self.assertGreaterEqual(unwrap(data.draw(st.integers(0, (1 << bits) - 1)), near, bits), 0)
