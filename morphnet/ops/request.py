"""What may be asked over the feed: one JSON object in one line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from morphnet.errors import ConfigError
from morphnet.ops.verb import Answer, Field, Verb


def _looks(name: str, help: str, *fields: Field) -> Verb:
    return Verb(name, help, fields, lambda: None)


# What every process answers, whatever its verbs are.
LOOKS = (
    _looks("status", "The whole node, now."),
    _looks("watch", "The same, again and again.", Field("every", 1.0, least=0.1, most=3600)),  # seconds
    _looks(
        "happenings",
        "What happened since one that is known by its number; with `follow` also what happens from now on.",
        Field("after", 0, least=0, most=2**53),
        Field("follow", False),
    ),
)


@dataclass(frozen=True, slots=True)
class Request:
    """One line from a client of the feed."""

    verb: Verb
    said: dict[str, Any]  # every field of the verb

    @property
    def streams(self) -> bool:
        """Whether it is answered with many lines, or later."""
        return self.verb.answer is not Answer.SENTENCE or self.verb.name == "watch" or self.said.get("follow", False)


def parse_request(line: bytes, role: str, verbs: Sequence[Verb]) -> Request:
    """
    One request of the feed.

    :param verbs: that the process offers, which plays that role.
    :raises ConfigError: the line is not a request; the message says what is wrong with it.
    """
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        raise ConfigError("a request is one JSON object in one line") from None
    if not isinstance(said, dict):
        raise ConfigError("a request is one JSON object in one line")
    known = {verb.name: verb for verb in (*LOOKS, *verbs)}
    ask = said.pop("ask", None)
    if not isinstance(ask, str) or ask not in known:
        elsewhere = f"a {role} has no {str(ask)[:40]!r}; `help` in its manhole tells what it has"
        raise ConfigError(_unknown("ask", ask, tuple(known), elsewhere))
    verb, names = known[ask], tuple(field.name for field in known[ask].fields)
    for name in said:
        if name not in names:
            raise ConfigError(_unknown(f"{ask} has", name, names))
    return Request(verb, verb.filled(said))


def _unknown(what: str, said: object, known: tuple[str, ...], otherwise: str = "") -> str:
    """:param otherwise: what to say when nothing known is like it."""
    import difflib  # only for who has made a mistake

    near = difflib.get_close_matches(said, known, 1) if isinstance(said, str) else []
    if said is not None and not near and otherwise:
        return otherwise
    choice = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known) or 'none'}"
    return f"{what} {str(said)[:40]!r} is unknown; {choice}" if said is not None else f"{what!r} is missing; {choice}"
