"""
Many questions at once, for a peer behind a router that maps each destination to another port.

One end has many sockets, of which each asks the same address; the other asks many ports of one host. Of 64512 ports one
in common is enough: with 256 sockets and 1024 ports it is missed once in 58 times (the birthday problem).

Source: docs/protocol section 12; RFC 5128 section 3.5 for the kind of router.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from morphnet.wire.batch import Endpoint

SOCKETS, PORTS = 256, 1024  # of the one end, and tried by the other
LOWEST, HIGHEST = 1024, 65535  # that a router gives
PACE = 0.001  # seconds between two questions
BURST = 8  # questions at once
PATIENCE = 3.0  # seconds for the answer to one


class Shot(NamedTuple):
    """One question."""

    door: int
    to: Endpoint


def guesses(chance: bytes, count: int) -> list[int]:
    """
    So many different ports.

    :param chance: random bytes, at least 4 for each.
    """
    span, found = HIGHEST - LOWEST + 1, dict[int, None]()
    for at in range(0, len(chance) - 1, 2):
        found[LOWEST + int.from_bytes(chance[at : at + 2], "big") % span] = None
        if len(found) == count:
            break
    return list(found)


class Volley:
    """What is still to be asked, and what was asked and may be answered."""

    def __init__(self) -> None:
        self._waiting: Iterator[Shot] = iter(())
        self._next: Shot | None = None
        self._next_at = float("inf")
        self._asked: dict[bytes, tuple[Shot, float]] = {}  # by transaction

    def load(self, shots: list[Shot], now: float) -> None:
        """Ask these, in the place of what is left of others."""
        self._waiting = iter(shots)
        self._next = next(self._waiting, None)
        self._next_at = now if self._next is not None else float("inf")

    def clear(self) -> None:
        """Ask no more, and wait for nothing."""
        self.load([], 0.0)
        self._asked.clear()

    def due_at(self) -> float:
        """When the next ones are to be asked."""
        return self._next_at

    def take(self, now: float) -> list[Shot]:
        """Those to ask now."""
        taken: list[Shot] = []
        while self._next is not None and self._next_at <= now and len(taken) < BURST:
            taken.append(self._next)
            self._next = next(self._waiting, None)
        if taken:
            self._next_at = now + PACE * len(taken) if self._next is not None else float("inf")
        return taken

    def asked(self, transaction: bytes, shot: Shot, now: float) -> None:
        """A question went out under that transaction."""
        while self._asked and now - next(iter(self._asked.values()))[1] > PATIENCE:
            del self._asked[next(iter(self._asked))]
        self._asked[transaction] = shot, now

    def answered(self, transaction: bytes, door: int, source: Endpoint) -> float | None:
        """When the question was asked that this answers, if it comes from where it was asked."""
        found = self._asked.get(transaction)
        if found is None or found[0].door != door or found[0].to[:2] != source[:2]:
            return None
        del self._asked[transaction]
        return found[1]
