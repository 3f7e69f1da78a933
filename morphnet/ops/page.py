"""
Lines of text, in pieces that have styles, and what makes them fit: 80 columns, or as many as a narrower terminal has.

Nothing is cut or wrapped in the middle of a word that would fit in a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

WIDTH = 80  # columns at most
LEAST = 40  # columns; a terminal that has fewer wraps as it likes
LABEL = 10  # columns of a label

Piece = tuple[str, str]  # text, name of a style in show.STYLES
Line = list[Piece]


def label(name: str) -> Piece:
    """In front of what it names."""
    return f"  {name:<8}", "dim"


def labelled(name: str, text: str, style: str, width: int = WIDTH) -> list[Line]:
    """A label and its text, wrapped below itself; none without a text."""
    return _wrapped([label(name), (text, style)], width) if text else []


def shortened(text: str, width: int) -> str:
    """At most so long, with a sign that there was more."""
    return text if len(text) <= width else text[: width - 1] + "…"


def fit(lines: Iterable[Line], width: int = WIDTH, further: int = 0) -> list[Line]:
    """
    Those that are too long are wrapped, where there are two spaces if possible; what follows is indented.

    :param further: columns by which it is indented besides.
    """
    return [short for line in lines for short in _wrapped(line, width, further)]


def _wrapped(line: Line, width: int, further: int = 0) -> list[Line]:
    text, styles = "".join(text for text, _ in line), [style for text, style in line for _ in text]
    lead = len(text) - len(text.lstrip())
    indent = (LABEL if line and line[0][1] == "dim" and len(line[0][0]) == LABEL else lead + 2) + further
    found, at, end = list[Line](), 0, len(text.rstrip())
    while end - at > (room := width - (indent if found else 0)):
        start = at + (0 if found else indent - 1)
        cut = text.rfind("  ", start, at + room + 2)
        if cut < at + room // 2:
            cut = text.rfind(" ", start, at + room + 1)
        cut = cut if cut > start else at + room
        found.append(_pieces(text[at:cut].rstrip(), styles[at:], indent if found else 0))
        at = cut + len(text[cut:]) - len(text[cut:].lstrip())
    return [*found, _pieces(text[at:], styles[at:], indent)] if found else [line]


def _pieces(text: str, styles: list[str], indent: int) -> Line:
    each = groupby(zip(text, styles, strict=False), lambda both: both[1])
    cut: Line = [("".join(letter for letter, _ in group), style) for style, group in each]
    return [(" " * indent, ""), *cut] if indent else cut
