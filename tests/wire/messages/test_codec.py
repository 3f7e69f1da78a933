"""Messages as JSON: what every protocol that uses them may rely on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, ClassVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import BugError, MalformedFrame
from morphnet.wire.fields import Whole
from morphnet.wire.messages.codec import Catalogue, phrase


@dataclass(frozen=True, slots=True)
class Tell:
    """A message with a field that must be there and one that need not."""

    type: ClassVar[str] = "tell"
    much: Annotated[int, Whole(0, 9)]
    more: Annotated[int, Whole(0, 9)] = 3


@dataclass(frozen=True, slots=True)
class Hush:
    """A message without fields."""

    type: ClassVar[str] = "hush"


MESSAGES = Catalogue[Tell | Hush]((Tell, Hush), 64)
_calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


class CatalogueTests(SynchronousTestCase):
    def test_vectors(self) -> None:
        """What a message looks like on the wire."""
        self.assertEqual(MESSAGES.encode(Tell(1)), b'{"type":"tell","much":1,"more":3}')
        self.assertEqual(MESSAGES.encode(Hush()), b'{"type":"hush"}')
        self.assertEqual(MESSAGES.decode(b'{"much":1,"type":"tell"}'), Tell(1))

    @given(st.builds(Tell, st.integers(0, 9), st.integers(0, 9)))
    def test_round_trip(self, message: Tell) -> None:
        """A message comes out as it went in."""
        self.assertEqual(MESSAGES.decode(MESSAGES.encode(message)), message)

    def test_newer_end(self) -> None:
        """Keys that nobody knows are ignored."""
        self.assertEqual(MESSAGES.decode(b'{"type":"tell","much":1,"colour":"red"}'), Tell(1))

    @_calm
    @given(st.binary(max_size=70) | _JSON.map(json.dumps).map(str.encode))
    def test_junk(self, junk: bytes) -> None:
        """Arbitrary bytes, and arbitrary JSON, are a message or a MalformedFrame."""
        try:
            MESSAGES.decode(junk)
        except MalformedFrame:
            pass

    @_calm
    @given(st.sampled_from(["type", "much", "more"]), _JSON)
    def test_wrong_values(self, name: str, value: object) -> None:
        """Any value in any field is taken or a MalformedFrame."""
        body = json.dumps({"type": "tell", "much": 1, name: value}).encode()
        try:
            MESSAGES.decode(body)
        except MalformedFrame:
            pass

    def test_refused(self) -> None:
        """No JSON, no object, no type, a field missing or out of range, a number that is none, a bomb: malformed."""
        for wrong, why in (
            (b"", "message that is not JSON"),
            (b"\xff", "message that is not JSON"),
            (b"[" * 64, "message that is not JSON"),
            (b'{"type":"tell","much":NaN}', "message that is not JSON"),
            (b"[]", "message that is not an object"),
            (b"{}", "message of unknown type"),
            (b'{"type":["tell"]}', "message of unknown type"),
            (b'{"type":"shout"}', "message of unknown type"),
            (b'{"type":"tell"}', "tell: without much"),
            (b'{"type":"tell","much":10}', "tell: much: not in 0 .. 9"),
            (b'{"type":"tell","much":true}', "tell: much: not a whole number"),
            (b'{"type":"tell","much":1}'.ljust(65), "message of 65 bytes"),
        ):
            with self.assertRaises(MalformedFrame) as caught:
                MESSAGES.decode(wrong)
            self.assertEqual(str(caught.exception), why)

    def test_bomb_of_brackets(self) -> None:
        """However deep the brackets, the answer is MalformedFrame."""
        self.assertRaises(MalformedFrame, Catalogue[Hush]((Hush,), 1 << 20).decode, b"[" * (1 << 20))

    def test_ours(self) -> None:
        """What we say wrongly, or at too great length, is a bug of ours."""
        self.assertRaises(BugError, MESSAGES.encode, Tell(10))
        self.assertRaises(BugError, Catalogue[Hush]((Hush,), 10).encode, Hush())

    @given(st.text(max_size=600))
    def test_phrase(self, text: str) -> None:
        """A phrase is printable ASCII and not long, whatever it was made of."""
        self.assertTrue(phrase(text).isascii() and len(phrase(text)) <= 500)
        self.assertTrue(all(" " <= letter <= "~" for letter in phrase(text)))
