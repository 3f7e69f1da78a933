"""
What coordinators behind one name tell each other through Redis, as JSON: calls for homes that are registered with
another one; that a home has
moved, or is not wanted any more.

Source: docs/protocol section 15.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar

from morphnet.wire.fields import Text, Whole
from morphnet.wire.messages.codec import Catalogue
from morphnet.wire.messages.home.calls import LONGEST_BODY

_HOME = Text(re.compile(r"[A-Za-z0-9_-]{43}"))
_CALL = Text(re.compile(r"[0-9a-f]{32}"))
_NAME = Text(re.compile(r"[0-9a-f]{16}"))  # of a coordinator, since its start
_PRINTABLE = Text(re.compile(r"[ -~]{0,200}"))
_BODY = Text(re.compile(rf"[A-Za-z0-9_-]{{0,{LONGEST_BODY}}}"))


@dataclass(frozen=True, slots=True)
class Passed:
    """A browser asks a home that is with you."""

    type: ClassVar[str] = "passed"
    home: Annotated[str, _HOME]
    call: Annotated[str, _CALL]
    caller: Annotated[str, _PRINTABLE]  # address of the browser
    body: Annotated[str, _BODY]
    sender: Annotated[str, _NAME]  # who wants the answer


@dataclass(frozen=True, slots=True)
class Answered:
    """What the home says to that."""

    type: ClassVar[str] = "answered"
    home: Annotated[str, _HOME]
    call: Annotated[str, _CALL]
    body: Annotated[str, _BODY]


@dataclass(frozen=True, slots=True)
class Moved:
    """A home that was with you is with me."""

    type: ClassVar[str] = "moved"
    home: Annotated[str, _HOME]
    at: Annotated[int, Whole(0, 1 << 53)]  # of its registration here


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A home that may not register any more."""

    type: ClassVar[str] = "forgotten"
    home: Annotated[str, _HOME]


Told = Passed | Answered | Moved | Forgotten
NEIGHBOURS: Catalogue[Told] = Catalogue([Passed, Answered, Moved, Forgotten], 64 << 10)
