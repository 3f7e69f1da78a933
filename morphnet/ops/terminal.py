"""
What another user's process may do to one's terminal: show text, in colours, move about on the screen. Nothing else.

A terminal obeys far more: it sets the clipboard and the window's title, and answers questions by typing into the shell
that is there afterwards. Source: ECMA-48; xterm's "Control Sequences"; CVE-2003-0063 and those after it.
"""

from __future__ import annotations

import codecs
import re

_SIMPLE = frozenset("\r\n\t\b\a")
_LONGEST = 64  # characters of one sequence
_STRINGS = frozenset("]PX^_")  # OSC, DCS, SOS, PM, APC: up to their end nothing is shown
_CURSOR = frozenset("78DEM")  # kept and restored, one line down or up
_CHARSETS = frozenset("()*+-./#% ")  # one more character belongs to it

# Cursor, erasing, inserting, deleting, a region to scroll, colours; insert mode; wrapping and the cursor shown. Not
# among them is what a terminal answers (c, n, t, x), repeats without end (b), or tells of the mouse (T).
_GOOD = re.compile(r"[0-9;]*[A-HJ-MPXZ@`adefmrsu]|4[hl]|\?(?:1|7|12|25)[hl]")
RESTORED = b"\x1b[0m\x1b[4l\x1b[?7h\x1b[?25h\x1b[r"  # after all that `TerminalFilter` lets through


class TerminalFilter:
    """Takes what a process says, in pieces cut anywhere, and gives what a terminal may have of it; UTF-8 both."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._take = self._text
        self._sequence = ""

    def feed(self, data: bytes) -> bytes:
        """The next piece."""
        return "".join(self._take(each) for each in self._decoder.decode(data)).encode()

    def _text(self, each: str) -> str:
        if each == "\x1b":
            self._take = self._escape
            return ""
        return each if each.isprintable() or each in _SIMPLE else "?"

    def _escape(self, each: str) -> str:
        self._sequence = ""
        if each == "[":
            self._take = self._control
        elif each in _STRINGS:
            self._take = self._string
        elif each in _CHARSETS:
            self._take = self._skip
        elif each != "\x1b":
            self._take = self._text
            return f"\x1b{each}" if each in _CURSOR else ""
        return ""

    def _control(self, each: str) -> str:
        if each == "\x1b":
            self._take = self._escape
            return ""
        if len(self._sequence) < _LONGEST:
            self._sequence += each
        if " " <= each < "@":
            return ""
        self._take = self._text
        return f"\x1b[{self._sequence}" if _GOOD.fullmatch(self._sequence) else ""

    def _string(self, each: str) -> str:
        if each in "\x07\x18\x1a\x9c":
            self._take = self._text
        elif each == "\x1b":
            self._take = self._string_end
        return ""

    def _string_end(self, each: str) -> str:
        """An escape ends a string; with a backslash that is all it does."""
        if each == "\\":
            self._take = self._text
            return ""
        return self._escape(each)

    def _skip(self, each: str) -> str:
        self._take = self._text
        return ""
