"""A pump that remembers, and a reactor that has nothing to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from morphnet.wire.carried import Carried, CarriedRun
from tests.wire.test_carried import singles


class FakeTunnel:
    def __init__(self) -> None:
        self.sessions: dict[str, object] = {}


class FakePump:
    """`given` is what was handed to sessions."""

    def __init__(self) -> None:
        self.tunnel, self.time = FakeTunnel(), 0.0
        self.given: list[tuple[str, Carried]] = []
        self.runs = list[list[CarriedRun]]()  # the same, each batch as it came
        self.outlet: Any = None

    def now(self) -> float:
        return self.time

    def carry(self, outlet: object) -> None:
        self.outlet = outlet

    def from_local(self, peer: str, batch: Sequence[CarriedRun]) -> None:
        self.runs.append(list(batch))
        self.given += [(peer, each) for run in batch for each in singles(run)]


class FakeDoor:
    """In the place of a LocalUdp."""

    def __init__(self, reactor: object, received: Any, inboxes: object) -> None:
        self.received, self.refused, self.closed = received, 0, False
        self.sent: list[object] = []
        self.place: tuple[str, int] = ("", 0)

    def listen(self, host: str, port: int) -> None:
        self.place = host, port

    connect = listen

    def send(self, data: bytes, to: object = None) -> None:
        self.sent.append((data, to) if to is not None else data)

    def send_all(self, batch: Sequence[bytes], to: object = None) -> None:
        for data in batch:
            self.send(data, to)

    def close(self) -> None:
        self.closed = True
