"""Our sockets for direct paths, whatever they were opened for: to search by, and many more for a guess."""

from __future__ import annotations

from collections.abc import Sequence

from morphnet.net.pump import Pump
from morphnet.roles.peers.guess_sockets import GuessSockets
from morphnet.roles.peers.outside import Outside
from morphnet.roles.peers.port_guess import Varying
from morphnet.roles.peers.sockets import PeerSockets


class Doors:
    """What a search needs of them; it is the `DirectSockets` of search, and the `Ports` of port_guess."""

    def __init__(self, pump: Pump, sockets: PeerSockets, guesses: GuessSockets, outside: Outside) -> None:
        self._pump, self._sockets, self._guesses, self._outside = pump, sockets, guesses, outside

    @property
    def families(self) -> dict[int, bool]:
        """Number of each socket to search by, and whether it is IPv6."""
        return self._sockets.families

    def has(self, number: int) -> bool:
        """Whether that door is one of ours, and open."""
        return self._sockets.has(number) or self._guesses.has(number)

    def is_leaving(self, number: int) -> bool:
        """Whether it was replaced, and is to be used no more than necessary."""
        return self._sockets.is_leaving(number)

    def local_of(self, number: int) -> tuple[str, int] | None:
        """Our address and port there."""
        return self._sockets.local_of(number) or self._guesses.local_of(number)

    def varying(self) -> Varying | None:
        """Behind which a router gives each destination another port; None when none is known to."""
        for number in self._outside.varying_doors():
            local = self._sockets.local_of(number)
            if local is not None:
                return Varying(self._pump.carrier(number).name, local[0])
        return None

    def open(self, user: str, uplink: str, address: str) -> Sequence[int]:
        """Numbers of many more sockets on that address, until `user` releases them."""
        return self._guesses.open(user, uplink, address)

    def release(self, user: str) -> None:
        """That search is over."""
        self._guesses.release(user)
