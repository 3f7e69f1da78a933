"""What the data plane knows of a door: how good it is, and what to call it."""

from __future__ import annotations

from typing import NamedTuple

from morphnet.wire.shapes.shape import Shape

# Ranks: traffic goes by paths of the lowest one that works. A passage is a stream through a relay.
DIRECT, STREAM, PASSAGE, RELAYED = 0, 1, 2, 3


class Carrier(NamedTuple):
    """What carries the datagrams of a door."""

    rank: int = DIRECT  # RELAYED and above: relays, the nearest first
    name: str = ""  # of the uplink, or of the relay
    shape: Shape | None = None  # what its paths wear, whatever others do


PLAIN = Carrier()


def is_stream(rank: int) -> bool:
    """Whether TCP carries it from end to end, and mends what is lost. A relay drops what its lines do not take."""
    return DIRECT < rank < RELAYED
