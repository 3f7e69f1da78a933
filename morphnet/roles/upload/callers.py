"""Who calls, also through a proxy, and who has guessed too often."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from morphnet.wire.messages.upload.slots import SlotRefused

GUESSES, EVERY = 120.0, 1.0  # refusals that an address has at once; seconds after which it has one more
GUESS = frozenset({401, 403})  # statuses of who holds no slot: honest clients do not meet them
_MOST = 10_000  # addresses that are remembered
_FORWARDED = 20  # addresses of the header that are looked at


class TooOften(SlotRefused):
    """It has shown too many slots that are none; `after` is when to come again, seconds."""

    def __init__(self, after: int) -> None:
        super().__init__(429, "too many slots that are none came from this address: try again later")
        self.after = after


class Callers:
    """
    Counts refusals by address: one of IPv4, a /64 of IPv6.

    :param proxies: addresses or prefixes whose word on who calls is taken; they are never refused themselves.
    :param now: seconds.
    """

    def __init__(self, proxies: Sequence[str], now: Callable[[], float]) -> None:
        self._proxies = [ip_network(each, strict=False) for each in proxies]
        self._now = now
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()  # address -> refusals, and when

    def address(self, peer: str, forwarded: str) -> str:
        """
        The client's: the last one in X-Forwarded-For that is no proxy, where a proxy has written it.

        :param peer: who has called us.
        :param forwarded: the header, "" for none.
        """
        found = peer
        for each in reversed(forwarded.split(",")[-_FORWARDED:]):
            if not self.is_proxy(found) or not each.strip():
                break
            if _read(_bare(each)) is None:
                break
            found = _bare(each)
        return found

    def is_proxy(self, address: str) -> bool:
        """Whether its word is taken."""
        known = _read(address)
        return known is not None and any(known in each for each in self._proxies)

    def check(self, address: str) -> None:
        """:raises TooOften: it has guessed too often."""
        used = self._left(_block(address))
        if used > GUESSES - 1:
            raise TooOften(max(1, round((used - GUESSES + 1) * EVERY)))

    def refused(self, address: str) -> None:
        """It has shown a slot that is none."""
        if self.is_proxy(address):
            return
        block = _block(address)
        self._used[block] = (min(self._left(block) + 1, GUESSES), self._now())
        self._used.move_to_end(block)
        if len(self._used) > _MOST:
            self._used.popitem(last=False)

    def _left(self, block: str) -> float:
        used, at = self._used.get(block, (0.0, 0.0))
        return max(used - (self._now() - at) / EVERY, 0.0)


def _bare(said: str) -> str:
    """An address without the port, and the brackets, with which some proxies write it."""
    said = said.strip()
    if said.startswith("["):
        return said[1:].partition("]")[0]
    return said.partition(":")[0] if said.count(":") == 1 else said


def _read(address: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(address.strip())
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _block(address: str) -> str:
    known = _read(address)
    return str(ip_network((known, 64), strict=False)) if isinstance(known, IPv6Address) else str(known or address)
