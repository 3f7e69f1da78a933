"""When to guess ports for a peer, or let it guess ours: routers that give each destination another port."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall

from morphnet.traversal.probing import Prober
from morphnet.traversal.volley import PORTS, Shot, guesses
from morphnet.tunnel.events import Effects
from morphnet.wire.batch import Endpoint
from morphnet.wire.places import LINE, OBSERVED, VARYING, Place

if TYPE_CHECKING:
    from morphnet.roles.peers.mesh import Mesh

OPEN_AFTER, GUESS_AFTER = 1.0, 1.4  # seconds of search: first the sockets are opened, then ports are guessed
CLOSE_AFTER = 3.9  # just before the search ends
MOST = 4  # volleys for one peer, until addresses change


class PortGuess:
    """For one peer; starts with each search, and does nothing where the ordinary ways suffice."""

    def __init__(self, mesh: Mesh, peer: str) -> None:
        self._mesh, self._peer = mesh, peer
        self._timers: list[IDelayedCall] = []
        self._left = MOST

    def renew(self) -> None:
        """Addresses have changed: what was in vain may hit now."""
        self._left = MOST

    def begin(self, prober: Prober, places: list[Place]) -> None:
        """
        A search begins.

        :param places: where the peer may be.
        """
        self.end()
        ours, theirs = self._mesh.relays.varying_door(), [place.host for place in places if place.kind == VARYING]
        if bool(ours) == bool(theirs) or not self._left:
            return  # easy enough without, or hopeless
        targets = [place for place in places if place.kind == OBSERVED and ":" not in place.host]
        host = theirs[0] if theirs else targets[0].host if targets else ""
        seen = {place.host for place in places if place.kind == LINE and ":" not in place.host}
        if not host or not seen <= {host} or not self._mesh.courtesy.volley(host, self._mesh.pump.now()):
            return  # a thousand packets go only where every relay has seen the peer
        self._left -= 1
        if ours is not None:
            self._at(OPEN_AFTER, lambda: self._open(prober, ours, targets))
            self._at(CLOSE_AFTER, self.end)
        else:
            self._at(GUESS_AFTER, lambda: self._guess(prober, theirs[0]))

    def end(self) -> None:
        """The search is over."""
        for timer in self._timers:
            if timer.active():
                timer.cancel()
        if self._timers:
            self._timers.clear()
            self._mesh.fan.release(self._peer)

    def _at(self, seconds: float, what: Callable[[], None]) -> None:
        self._timers.append(self._mesh.clock.callLater(seconds, what))

    def _open(self, prober: Prober, ours: tuple[str, str], targets: list[Place]) -> None:
        """Many sockets of ours ask the one that the peer has."""
        if not targets:
            return
        doors = self._mesh.fan.open(self._peer, *ours)
        to = Endpoint(targets[0].host, targets[0].port)
        prober.shoot([Shot(door, to) for door in doors], doors, self._mesh.pump.now())
        self._mesh.pump.carry_out(Effects())

    def _guess(self, prober: Prober, host: str) -> None:
        """Our one socket asks many ports of the peer's router."""
        door = next((number for number, six in self._mesh.doors.families.items() if not six), None)
        if door is None:
            return
        ports = guesses(self._mesh.entropy(4 * PORTS), PORTS)
        prober.shoot([Shot(door, Endpoint(host, port)) for port in ports], (), self._mesh.pump.now())
        self._mesh.pump.carry_out(Effects())
