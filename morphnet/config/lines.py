"""Where in a TOML file each key, value and table stands: what `tomllib` does not tell."""

from __future__ import annotations

import tomllib
from bisect import bisect_right
from typing import NamedTuple

KeyPath = tuple[str, ...]

_BLANK = " \t"
_SPACE = " \t\r\n"
_BARE_END = " \t\r\n.=]#"
_VALUE_END = ",]}#\r\n"


def key_lines(text: str) -> dict[KeyPath, int]:
    """
    The first line, counted from 1, of every key and table of a document; `("a", "b")` is b of table a.

    :param text: TOML that `tomllib` accepts; of anything else some lines may be missing or wrong.
    """
    return _Scanner(text).scan()


class Places(NamedTuple):
    """Where things stand in a document, counted in characters."""

    values: dict[KeyPath, tuple[int, int]]  # begin and end of the value of a key that stands in a line of its own
    tables: list[tuple[KeyPath, int]]  # each [table], in order, and where it begins


def places(text: str) -> Places:
    """:param text: TOML that `tomllib` accepts; of anything else some places may be missing or wrong."""
    scanner = _Scanner(text)
    scanner.scan()
    return Places(scanner.values, scanner.tables)


class _Scanner:
    """Walks over a document once; every step goes forward, so it ends."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0] + [i + 1 for i, letter in enumerate(text) if letter == "\n"]
        self._lines: dict[KeyPath, int] = {}
        self.values: dict[KeyPath, tuple[int, int]] = {}
        self.tables: list[tuple[KeyPath, int]] = []

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self._skip(_SPACE):
            if self._peek() == "[":
                begins = self._at
                self._at += 2 if self._text.startswith("[[", self._at) else 1
                table = self._key(())
                self.tables.append((table, begins))
                self._to_line_end()
            else:
                self._pair(table)
        return self._lines

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip(self, letters: str) -> bool:
        """Go past these letters and comments; whether something is left."""
        while letter := self._peek():
            if letter == "#" and "\n" in letters:
                self._to_line_end()
            elif letter in letters:
                self._at += 1
            else:
                return True
        return False

    def _to_line_end(self) -> None:
        end = self._text.find("\n", self._at)
        self._at = len(self._text) if end < 0 else end

    def _key(self, table: KeyPath) -> KeyPath:
        """A dotted key, each part of it noted with its line."""
        path = table
        while True:
            self._skip(_BLANK)
            line = bisect_right(self._starts, self._at)
            path = (*path, self._part())
            self._lines.setdefault(path, line)
            self._skip(_BLANK)
            if self._peek() != ".":
                return path
            self._at += 1

    def _part(self) -> str:
        start = self._at
        if self._peek() in ('"', "'"):
            self._string()
            try:
                name: str = tomllib.loads(f"name = {self._text[start : self._at]}")["name"]
            except tomllib.TOMLDecodeError:
                return ""
            return name
        while (letter := self._peek()) and letter not in _BARE_END:
            self._at += 1
        return self._text[start : self._at]

    def _pair(self, table: KeyPath) -> None:
        start = self._at
        path = self._key(table)
        self._skip(_BLANK)
        if self._peek() == "=":
            self._at += 1
        self._skip(_BLANK)
        begins = self._at
        self._value(path)
        self.values.setdefault(path, (begins, self._at))
        if self._at == start:  # nothing that TOML knows
            self._at += 1

    def _value(self, path: KeyPath) -> None:
        self._skip(_BLANK)
        letter = self._peek()
        if letter in ('"', "'") and letter:
            self._string()
        elif letter in ("[", "{"):
            self._group(path, "]" if letter == "[" else "}")
        else:
            while (letter := self._peek()) and letter not in _VALUE_END:
                self._at += 1

    def _group(self, path: KeyPath, close: str) -> None:
        """An array or an inline table, without recursion: a deep one must not end us."""
        open_groups = [(path, close)]
        self._at += 1
        while open_groups and self._skip(_SPACE + ","):
            inside, close = open_groups[-1]
            start = self._at
            if self._peek() == close:
                self._at += 1
                open_groups.pop()
                continue
            item = inside
            if close == "}":
                item = self._key(inside)
                self._skip(_BLANK + "=")
            if self._peek() in ("[", "{") and self._peek():
                open_groups.append((item, "]" if self._peek() == "[" else "}"))
                self._at += 1
            else:
                self._value(item)
            if self._at == start:
                self._at += 1

    def _string(self) -> None:
        quote = self._peek()
        long = self._text.startswith(quote * 3, self._at)
        end = quote * 3 if long else quote
        self._at += len(end)
        while (letter := self._peek()) and not self._text.startswith(end, self._at):
            if not long and letter == "\n":
                return
            self._at += 2 if letter == "\\" and quote == '"' else 1
        self._at += len(end)
        if long:  # up to two quotes more may belong to the string
            while self._peek() == quote:
                self._at += 1
