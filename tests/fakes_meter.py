"""A meter that remembers what it is told."""

from __future__ import annotations

from collections import Counter

from morphnet.roles.server.accounting import Meter


class FakeMeter(Meter):
    """Refuses those who are in `spent`."""

    def __init__(self) -> None:
        self.sent, self.received = Counter[str](), Counter[str]()
        self.spent = set[str]()
        self.there = list[str]()  # sessions
        self.told = list[tuple[str, str]]()

    def add(self, name: str, sent: int, received: int) -> None:
        self.sent[name] += sent
        self.received[name] += received

    def refusal(self, name: str) -> str:
        return "the quota is used up" if name in self.spent else ""

    def came(self, session: str) -> None:
        self.there.append(session)

    def gone(self, session: str) -> None:
        self.there.remove(session)
