"""
Who may come in at one port, how many, how often, and how long somebody may be half in: the same for control links,
lines to a relay and streams.

Source: docs/architecture, "Who comes in".
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IOpenSSLServerConnectionCreator, IProtocolFactory

from morphnet.net.complaints import Complaints
from morphnet.net.gate import Doorway, Gate
from morphnet.net.knock import NO_KNOCK
from morphnet.net.limits import LIMITS, Limits, Lobby, SourceLimiter, source_of

MADE_ROOM = "made room"


class Guest(Hashable, Protocol):
    """A connection. Hashable by identity."""

    @property
    def host(self) -> str:
        "Its numeric address."

    def drop(self, reason: str) -> None:
        "Hang up at once; `left` follows."


Connection = TypeVar("Connection", bound=Guest)


class Admission(Generic[Connection]):
    """
    The port's owner tells of each connection: `entered`, `proven` once it has shown a good certificate, `left`.

    :param gate: by which callers come; when it has no file left for another one, we give one back.
    :param name: that the counters start with.
    :param within: seconds that a connection may be half in; None where its owner has timers of its own.
    """

    def __init__(self, gate: Gate, name: str, limits: Limits = LIMITS, within: float | None = None) -> None:
        self.closing = False
        self.complaints = Complaints(gate.clock.seconds, name)
        self._gate, self._name, self._limits, self._within = gate, name, limits, within
        self._limiter = SourceLimiter(limits.rate, limits.burst, limits.sources)
        self._lobby: Lobby[Connection] = Lobby(limits.half_open, limits.half_open_per_source)
        self._connections: dict[Connection, IDelayedCall | None] = {}  # with what ends the half-open ones, in order
        self._full = 0  # turned away because there were too many
        self._empty: Deferred[None] | None = None
        gate.gives_way(self._shed)

    def doorway(self, tls: IOpenSSLServerConnectionCreator, inner: IProtocolFactory) -> IProtocolFactory:
        """What an endpoint listens with; several endpoints if need be."""
        factory: IProtocolFactory = Doorway(self.admits, tls, inner, self._gate)
        return factory

    def counters(self) -> dict[str, int]:
        """For the node's status."""
        refused = self.complaints.counts
        found = {
            "half_open": len(self._lobby),
            "limited": self._limiter.refused,
            "evicted": self._lobby.evicted,
            "full": self._full,
            "refused": sum(refused.values()),
            "no_knock": refused[NO_KNOCK],
        }
        return {f"{self._name}_{what}": number for what, number in found.items()}

    def __len__(self) -> int:
        return len(self._connections)

    def __iter__(self) -> Iterator[Connection]:
        """All of them, also those half in; they may leave meanwhile."""
        return iter(list(self._connections))

    # -- coming and going ----------------------------------------------------------------------------------------------

    def admits(self, host: str) -> bool:
        """Whether one more connection from there may come in."""
        if self.closing or not self._limiter.admit(source_of(host), now=self._gate.clock.seconds()):
            return False
        if len(self._connections) >= self._limits.connections and not self._shed():
            self._full += 1
            return False
        return True

    def entered(self, guest: Connection, *, called: bool = True) -> None:
        """
        It is connected and unknown. Whoever has been half in for longest may have to go for it.

        :param called: whether it has called us; else we have called it, and it takes nobody's place.
        """
        timer = None
        if self._within is not None:
            timer = self._gate.clock.callLater(self._within, guest.drop, "handshake took too long")
        self._connections[guest] = timer
        leaving = self._lobby.enter(guest, source_of(guest.host)) if called else None
        if leaving is not None:
            leaving.drop(MADE_ROOM)

    def proven(self, guest: Connection) -> None:
        """It has shown a good certificate, or will be told why it was none: it is half in no more."""
        self._lobby.leave(guest)
        timer = self._connections.get(guest)
        if timer is not None:
            self._connections[guest] = None
            if timer.active():
                timer.cancel()

    def left(self, guest: Connection) -> None:
        """It is gone."""
        self.proven(guest)
        self._connections.pop(guest, None)
        self._tell_empty()

    def refused(self, reason: str) -> None:
        """It was not let in, for that reason; while we close, nobody is, and that is no news."""
        if not self.closing:
            self.complaints.add(reason)

    def _shed(self) -> bool:
        """Hang up on the one who has been half in for longest; False when nobody is."""
        waiting = self._lobby.oldest()
        if waiting is None:
            return False
        self._lobby.leave(waiting)
        self._lobby.evicted += 1
        waiting.drop(MADE_ROOM)
        return True

    # -- the end -------------------------------------------------------------------------------------------------------

    def close(self) -> Deferred[None]:
        """Let nobody in any more; fires when those who are here have left."""
        self.closing = True
        done = self._empty = Deferred()
        self._tell_empty()
        return done

    def _tell_empty(self) -> None:
        if self._empty is not None and not self._connections:
            empty, self._empty = self._empty, None
            empty.callback(None)
