"""What doors and data plane hand each other: batches, never single packets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from morphnet.wire.shapes.shape import Shape

VNET_HDR = 10  # bytes of struct virtio_net_hdr in front of every packet read from or written to a TUN
MAX_SEGMENTS = 64  # datagrams in one UDP GSO send or GRO receive (kernel: UDP_MAX_SEGMENTS)
MAX_BATCH = 65507  # bytes in one such send

Spacing = tuple[int, int]
"""Bytes from one datagram to the next, and how many at the end of each but the last are no part of it."""


class Endpoint(NamedTuple):
    """Where datagrams come from or go to."""

    host: str  # numeric address of the peer
    port: int
    local: str = ""  # numeric address on our side that it was (or must be) exchanged with; "" lets the kernel choose


class Arrival(NamedTuple):
    """One receive: one or more datagrams of equal size, the last may be shorter. `gap` as in Spacing."""

    door: int  # which socket
    source: Endpoint
    data: memoryview  # valid until the callback returns
    size: int  # bytes from one datagram to the next
    late: float = 0.0  # seconds that it waited until now because this process did not run
    shape: Shape | None = None  # what it was dressed as; None where nothing was taken off
    taken: int = 0  # bytes of each that were
    gap: int = 0


@dataclass(frozen=True, slots=True)
class Train:
    """Datagrams of one arrival, one behind the other, that belong together."""

    arrival: Arrival
    at: int  # offset of the first
    spacing: Spacing
    count: int
    end: int  # offset behind the last
    mixed: bool = False  # of many flows: see wire/rows

    @property
    def bytes(self) -> int:
        """Of all of them, without what they wore."""
        return self.end - self.at - (self.count - 1) * self.spacing[1]

    @property
    def came(self) -> int:
        """The same, with it."""
        return self.bytes + self.count * self.arrival.taken


class Departure(NamedTuple):
    """One send: the same shape the other way."""

    door: int
    to: Endpoint
    data: memoryview | bytes | bytearray  # the door is done with it when `send` returns
    size: int
