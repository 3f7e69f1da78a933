"""
What every two ends say to each other of revoked certificates, on the control link and on the line to a relay.

Each end tells in its first message the number of the last list that it has. Whoever has a later one tells it; the other
asks for those parts that it lacks, a few at a time. Who tells no number is a node of before, and is told lists alone.

Source: docs/protocol section 14.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar

from morphnet.wire.fields import PEM, Several, Text, Whole

BEFORE = -1  # the number of who does not tell one
NO_LIST = 0  # of who has none yet
MOST_WANTED = 3  # parts that are asked for at a time: what answers fit into what may wait unread on a link

PartText = Annotated[str, Text(re.compile(r"[0-9a-f \n]{1,61440}"))]
ListNumber = Annotated[int, Whole(BEFORE, (1 << 63) - 1)]


@dataclass(frozen=True, slots=True)
class Revocations:
    """The network's list of revoked certificates, signed by its CA."""

    type: ClassVar[str] = "revocations"
    crl: Annotated[str, PEM]


@dataclass(frozen=True, slots=True)
class PartsWanted:
    """Those parts of the list that the other end has told last."""

    type: ClassVar[str] = "revocations-wanted"
    parts: Annotated[tuple[str, ...], Several(Text(re.compile(r"[0-9a-f]{64}")), MOST_WANTED)]  # SHA-256, hex


@dataclass(frozen=True, slots=True)
class RevokedPart:
    """One part: lines of a serial (hex) and the Unix seconds when it was revoked."""

    type: ClassVar[str] = "revocations-part"
    text: PartText


Listing = Revocations | PartsWanted | RevokedPart
