"""Doors of a pump that keep what leaves by them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from morphnet.errors import HostError
from morphnet.wire.batch import Departure


class FakeDoor:
    """Keeps what leaves by it."""

    quick = False

    def __init__(self, number: int) -> None:
        self.number = number
        self.sent: list[Departure] = []

    def send(self, departures: Sequence[Departure]) -> None:
        self.sent += departures

    def counters(self) -> Counter[str]:
        """What has left by it, and what waits, which is a level."""
        return Counter(sent=len(self.sent), waiting_bytes=1)


class FakeUdp(FakeDoor):
    """A UDP socket; each that was made is kept."""

    made: list[FakeUdp]
    refused = False

    def __init__(
        self, reactor: object, number: int, received: object, *, host: str, port: int = 0, device: str = ""
    ) -> None:
        super().__init__(number)
        self.host, self.device, self.local = host, device, (host, port or 50000 + number)
        self.open_ = False
        self.too_big: Callable[[Departure], None] = lambda departure: None
        self.made.append(self)

    def open(self) -> None:
        """Fails as if there were too many files, while `refused`."""
        if self.refused:
            raise HostError("no more files")
        self.open_ = True

    def close(self) -> None:
        self.open_ = False

    def offloads(self) -> tuple[str, ...]:
        """The kernel gives nothing."""
        return ()
