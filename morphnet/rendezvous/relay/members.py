"""
A node that is at a relay, and its connection.

Source: docs/protocol section 11.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from morphnet.wire.candidates import Candidate
from morphnet.wire.echo import TRANSACTION, Asked
from morphnet.wire.messages.relay import EVERYBODY, Present, RelayMessage, readdress

LATE = 64  # turns that an echo request may be late
MOST_RECENT = 1024  # requests that are remembered of a node that counts no turns: hours of one socket
MOST_NEWS = 16.0  # changes of a node's mappings that others are told at once


class Line(Protocol):
    """One connection, whose certificate was checked. Hashable by identity."""

    @property
    def name(self) -> str:
        "As in its certificate."

    @property
    def network(self) -> str:
        "Of the CA that signed it."

    @property
    def serial(self) -> str:
        "Of its certificate, hex."

    @property
    def observed(self) -> Candidate:
        "Where it comes from."

    def carries(self, host: str) -> bool:
        """Whether its certificate carries this DNS name or IP address."""
        ...

    @property
    def reads(self) -> bool:
        "Whether the other end takes what it is told, as far as anybody knows."

    def tell(self, message: RelayMessage) -> None:
        """Send a message."""
        ...

    def say(self, text: bytes) -> None:
        """Send a message that is a text already."""
        ...

    def hand(self, envelope: bytes) -> bool:
        """Send an envelope; False when its line is full and it was dropped."""
        ...

    def pause(self, seconds: float) -> None:
        """Read nothing more of it for so long: TCP tells the node to wait."""
        ...

    def prove(self, within: float) -> None:
        """End it unless it shows life within so many seconds."""
        ...

    def end(self, reason: str) -> None:
        """Hang up."""
        ...


class Freshness:
    """
    Which echo requests of a node were here before.

    Source: RFC 4303 section 3.4.3 for the window.
    """

    __slots__ = ("_highest", "_recent", "_seen")

    def __init__(self) -> None:
        self._highest = self._seen = 0  # turn; bit n is set when `highest - n` was here
        self._recent = bytearray()  # transactions of a node that counts no turns, the latest last

    def take(self, asked: Asked) -> bool:
        """Whether it is the first of its kind; the second is not."""
        return self._count(asked.turn) if asked.turn else self._remember(asked.transaction)

    def _count(self, turn: int) -> bool:
        ahead = turn - self._highest
        if ahead > 0:
            self._seen = (self._seen << min(ahead, LATE) | 1) & ((1 << LATE) - 1)
            self._highest = turn
            return True
        bit = 1 << -ahead if -ahead < LATE else 0
        if not bit or self._seen & bit:
            return False
        self._seen |= bit
        return True

    def _remember(self, transaction: bytes) -> bool:
        if transaction in self._recent:
            return False
        self._recent += transaction
        del self._recent[: -MOST_RECENT * TRANSACTION]
        return True


@dataclass(eq=False, slots=True)
class Member:
    """A node that is here."""

    line: Line
    number: int
    instance: str
    watch: frozenset[str]
    echo_id: bytes
    echo_key: bytes = field(repr=False)
    notices: bool = False  # whether it knows what a notice is
    batches: bool = False  # whether it knows what news are
    shown: bytes = b""  # what others are told of it, as a text; b"" when that is to be made anew
    fresh: Freshness = field(default_factory=lambda: Freshness())
    mapped: dict[int, Candidate] = field(default_factory=dict)  # by the number of its socket
    credit: float = 0.0  # bytes that may be forwarded now
    credited_at: float = 0.0
    sent: int = 0  # bytes that it had forwarded, and that were forwarded to it
    received: int = 0
    news: float = MOST_NEWS  # how often others may be told of its mappings now
    news_at: float = 0.0
    lost: int = 0  # envelopes to nobody, since one arrived
    network: str = field(init=False)  # its line's; these two are asked for with each pair of nodes
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.network, self.name = self.line.network, self.line.name

    def present(self) -> Present:
        """What others are told of it."""
        candidates = (self.line.observed, *self.mapped.values())
        return Present(self.number, self.name, self.instance, tuple(map(str, candidates)))

    def wants(self, name: str) -> bool:
        """Whether it has to do with the node of that name."""
        return EVERYBODY in self.watch or name in self.watch

    def hand(self, envelope: bytes, sender: int) -> bool:
        """Give it an envelope, from the node of that number; False when its line is full."""
        return self.line.hand(readdress(envelope, sender))
