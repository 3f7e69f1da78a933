"""
Networks behind ends of sessions: whose is an address that is no inner one, and what may an end send from?

Few have any, and what has an inner address at its end never comes here: see `Tunnel.from_tun`, `Inbound`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Generic, TypeVar

T = TypeVar("T")
Mask = tuple[int, int]  # bytes of an address, bits behind the prefix
Prefix = tuple[int, int, int]  # the same, and the bits of the prefix as a number


@lru_cache(4096)
def prefix_of(network: str) -> Prefix:
    """
    :param network: in CIDR notation.
    :raises ValueError: it is none.
    """
    parsed = ipaddress.ip_network(network)
    rest = parsed.max_prefixlen - parsed.prefixlen
    return parsed.max_prefixlen // 8, rest, int(parsed.network_address) >> rest


class Behind(Generic[T]):
    """Who has which network behind it. The longest prefix decides; of two that are the same, who is named first."""

    def __init__(self) -> None:
        self._owners: dict[Prefix, T | None] = {}
        self.masks: list[Mask] = []  # that there are, the longest prefix first; empty: nobody has any

    def are(self, networks: Iterable[tuple[T | None, Iterable[str]]]) -> None:
        """
        These are there from now on, and no others.

        :param networks: in CIDR notation, by who has them; those of None are nobody's, whoever has a larger one.
        """
        owners: dict[Prefix, T | None] = {}
        for owner, prefixes in networks:
            for prefix in map(prefix_of, prefixes):
                owners.setdefault(prefix, owner)
        self._have(owners)

    def forget(self, owner: T) -> None:
        """That one has none any more."""
        self._have({prefix: one for prefix, one in self._owners.items() if one is not owner})

    def _have(self, owners: dict[Prefix, T | None]) -> None:
        self._owners = owners
        self.masks = sorted({prefix[:2] for prefix in owners}, key=lambda mask: mask[1])

    def owner(self, address: bytes) -> T | None:
        """
        Behind whom an address is.

        :param address: 4 or 16 bytes.
        """
        for size, rest in self.masks:
            if size == len(address):
                prefix = size, rest, int.from_bytes(address, "big") >> rest
                if prefix in self._owners:
                    return self._owners[prefix]
        return None
