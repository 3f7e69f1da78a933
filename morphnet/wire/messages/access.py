"""
Whose inner addresses are, as a server tells its clients: those of the machines that the network's policy names.

A client judges by it what comes from others. Without a policy nobody is named, and a client that has not said that it
understands is told nothing.

Source: docs/protocol section 19.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar

from morphnet.wire.fields import Several, Text, Truth, is_address

MOST_HOLDERS = 128  # of one message
MOST_MESSAGES = 64  # for all that a policy names


def _is_holder(text: str) -> bool:
    return is_address(text.partition(" ")[0])


_HOLDER = Text(re.compile(r"[0-9a-f:.]{2,45} [A-Za-z0-9][A-Za-z0-9._-]{0,252}"), _is_holder)


@dataclass(frozen=True, slots=True)
class Holders:
    """Addresses and names, each "ADDRESS NAME"."""

    type: ClassVar[str] = "holders"
    holders: Annotated[tuple[str, ...], Several(_HOLDER, MOST_HOLDERS)] = ()
    more: Annotated[bool, Truth()] = False  # besides those that were told just before; else in their place
