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
        values: dict[str, object] = {"type": message.type}
        for name, check in layout.fields.items():
            try:
                values[name] = check.read(getattr(message, name))
            except ValueError as trouble:
                raise BugError(f"{message.type}: {name}: {trouble}") from None
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
        if missing := layout.required - read.keys():
            raise MalformedFrame(f"{kind} without {min(missing)}")
        values: dict[str, object] = {}
        for name, check in layout.fields.items():
            if name in read:
                try:
                    values[name] = check.read(read[name])
                except ValueError as trouble:
                    raise MalformedFrame(f"{kind}: {name}: {trouble}") from None
        return layout.build(**values)
