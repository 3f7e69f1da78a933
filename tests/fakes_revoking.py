"""Processes that tell each other what is revoked, in memory."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from twisted.internet.task import Clock

from morphnet.pki.authority import Authority
from morphnet.roles.certificates.revocation_exchange import RevocationExchange
from morphnet.roles.certificates.revocation_file import Revoked
from morphnet.wire.messages import relay
from morphnet.wire.messages.revocations import BEFORE, Listing, PartsWanted, Revocations, RevokedPart


class FakeLink:
    """One end of a link: what it is told waits until it is carried over."""

    def __init__(self) -> None:
        self.told: list[Listing] = []  # all of it, ever
        self.waiting: deque[Listing] = deque()

    def tell(self, message: Listing) -> None:
        """Keep it until it is carried over, if it can be encoded."""
        relay.encode(message)  # raises when it could not be sent
        self.told.append(message)
        self.waiting.append(message)

    def kinds(self) -> list[str]:
        """What was told, in short."""
        return [each.type.removeprefix("revocations").removeprefix("-") or "list" for each in self.told]


class Process:
    """One process with its knowledge on a disk of its own."""

    def __init__(self, authority: Authority, folder: Path, clock: Clock) -> None:
        self.authority, self.folder, self.clock = authority, folder, clock
        self.changes = 0
        self.start()

    def start(self) -> None:
        """Begin, or begin again: nobody is connected."""
        revoked = Revoked(lambda: [self.authority.certificate], self.folder / "revoked.pem")
        self.exchange = RevocationExchange(revoked, self.clock, self._changed)

    def _changed(self) -> None:
        self.changes += 1

    @property
    def serials(self) -> frozenset[str]:
        """What it knows to be revoked."""
        return self.exchange.revoked.serials


class Wire:
    """A link between two processes."""

    def __init__(self, one: Process, other: Process, *, old: bool = False) -> None:
        """:param old: the other is a node of before, and tells no number."""
        self.ends = one, other
        self.links = FakeLink(), FakeLink()  # by which each tells the other
        self._old = old
        numbers = [each.exchange.number for each in self.ends]
        one.exchange.joined(self.links[0], BEFORE if old else numbers[1])
        if not old:
            other.exchange.joined(self.links[1], numbers[0])

    def carry(self) -> bool:
        """Carry over what waits now; whether there was anything."""
        moved = False
        for here, there in ((0, 1), (1, 0)):
            for _ in range(len(self.links[here].waiting)):
                message = self.links[here].waiting.popleft()
                moved = True
                if not (self._old and there == 1):
                    self.ends[there].exchange.heard(self.links[there], message)
        return moved

    def cut(self) -> None:
        """It is gone."""
        for end, link in zip(self.ends, self.links, strict=True):
            end.exchange.left(link)


def settle(clock: Clock, *wires: Wire) -> None:
    """Until nobody has anything to say."""
    moved = True
    while moved:
        clock.advance(0)
        moved = sum(wire.carry() for wire in wires) > 0


__all__ = ["FakeLink", "PartsWanted", "Process", "Revocations", "RevokedPart", "Wire", "settle"]
