"""
How often somebody may try: passwords at a home, calls at a coordinator.

A bucket for each, which fills up as time passes; the table has an end, at which the fullest are forgotten first.
"""

from __future__ import annotations

import ipaddress
import math

MOST = 4096  # buckets remembered


def four_bytes(address: str) -> bytes | None:
    """An IPv4 address as it is usually written; None for anything else. `ipaddress` takes five times as long."""
    parts = address.split(".")
    if len(parts) != 4:
        return None
    try:
        packed = bytes(map(int, parts))
    except ValueError:
        return None
    return packed if ".".join(map(str, packed)) == address else None


def network_of(address: str) -> str:
    """Whose address it is: of IPv6 a network of 64 bits, which one household has."""
    if four_bytes(address) is not None:
        return address
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 6 and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


class Rates:
    """
    A bucket of `burst` for each name, filled with `each` more every second.

    :param burst: what may be spent at once.
    :param each: what comes back in a second.
    """

    def __init__(self, burst: float, each: float) -> None:
        self._burst, self._each = burst, each
        self._buckets: dict[str, tuple[float, float]] = {}  # name -> what is left, and when that was

    def _left(self, name: str, now: float) -> float:
        left, at = self._buckets.get(name, (self._burst, now))
        return min(self._burst, left + (now - at) * self._each)

    def wait(self, name: str, now: float) -> int:
        """Seconds until it may try again; 0 for now."""
        left = self._left(name, now)
        return 0 if left >= 1 else math.ceil((1 - left) / self._each)

    def spend(self, name: str, now: float, cost: float = 1.0) -> None:
        """It has tried."""
        if name not in self._buckets and len(self._buckets) >= MOST:
            self._make_room(now)
        self._buckets[name] = (self._left(name, now) - cost, now)

    def _make_room(self, now: float) -> None:
        fullest = sorted(self._buckets, key=lambda name: self._left(name, now), reverse=True)
        for name in fullest[: MOST // 4]:
            del self._buckets[name]
