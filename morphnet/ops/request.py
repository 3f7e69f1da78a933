"""What may be asked over the feed: one JSON object in one line."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, fields
from typing import Any

from morphnet.errors import ConfigError

STREAMS = frozenset({"watch", "trace", "ping", "netcheck"})  # which take their time; and "happenings" with "follow"
FIELDS: dict[str, tuple[str, ...]] = {
    "status": (),
    "watch": ("every",),
    "happenings": ("after", "follow"),
    "trace": ("session", "seconds"),
    "ping": ("name", "seconds"),
    "netcheck": (),
    "reload": (),
    "scheduler": ("name", "session"),
    "cut": ("path", "session"),
    "restore": ("path", "session"),
    "rekey": ("session",),
    "drop": ("session",),
}
_NEEDED: dict[str, tuple[str, ...]] = {
    "scheduler": ("name",),
    "cut": ("path",),
    "restore": ("path",),
    "drop": ("session",),
    "ping": ("name",),
}


@dataclass(frozen=True, slots=True)
class Request:
    """One line from a client of the feed."""

    ask: str
    every: float = 1.0  # seconds between two lines, 0.1 .. 3600
    after: int = 0  # number of the last happening already known
    follow: bool = False  # go on with what happens from now on
    name: str = ""  # of a scheduler, or of a peer
    session: str = ""  # the peer's certificate name
    path: int = 0  # 0 .. 255
    seconds: float = 10.0  # of a trace, or to wait for an answer, 0.1 .. 3600

    @property
    def streams(self) -> bool:
        """Whether it is answered with many lines, or later."""
        return self.ask in STREAMS or (self.ask == "happenings" and self.follow)


_RANGES: dict[str, tuple[float, float]] = {
    "every": (0.1, 3600),
    "seconds": (0.1, 3600),
    "after": (0, 2**53),
    "path": (0, 255),
}
_TYPES: dict[str, type] = {each.name: type(each.default) for each in fields(Request) if each.name != "ask"}
_NAMES = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


def parse_request(line: bytes) -> Request:
    """
    One request of the feed.

    :raises ConfigError: the line is not a request; the message says what is wrong with it.
    """
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        raise ConfigError("a request is one JSON object in one line") from None
    if not isinstance(said, dict):
        raise ConfigError("a request is one JSON object in one line")
    ask = said.pop("ask", None)
    if not isinstance(ask, str) or ask not in FIELDS:
        raise ConfigError(_unknown("ask", ask, tuple(FIELDS)))
    for name, value in said.items():
        if name not in FIELDS[ask]:
            raise ConfigError(_unknown(f"{ask} has", name, FIELDS[ask]))
        said[name] = _checked(name, value)
    for name in _NEEDED.get(ask, ()):
        if name not in said:
            raise ConfigError(f"{ask} needs {name!r}")
    return Request(ask=ask, **said)


def _unknown(what: str, said: object, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(said, known, 1) if isinstance(said, str) else []
    choice = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known) or 'none'}"
    return f"{what} {str(said)[:40]!r} is unknown; {choice}" if said is not None else f"{what!r} is missing; {choice}"


def _checked(name: str, value: Any) -> Any:
    wanted = _TYPES[name]
    fits = isinstance(value, (int, float)) if wanted is float else isinstance(value, wanted)
    if not fits or (isinstance(value, bool) and wanted is not bool):
        raise ConfigError(f"{name!r} must be {_NAMES[wanted]}")
    if name in _RANGES:
        low, high = _RANGES[name]
        if not low <= value <= high:  # NaN is refused here too
            raise ConfigError(f"{name!r} must be between {low:g} and {high:g}")
    return value
