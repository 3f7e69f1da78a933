"""
What a server tells its clients to use: servers for names, domains that it knows, relays where machines meet.

It is in the Welcome, and in an Advice for a client that has said in its Hello that it understands, when it has changed.

Source: docs/protocol section 20.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar

from morphnet.wire.fields import Several, Text, Truth, is_address

_ADDRESS = re.compile(r"[0-9a-fA-F:.]{0,45}")
_DOMAIN = re.compile(r"(?!.{254})[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_HOST_PORT = re.compile(r"[A-Za-z0-9._:\[\]-]{1,260}")

Resolvers = Annotated[tuple[str, ...], Several(Text(_ADDRESS, is_address), 16)]
Domains = Annotated[tuple[str, ...], Several(Text(_DOMAIN), 32)]
Places = Annotated[tuple[str, ...], Several(Text(_HOST_PORT), 16)]


@dataclass(frozen=True, slots=True)
class Advice:
    """It takes the place of what was said before."""

    type: ClassVar[str] = "advice"
    dns: Resolvers = ()  # who may be asked for every name
    names: Annotated[bool, Truth()] = False  # the server's inner addresses answer for the network's own names
    domains: Domains = ()  # others that they know, which the world does not
    relays: Places = ()  # HOST or HOST:PORT
