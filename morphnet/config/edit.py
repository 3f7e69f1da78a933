"""One setting changed in the text of a TOML file: every other line, comments and order stay as they are."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from morphnet.config.lines import KeyPath, places
from morphnet.errors import ConfigError


def with_value(text: str, path: KeyPath, value: str) -> str:
    """
    The text with another value of this setting.

    A line that has it is changed, else one that has it in a comment (as `file.render` writes defaults), else a line is
    added at the end of its table.

    :param text: TOML that `tomllib` accepts.
    :param value: in TOML.
    :raises ConfigError: the setting stands in a way that is not changed by this: an inline table.
    """
    fresh = _written(text, path, value)
    try:
        if _parsed(fresh) == _with(_parsed(text), path, tomllib.loads(f"x = {value}")["x"]):
            return fresh
    except tomllib.TOMLDecodeError:
        pass
    raise ConfigError(f"'{'.'.join(path)}' stands there in a way that only you can change: write it by hand")


def _parsed(text: str) -> dict[str, Any]:
    return tomllib.loads(text.replace("\r\n", "\n"))


def _with(document: dict[str, Any], path: KeyPath, value: Any) -> dict[str, Any]:
    inside = document
    for name in path[:-1]:
        inside = inside.setdefault(name, {})
    inside[path[-1]] = value
    return document


def _written(text: str, path: KeyPath, value: str) -> str:
    found = places(text)
    if path in found.values:
        begin, end = found.values[path]
        return text[:begin] + value + text[begin + len(text[begin:end].rstrip(" \t")) :]
    line, end_of_line = f"{path[-1]} = {value}", "\r\n" if "\r\n" in text else "\n"
    region = _table(text, path[:-1], found.tables)
    if region is None:
        gap = "" if not text or text.endswith("\n") else end_of_line
        return f"{text}{gap}{end_of_line}[{'.'.join(path[:-1])}]{end_of_line}{line}{end_of_line}"
    begin, end = region
    for comment in re.finditer(rf"^#[ \t]*{re.escape(path[-1])}[ \t]*=(.*?)\r?$", text[begin:end], re.MULTILINE):
        if _is_value(comment[1]):
            return text[: begin + comment.start()] + line + text[begin + comment.start() + len(comment[0].rstrip()) :]
    last = begin + len(text[begin:end].rstrip())
    if not last:
        return line + end_of_line + text
    return text[:last] + end_of_line + line + (text[last:] or end_of_line)


def _table(text: str, table: KeyPath, tables: list[tuple[KeyPath, int]]) -> tuple[int, int] | None:
    """Begin and end of what stands in a table, its heading among it; None when it has none."""
    starts = [((), 0), *tables]
    for (name, begin), (_, end) in zip(starts, [*starts[1:], ((), len(text))], strict=True):
        if name == table:
            return begin, end
    return None


def _is_value(text: str) -> bool:
    try:
        return len(tomllib.loads(f"x = {text}")) == 1
    except tomllib.TOMLDecodeError:
        return False
