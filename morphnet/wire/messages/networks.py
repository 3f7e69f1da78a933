"""
What a client and its server say of networks that are behind clients, on the control link.

A client says in its Hello which networks it offers, and that it understands this; later, when that has changed, in
Advertise. The server answers with Networks, and again whenever anything of it has changed. It sends none to a client
that has not said so: a node of before would take it for nonsense.

Source: docs/protocol section 18.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar

from morphnet.wire.fields import Several, Text, Truth, is_network

MOST_OFFERED = 16  # networks of one client
MOST_REACHED = 256  # networks of all others

_PREFIX = Text(re.compile(r"[0-9a-fA-F:./]{1,64}"), is_network)
Offered = Annotated[tuple[str, ...], Several(_PREFIX, MOST_OFFERED)]
Reached = Annotated[tuple[str, ...], Several(_PREFIX, MOST_REACHED)]
Sentences = Annotated[tuple[str, ...], Several(Text(re.compile(r"[ -~]{0,500}")), MOST_OFFERED)]


@dataclass(frozen=True, slots=True)
class Advertise:
    """The client offers these networks from now on, in the place of those of before."""

    type: ClassVar[str] = "advertise"
    networks: Offered = ()


@dataclass(frozen=True, slots=True)
class Networks:
    """How it stands with the networks of this client, and which are behind others."""

    type: ClassVar[str] = "networks"
    carried: Offered = ()  # the client's own that are in use now
    refused: Sentences = ()  # one sentence for each that is not
    reach: Reached = ()  # behind other clients
    forwarded: Annotated[bool, Truth()] = False  # ports of the server lead to this client


Reaching = Advertise | Networks
