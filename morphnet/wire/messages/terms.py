"""
What a client tells its server of its paths: on which terms the server may send by each.

Source: docs/protocol section 7.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

from morphnet.wire.fields import Several, Text

MOST = 64  # paths


class Told(NamedTuple):
    """The terms of one path."""

    path: int  # 0 to 255
    level: int  # 0 to 999, the lowest that works is used
    metered: bool
    rate: int  # bytes a second that the server may send by it, IP headers included; 0: no bound

    @property
    def text(self) -> str:
        """As it is sent: "PATH LEVEL METERED RATE"."""
        return f"{self.path} {self.level} {self.metered:d} {self.rate}"


def told(text: str) -> Told:
    """One that was read: its form has been checked."""
    path, level, metered, rate = map(int, text.split(" "))
    return Told(path, level, bool(metered), rate)


_PATH = r"(?:[0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])"
_TOLD = re.compile(rf"{_PATH} [0-9]{{1,3}} [01] (?:0|[1-9][0-9]{{0,11}})")


@dataclass(frozen=True, slots=True)
class PathTerms:
    """Of all paths that the client has: it takes the place of what was told before."""

    type: ClassVar[str] = "path-terms"
    paths: Annotated[tuple[str, ...], Several(Text(_TOLD), MOST)]
