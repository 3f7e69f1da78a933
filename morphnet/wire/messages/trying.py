"""
Whether a UDP port of a client is open from outside: it asks its server to send one datagram there.

Source: docs/protocol section 21.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, ClassVar

from morphnet.wire.fields import Text, Truth, Whole

TOKEN = 16  # bytes, drawn for each question
LOWEST = 1024  # below it are the services of whoever has the same address outside
_LABEL = b"morphnet try-port"

Token = Annotated[str, Text(re.compile(r"[0-9a-f]{32}"))]


@dataclass(frozen=True, slots=True)
class TryPort:
    """The client asks for a datagram to that port of the address from which its link comes, and no other address."""

    type: ClassVar[str] = "try-port"
    port: Annotated[int, Whole(LOWEST, 65535)]
    token: Token  # hex


@dataclass(frozen=True, slots=True)
class Tried:
    """The server has sent it, or has not and nothing is to be concluded."""

    type: ClassVar[str] = "tried"
    token: Token
    sent: Annotated[bool, Truth()] = False


def datagram_of(token: str) -> bytes:
    """
    What is sent: 16 bytes that both ends know, and that the asker cannot choose.

    :param token: as in TryPort.
    """
    return hashlib.sha256(_LABEL + bytes.fromhex(token)).digest()[:TOKEN]
