"""What the data plane knows of a door: how good it is, and what to call it."""

from __future__ import annotations

from typing import NamedTuple

from morphnet.wire.shapes.shape import Shape

DIRECT, STREAM, RELAYED = 0, 1, 2  # ranks: traffic goes by paths of the lowest one that works


class Carrier(NamedTuple):
    """What carries the datagrams of a door."""

    rank: int = DIRECT  # RELAYED and above: relays, the nearest first
    name: str = ""  # of the uplink, or of the relay
    shape: Shape | None = None  # what its paths wear, whatever others do


PLAIN = Carrier()
