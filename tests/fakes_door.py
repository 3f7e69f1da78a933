"""A door of a pump that keeps what leaves by it."""

from __future__ import annotations

from collections.abc import Sequence

from morphnet.wire.batch import Departure


class FakeDoor:
    """Keeps what leaves by it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.sent: list[Departure] = []

    def send(self, departures: Sequence[Departure]) -> None:
        self.sent += departures
