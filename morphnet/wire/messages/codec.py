"""
Messages as JSON objects in UTF-8 whose "type" names them: the codec that control link, relay and peers share.

Every field is checked when it is read and when it is written; keys that nobody knows are ignored, so that either end
may be the newer one.

Source: docs/protocol section 6.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Generic, NoReturn, Protocol, TypeVar, get_type_hints

from morphnet.errors import BugError, MalformedFrame
from morphnet.wire.fields import Field


class Message(Protocol):
    """A frozen dataclass whose fields are annotated with how they are checked."""

    type: ClassVar[str]


M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class _Layout(Generic[M]):
    """How one class is read and written."""

    build: type[M]
    fields: dict[str, Field]
    required: frozenset[str]

    def write(self, message: M) -> dict[str, object]:
        """
        Its fields as JSON has them.

        :raises ValueError: one is out of its range.
        """
        values: dict[str, object] = {}
        for name, check in self.fields.items():
            try:
                values[name] = check.read(getattr(message, name))
            except ValueError as trouble:
                raise ValueError(f"{name}: {trouble}") from None
        return values

    def read(self, read: dict[str, object]) -> M:
        """
        The message that has these fields.

        :raises ValueError: one is missing, of a wrong type or out of its range.
        """
        if missing := self.required - read.keys():
            raise ValueError(f"without {min(missing)}")
        values: dict[str, object] = {}
        for name, check in self.fields.items():
            if name in read:
                try:
                    values[name] = check.read(read[name])
                except ValueError as trouble:
                    raise ValueError(f"{name}: {trouble}") from None
        return self.build(**values)


def _layout(build: type[M]) -> _Layout[M]:
    hints = get_type_hints(build, include_extras=True)
    fields: dict[str, Field] = {}
    required: set[str] = set()
    for each in dataclasses.fields(build):  # type: ignore[arg-type]  # a Message is one
        (fields[each.name],) = hints[each.name].__metadata__
        if each.default is dataclasses.MISSING:
            required.add(each.name)
    return _Layout(build, fields, frozenset(required))


def phrase(text: str) -> str:
    """`text` as a reason may travel: printable ASCII, at most 500 characters."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text[:500])


def _not_a_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


_READER = json.JSONDecoder(parse_constant=_not_a_number)  # made once: `json.loads` and `dumps` would each time
_WRITER = json.JSONEncoder(separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Entries:
    """A list of at most `most` objects, each with the fields of `build`; a "type" in them means nothing."""

    build: type[Message]
    most: int

    def read(self, value: object) -> tuple[object, ...]:
        """Objects as we keep them; of those, as JSON has them. Raises ValueError."""
        if not isinstance(value, list | tuple):
            raise ValueError("not a list")
        if len(value) > self.most:
            raise ValueError(f"more than {self.most} in the list")
        layout = _layout_of(self.build)
        return tuple(layout.write(one) if isinstance(one, self.build) else _one_of(layout, one) for one in value)


_layout_of = cache(_layout)


def _one_of(layout: _Layout[Message], value: object) -> Message:
    """:raises ValueError: it is none."""
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return layout.read(value)


class Catalogue(Generic[M]):
    """
    The messages of one protocol.

    :param classes: all of them.
    :param limit: bytes of one message at the most.
    """

    def __init__(self, classes: Sequence[type[M]], limit: int) -> None:
        self.classes = tuple(classes)
        self._layouts = {build.type: _layout(build) for build in classes}
        self._limit = limit

    def encode(self, message: M) -> bytes:
        """
        The message as JSON.

        :raises BugError: a field is out of its range, or the message too long.
        """
        layout = self._layouts[message.type]
        try:
            values = {"type": message.type, **layout.write(message)}
        except ValueError as trouble:
            raise BugError(f"{message.type}: {trouble}") from None
        body = _WRITER.encode(values).encode("ascii")
        if len(body) > self._limit:
            raise BugError(f"{message.type} of {len(body)} bytes")
        return body

    def decode(self, body: bytes) -> M:
        """
        One message.

        :raises MalformedFrame: it is none, of an unknown type, or a field is missing, of a wrong type or out of range.
        """
        if len(body) > self._limit:
            raise MalformedFrame(f"message of {len(body)} bytes")
        try:
            read: object = _READER.decode(body.decode("utf-8"))
        except (ValueError, RecursionError):  # the second: a bomb of brackets
            raise MalformedFrame("message that is not JSON") from None
        if not isinstance(read, dict):
            raise MalformedFrame("message that is not an object")
        kind = read.get("type")
        layout = self._layouts.get(kind) if isinstance(kind, str) else None
        if layout is None:
            raise MalformedFrame("message of unknown type")
        try:
            return layout.read(read)
        except ValueError as trouble:
            raise MalformedFrame(f"{kind}: {trouble}") from None
