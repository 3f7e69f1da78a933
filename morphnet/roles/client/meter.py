"""What each uplink carries for us: bytes with the headers of IP, both ways, whatever became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from morphnet.tunnel.path import IPV4, IPV6, Path

TCP = 90  # bytes of headers that a datagram costs more in a stream: IP, TCP, TLS and WebSocket; an estimate


class Door(Protocol):
    """A UDP socket."""

    host: str

    def counters(self) -> Mapping[str, int]:
        """What it has counted."""
        ...


def of_door(door: Door) -> Callable[[], int]:
    """What a UDP socket has carried."""
    header = IPV6 if ":" in door.host else IPV4

    def count() -> int:
        found = door.counters()
        octets = found.get("sent_bytes", 0) + found.get("received_bytes", 0)
        return octets + header * (found.get("sent", 0) + found.get("received", 0))

    return count


def of_stream(path: Path) -> Callable[[], int]:
    """What a path has carried whose datagrams go by TCP."""
    delivery, received = path.delivery, path.received
    return lambda: delivery.sent_bytes + received.bytes + TCP * (delivery.sent_packets + received.packets)


class Meter:
    """Of one process."""

    def __init__(self) -> None:
        self._read: dict[int, tuple[str, Callable[[], int], int]] = {}  # door -> uplink, its count, what was taken
        self._gone = Counter[str]()  # what doors that are closed had carried and nobody has taken

    def attach(self, number: int, uplink: str, count: Callable[[], int]) -> None:
        """A door of that number begins to carry, by that uplink; harmless when it has begun already."""
        self.detach(number)
        self._read[number] = uplink, count, count()

    def detach(self, number: int) -> None:
        """It is about to be closed; harmless when it was not attached."""
        if number in self._read:
            uplink, count, taken = self._read.pop(number)
            self._gone[uplink] += count() - taken

    def take(self) -> Counter[str]:
        """Bytes by uplink since this was asked last."""
        carried, self._gone = self._gone, Counter()
        for number, (uplink, count, taken) in self._read.items():
            now = count()
            carried[uplink] += now - taken
            self._read[number] = uplink, count, now
        return carried
