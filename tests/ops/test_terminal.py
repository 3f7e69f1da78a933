"""What reaches an operator's terminal."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.terminal import TerminalFilter

GOOD = (
    "\x1b[1;36mlaptop\x1b[0m  up 2h\r\n",
    "\x1b[2K\r>>> \x1b[3D\x1b[4l\x1b[4h\x1b[1@x\x1b[P\x1b[10;20H\x1b[J\x1b[?25l\x1b[?25h\x1b7\x1b8\x1bM",
    "Zürich …\t\a\b",
)
EVIL = (
    ("\x1b]52;c;cm0gLXJmIC8K\x07", "the clipboard"),
    ("\x1b]0;title\x1b\\", "the title"),
    ("\x1b]8;;http://evil.example\x1b\\", "a link"),
    ("\x1bP$q\"p\x1b\\", "a question about settings"),
    ("\x1b_G...\x1b\\", "an application's command"),
    ("\x1b[c", "what it is"),
    ("\x1b[6n", "where the cursor is"),
    ("\x1b[21t", "its title, typed"),
    ("\x1b[?2004h", "bracketed paste"),
    ("\x1b[?1000h", "the mouse"),
    ("\x1b[>4;2m", "what keys send"),
    ("\x1b[99999999b", "repeating"),
    ("\x1bc", "a reset"),
    ("\x1b(0", "another alphabet"),
    ("\x1b[" + "9" * 100 + "m", "a sequence without end"),
)  # fmt: skip
WHOLE = re.compile(r"\x1b(?:\[(?:[0-9;]*[A-Za-z@`]|4[hl]|\?[0-9]+[hl])|[78DEM])")


def shown(text: str, cut: int = 1 << 20) -> str:
    """What is let through of a text that comes in pieces."""
    clean, data = TerminalFilter(), text.encode(errors="surrogatepass")
    return b"".join(clean.feed(data[at : at + cut]) for at in range(0, len(data), cut)).decode()


class FilterTests(SynchronousTestCase):
    def test_good(self) -> None:
        """Text, colours and what line editing needs are let through, wherever they are cut."""
        for text in GOOD:
            for cut in (1, 2, 3, 1000):
                self.assertEqual(shown(text, cut), text)

    def test_evil(self) -> None:
        """What sets, asks or keeps something in the terminal is not, and what follows it is."""
        for sequence, what in EVIL:
            for cut in (1, 1000):
                self.assertEqual(shown(f"a{sequence}b", cut), "ab", what)
        self.assertEqual(shown("a\x9b31mb\x00\x0e\x85"), "a?31mb???")

    def test_not_hidden(self) -> None:
        """A sequence that begins within another is seen."""
        self.assertEqual(shown("\x1b[3\x1b]0;x\x07y\x1b\x1b]0;x\x07z\x1b]a\x1b[6nq"), "yzq")

    @given(
        st.text(st.sampled_from("\x1b[]P_?0;4mhlcnt\x07\\7\x9b\x9d") | st.characters(), max_size=40), st.integers(1, 9)
    )
    def test_any(self, text: str, cut: int) -> None:
        """Whatever comes: besides whole sequences of those that are allowed, there is only what is printable."""
        left = WHOLE.sub("", shown(text, cut))
        self.assertEqual([each for each in left if not (each.isprintable() or each in "\r\n\t\b\a")], [])
