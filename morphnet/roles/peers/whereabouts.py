"""Where one peer may be: what it told itself, and what relays have seen."""

from __future__ import annotations

from collections.abc import Iterable

from morphnet.roles.peers.surroundings import Line
from morphnet.wire.candidates import MOST_CANDIDATES, Candidate, read_candidates, seen_by_relay
from morphnet.wire.messages.relay import Present


class Whereabouts:
    """Of one peer. A relay is believed in what it can have seen itself, and takes away only what it told."""

    def __init__(self) -> None:
        self._told: tuple[Candidate, ...] = ()
        self._observed: dict[int, tuple[Candidate, ...]] = {}  # by number of the relay
        self._lines: dict[int, int] = {}  # number of the peer's line to each relay, by number of the relay

    def told(self, candidates: Iterable[Candidate]) -> None:
        """It says so itself, in a session."""
        self._told = tuple(candidates)

    def introduced(self, candidates: Iterable[str]) -> None:
        """It says so itself, in a handshake; what is no candidate is left out."""
        self._told = read_candidates(candidates)

    def seen(self, relay: Line, said: Present) -> bool:
        """A relay has it; whether that is news: its line there is another one than before."""
        self._observed[relay.number] = seen_by_relay(said.observed, relay.address)
        before, self._lines[relay.number] = self._lines.get(relay.number), said.number
        return before != said.number

    def gone(self, relay: Line) -> None:
        """That relay has it no more."""
        self._observed.pop(relay.number, None)
        self._lines.pop(relay.number, None)

    def all(self) -> list[Candidate]:
        """What it said itself first; at most MOST_CANDIDATES."""
        found = dict.fromkeys(self._told)
        for observed in self._observed.values():
            found.update(dict.fromkeys(observed))
        return list(found)[:MOST_CANDIDATES]
