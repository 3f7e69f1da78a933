"""Messages of a home and its coordinator."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import BugError, MalformedFrame
from morphnet.wire.messages.home.calls import (
    CALLS,
    LONGEST_BODY,
    MOST_FALLBACKS,
    Accepted,
    Call,
    Declined,
    Fallbacks,
    Move,
    Moved,
    Registration,
    Reply,
    from_text,
    to_text,
)
from morphnet.wire.messages.home.parts import MOST_PARTS, PIECE
from tests.wire.messages.home.test_invitation import GOOD

ID = "0123456789abcdef" * 2


class CallTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """Each of them comes back as it was."""
        for said in (
            Registration("k" * 43, "s" * 86, 1, "t"),
            Accepted("01" * 8, 20, "192.0.2.1:5"),
            Declined("no"),
            Call(ID, "192.0.2.1", "e30"),
            Reply(ID, "e30"),
            Move(7, GOOD.line()),
            Moved(7, "full"),
            Fallbacks((GOOD.line(),) * MOST_FALLBACKS),
        ):
            self.assertEqual(CALLS.decode(CALLS.encode(said)), said)

    def test_longest(self) -> None:
        """The longest body fits into the parts of one message; a longer one is refused."""
        self.assertLess(len(CALLS.encode(Call(ID, "a" * 200, "x" * LONGEST_BODY))), MOST_PARTS * PIECE)
        self.assertRaises(BugError, CALLS.encode, Reply(ID, "x" * (LONGEST_BODY + 1)))
        self.assertRaises(BugError, CALLS.encode, Reply(ID, '"'))

    def test_text_of_bytes(self) -> None:
        """Bytes as text, and what is no such text."""
        self.assertEqual(from_text(to_text(b"\xff\xfe\x00")), b"\xff\xfe\x00")
        for wrong in ("a", "a+b/", "ä", "a=b"):
            self.assertRaises(ValueError, from_text, wrong)

    @given(st.binary(max_size=200))
    def test_garbage(self, garbage: bytes) -> None:
        """Nothing but MalformedFrame comes of it."""
        self.assertRaises(MalformedFrame, CALLS.decode, garbage)
