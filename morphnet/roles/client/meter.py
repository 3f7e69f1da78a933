"""What each uplink carries for us: bytes with the headers of IP, both ways, whatever became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from morphnet.net.pump import DatagramDoor
from morphnet.tunnel.path import IPV4, IPV6, Path

TCP = 90  # bytes of headers that a datagram costs more in a stream: IP, TCP, TLS and WebSocket; an estimate


def of_door(door: DatagramDoor) -> Callable[[], int]:
    """What a UDP socket has carried, or a line to a relay."""
    header = IPV6 if ":" in str(getattr(door, "host", "")) else IPV4

    def count() -> int:
        found = door.counters()
        octets = found.get("sent_bytes", 0) + found.get("received_bytes", 0)
        relayed = found.get("relayed_sent_bytes", 0) + found.get("relayed_received_bytes", 0)
        lines = found.get("relayed_sent", 0) + found.get("relayed_received", 0)
        return octets + header * (found.get("sent", 0) + found.get("received", 0)) + relayed + TCP * lines

    return count


def of_stream(path: Path) -> Callable[[], int]:
    """What a path has carried whose datagrams go by TCP."""
    delivery, received = path.delivery, path.received
    return lambda: delivery.sent_bytes + received.bytes + TCP * (delivery.sent_packets + received.packets)


class Meter:
    """
    Of one process: of its UDP sockets and its lines to relays, and of what else is attached by hand.

    :param device_at: the uplink that has an address; "" for none.
    """

    def __init__(self, device_at: Callable[[str], str]) -> None:
        self._device_at = device_at
        self._read: dict[int, tuple[Callable[[], str], Callable[[], int]]] = {}  # door -> its uplink, its count
        self._taken = Counter[int]()  # of each, what was taken
        self._carried = Counter[str]()  # that nobody has taken, by uplink

    def opened(self, door: DatagramDoor) -> None:
        """There is a door."""
        device = getattr(door, "device", "")
        if isinstance(device, str) and device:
            self.attach(door.number, lambda: device, of_door(door))
        elif isinstance(getattr(door, "local", None), str):
            self.attach(door.number, lambda: self._device_at(str(getattr(door, "local", ""))), of_door(door))

    def closed(self, number: int) -> None:
        """It is about to be closed; harmless when it is none of ours."""
        if number in self._read:
            self._look(number)
            del self._read[number], self._taken[number]

    def attach(self, number: int, uplink: Callable[[], str], count: Callable[[], int]) -> None:
        """The door of that number is counted like this; harmless when it was before."""
        self.closed(number)
        self._read[number], self._taken[number] = (uplink, count), count()

    def take(self) -> Counter[str]:
        """Bytes by uplink since this was asked last."""
        for number in self._read:
            self._look(number)
        carried, self._carried = self._carried, Counter()
        return carried

    def _look(self, number: int) -> None:
        uplink, count = self._read[number]
        name, now = uplink(), count()
        if name:
            self._carried[name] += now - self._taken[number]
        self._taken[number] = now
