"""Lines that fit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.page import LABEL, Line, fit, label, labelled, shortened

PIECES = st.lists(st.tuples(st.text("ab .:", max_size=30), st.sampled_from(["", "dim", "good"])), max_size=6)


def text_of(line: Line) -> str:
    return "".join(text for text, _ in line)


class PageTests(SynchronousTestCase):
    def test_labelled(self) -> None:
        """A text is wrapped below itself, where there are two spaces if possible; without a text there is no line."""
        lines = labelled("direct", "192.0.2.1:1 -> 198.51.100.6:41193  rtt 42.1 ms", "good", 50)
        self.assertEqual(
            [text_of(line) for line in lines],
            ["  direct  192.0.2.1:1 -> 198.51.100.6:41193", " " * LABEL + "rtt 42.1 ms"],
        )
        self.assertEqual([line[-1][1] for line in lines], ["good", "good"])
        self.assertEqual(labelled("direct", "", ""), [])

    def test_long_word(self) -> None:
        """A word that fits in no line is cut, behind its label."""
        lines = [text_of(line) for line in labelled("way", "x" * 75, "", 40)]
        self.assertEqual(lines, ["  way     " + "x" * 30, " " * LABEL + "x" * 30, " " * LABEL + "x" * 15])

    def test_short(self) -> None:
        """What fits is left as it is."""
        line = [label("way"), ("none", "warn")]
        self.assertEqual(fit([line, []], 14), [line, []])
        self.assertEqual((shortened("abcd", 4), shortened("abcde", 4)), ("abcd", "abc…"))

    @given(PIECES, st.integers(20, 60))
    def test_all_there(self, line: Line, width: int) -> None:
        """Every letter is there, in its style and order, and no line is too long."""
        lines = fit([line], width)
        self.assertLessEqual(max(len(text_of(each).rstrip()) for each in lines), width)
        letters = [(letter, style) for text, style in line for letter in text if letter != " "]
        found = [(letter, style) for each in lines for text, style in each for letter in text if letter != " "]
        self.assertEqual(found, letters)
