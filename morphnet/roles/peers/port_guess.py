"""When to guess ports for a peer, or let it guess ours: routers that give each destination another port."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from twisted.internet.interfaces import IDelayedCall

from morphnet.roles.peers.surroundings import Surroundings
from morphnet.traversal.checks import Checker
from morphnet.traversal.courtesy import Courtesy
from morphnet.traversal.port_guess import PORTS, Shot, guesses
from morphnet.wire.batch import Endpoint
from morphnet.wire.candidates import LINE, SERVER_REFLEXIVE, SYMMETRIC, Candidate

OPEN_AFTER, GUESS_AFTER = 1.0, 1.4  # seconds of search: first the sockets are opened, then ports are guessed
CLOSE_AFTER = 3.9  # just before the search ends
MOST = 4  # volleys for one peer, until addresses change


class Varying(NamedTuple):
    """Where a router of ours gives each destination another port."""

    uplink: str
    address: str  # ours on it


class Ports(Protocol):
    """Our sockets, as far as guesses need them."""

    @property
    def families(self) -> Mapping[int, bool]:
        """Number of each socket to search by, and whether it is IPv6."""
        ...

    def varying(self) -> Varying | None:
        """Behind which a router gives each destination another port; None when none is known to."""
        ...

    def open(self, user: str, uplink: str, address: str) -> Sequence[int]:
        """Numbers of many more sockets on that address, until `user` releases them."""
        ...

    def release(self, user: str) -> None:
        """That search is over."""
        ...


class PortGuess:
    """
    For one peer; starts with each search, and does nothing where the ordinary ways suffice.

    :param wake: the checker has something to do.
    """

    def __init__(
        self, around: Surroundings, peer: str, ports: Ports, courtesy: Courtesy, wake: Callable[[], None]
    ) -> None:
        self._around, self._peer, self._ports, self._courtesy, self._wake = around, peer, ports, courtesy, wake
        self._timers: list[IDelayedCall] = []
        self._left = MOST

    def renew(self) -> None:
        """Addresses have changed: what came to nothing may hit now."""
        self._left = MOST

    def begin(self, checker: Checker, candidates: Sequence[Candidate]) -> None:
        """
        A search begins.

        :param candidates: where the peer may be.
        """
        self.end()
        ours, theirs = (
            self._ports.varying(),
            [each.host for each in candidates if each.kind == SYMMETRIC],
        )
        if bool(ours) == bool(theirs) or not self._left:
            return  # easy enough without, or hopeless
        targets = [each for each in candidates if each.kind == SERVER_REFLEXIVE and ":" not in each.host]
        host = theirs[0] if theirs else targets[0].host if targets else ""
        seen = {each.host for each in candidates if each.kind == LINE and ":" not in each.host}
        if not host or not seen <= {host} or not self._courtesy.volley(host, self._around.now()):
            return  # a thousand packets go only where every relay has seen the peer
        self._left -= 1
        if ours is not None:
            self._at(OPEN_AFTER, lambda: self._open(checker, ours, targets))
            self._at(CLOSE_AFTER, self.end)
        else:
            self._at(GUESS_AFTER, lambda: self._guess(checker, theirs[0]))

    def end(self) -> None:
        """The search is over."""
        for timer in self._timers:
            if timer.active():
                timer.cancel()
        if self._timers:
            self._timers.clear()
            self._ports.release(self._peer)

    def _at(self, seconds: float, what: Callable[[], None]) -> None:
        self._timers.append(self._around.clock.callLater(seconds, what))

    def _open(self, checker: Checker, ours: Varying, targets: Sequence[Candidate]) -> None:
        """Many sockets of ours ask the one that the peer has."""
        if not targets:
            return
        doors = self._ports.open(self._peer, ours.uplink, ours.address)
        to = Endpoint(targets[0].host, targets[0].port)
        checker.shoot([Shot(door, to) for door in doors], doors, self._around.now())
        self._wake()

    def _guess(self, checker: Checker, host: str) -> None:
        """Our one socket asks many ports of the peer's router."""
        door = next((number for number, six in self._ports.families.items() if not six), None)
        if door is None:
            return
        ports = guesses(self._around.entropy(4 * PORTS), PORTS)
        checker.shoot([Shot(door, Endpoint(host, port)) for port in ports], (), self._around.now())
        self._wake()
