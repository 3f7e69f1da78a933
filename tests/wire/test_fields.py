"""What a field of a control message may hold."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.fields import (
    Field,
    Optionally,
    Real,
    Several,
    Text,
    Whole,
    is_address,
    is_address4,
    is_address6,
    is_interface4,
    is_interface6,
)

_TEXT = Text(re.compile("[a-z]{1,3}"))
FIELDS: tuple[Field, ...] = (Whole(0, 10), Real(0, 10), _TEXT, Several(_TEXT, 2), Optionally(Real(0, 10)))


class FieldTests(SynchronousTestCase):
    """Each check."""

    @given(
        st.sampled_from(FIELDS),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()),
    )
    def test_reads_or_raises(self, check: Field, value: object) -> None:
        """A value is taken or refused with ValueError; what was taken is taken again."""
        try:
            taken = check.read(value)
        except ValueError:
            return
        self.assertEqual(check.read(taken), taken)

    def test_edges(self) -> None:
        """Both ends of a range belong to it; true is no number and NaN in no range."""
        self.assertEqual([Whole(0, 10).read(n) for n in (0, 10)], [0, 10])
        self.assertEqual(Real(0, 10).read(10), 10.0)
        self.assertEqual(Several(_TEXT, 2).read(["a", "b"]), ("a", "b"))
        self.assertIsNone(Optionally(Real(0, 10)).read(None))
        for check, value in (
            (Whole(0, 10), 11),
            (Whole(0, 10), True),
            (Real(0, 10), float("nan")),
            (Real(0, 10), False),
            (_TEXT, "abcd"),
            (_TEXT, "a\n"),
            (Several(_TEXT, 2), "ab"),
            (Several(_TEXT, 2), ["a", "b", "c"]),
            (Several(_TEXT, 2), ["a", 1]),
        ):
            self.assertRaises(ValueError, check.read, value)

    def test_addresses(self) -> None:
        """Of the right family, with a prefix where one belongs, without a zone."""
        self.assertTrue(is_address4("192.0.2.1") and is_address6("2001:db8::1") and is_address4(""))
        self.assertFalse(is_address4("2001:db8::1") or is_address6("192.0.2.1") or is_address4("192.0.2.1/24"))
        self.assertTrue(is_address("192.0.2.1") and is_address("::1"))
        self.assertFalse(is_address("") or is_address("gateway.example"))
        self.assertTrue(is_interface4("192.0.2.1/24") and is_interface6("2001:db8::1/64") and is_interface4(""))
        self.assertFalse(is_interface4("192.0.2.1") or is_interface4("192.0.2.1/33") or is_interface6("::1/129"))
