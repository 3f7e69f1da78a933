"""
How often an address is asked that has never answered.

Relays and peers tell where a peer may be, and may tell anything: the address may be somebody's who has nothing to do
with us. So it gets a few packets, whoever names it and however often, and more when the peer has shown to be there.

Pure. Source: figure D17; RFC 8445 section 19.5.1 for the attack.
"""

from __future__ import annotations

from collections import OrderedDict

FIRST = 9  # packets to an address at once
AGAIN = 60.0  # seconds for one more
FOR_A_QUESTION = 3  # packets for an authentic one that came from there: it may be forged by the peer alone
KNOWN_FOR = 3600.0  # seconds since an answer from there
MOST_PORTS = 8  # of one address that have FIRST packets of their own
VOLLEYS = 8  # times that ports of an address are guessed, in so many seconds
MOST_HOSTS = 8192  # remembered; when all are fresh, no other is asked
FRESH = 600.0  # seconds


class _Budget:
    """Packets that may go somewhere."""

    __slots__ = ("at", "left")

    def __init__(self, now: float) -> None:
        self.left, self.at = float(FIRST), now

    def refill(self, now: float) -> None:
        """As time has passed."""
        self.left = min(float(FIRST), self.left + max(0.0, now - self.at) / AGAIN)
        self.at = now

    def take(self, count: int) -> bool:
        """So many of them, or none."""
        if self.left < count:
            return False
        self.left -= count
        return True


class _Host(_Budget):
    """One address."""

    __slots__ = ("known_until", "ports", "volleys")

    def __init__(self, now: float) -> None:
        super().__init__(now)
        self.known_until = float("-inf")
        self.volleys = 0
        self.ports = dict[int, _Budget]()  # by the peers' own word


class Courtesy:
    """Shared by all who ask addresses of others' choice; `host` is a numeric address."""

    def __init__(self) -> None:
        self.refused = 0  # packets that were not sent
        self._hosts: OrderedDict[str, _Host] = OrderedDict()  # the one touched longest ago first

    def take(self, host: str, now: float, count: int = 1, port: int = 0) -> bool:
        """
        Whether so many packets may go there now.

        :param port: one of which a peer itself says that it is there (mapped by its router, or of TCP), else 0. It is
            tried even where that address has not answered before.
        """
        known = self._touch(host, now)
        if known is not None and now < known.known_until:
            return True
        if known is not None and (self._of_port(known, port, now).take(count) or known.take(count)):
            return True
        self.refused += count
        return False

    def volley(self, host: str, now: float) -> bool:
        """Whether its ports may be guessed once more."""
        known = self._touch(host, now)
        if known is None or known.volleys >= VOLLEYS:
            return False
        known.volleys += 1
        return True

    def asked(self, host: str, now: float) -> None:
        """An authentic question came from there."""
        known = self._touch(host, now)
        if known is not None:
            known.left = min(float(FIRST), known.left + FOR_A_QUESTION)

    def answered(self, host: str, now: float) -> None:
        """It has answered what was asked of it: the peer is there."""
        known = self._touch(host, now)
        if known is not None:
            known.known_until = now + KNOWN_FOR

    def __len__(self) -> int:
        return len(self._hosts)

    @staticmethod
    def _of_port(known: _Host, port: int, now: float) -> _Budget:
        """That of a port, or of the whole address."""
        if port and port not in known.ports and len(known.ports) < MOST_PORTS:
            known.ports[port] = _Budget(now)
        own = known.ports.get(port, known)
        own.refill(now)
        return own

    def _touch(self, host: str, now: float) -> _Host | None:
        known = self._hosts.get(host)
        if known is None:
            if len(self._hosts) >= MOST_HOSTS:
                oldest = next(iter(self._hosts))
                if now - self._hosts[oldest].at < FRESH:
                    return None
                del self._hosts[oldest]
            known = self._hosts[host] = _Host(now)
        known.refill(now)
        self._hosts.move_to_end(host)
        return known
