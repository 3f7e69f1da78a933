"""
Flows that were there before we deal any out, or that one of us before has marked: by which uplink each of them goes.

Its addresses tell: answers come to the address of the uplink by which a flow leaves, and what came in by one was sent
to that address. What was never translated tells nothing, and is where all was: on the machine's own default route.

The mark that an earlier one of us has given says nothing: tables are counted in the order in which uplinks are found.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from morphnet.host.dealing import CAME_IN
from morphnet.host.routes import UPLINK_LIMIT, Provider


class Ends(NamedTuple):
    """Of one flow, as addresses without prefix lengths; "" for what is not known."""

    source: str  # who has begun it
    to: str  # where he sends to
    back: str  # where the answers are sent to: another address than `source` where that is translated


class Ground:
    """
    What there is to go by.

    :param at: the mark of the uplink that has an address alone, see `numbers`.
    :param own: all addresses of this machine.
    :param networks: prefixes that are reached by other than a default route.
    :param default: by family, the mark of the uplink of the machine's own default route, where there is one.
    """

    def __init__(
        self, at: Mapping[str, int], own: Collection[str], networks: Collection[str], default: Mapping[int, int]
    ) -> None:
        self._at, self._own, self._default = at, own, default
        self._networks = dict[tuple[int, int], set[int]]()  # by family and prefix length
        for network in map(ipaddress.ip_network, networks):
            held = self._networks.setdefault((network.version, network.prefixlen), set())
            held.add(int(network.network_address))

    def mark_of(self, ends: Ends) -> int:
        """What to mark that flow with; 0 if it is by no uplink."""
        leaves, came = self._at.get(ends.back, 0), self._at.get(ends.to, 0)
        if leaves or came:
            return 0 if leaves and came else leaves or came | CAME_IN
        if ends.to in self._own or ends.back in self._own:
            return 0  # by another device
        if self._is_far(ends.to):
            return self._default_of(ends.to)
        return self._default_of(ends.source) | CAME_IN if self._is_far(ends.source) else 0

    def _default_of(self, address: str) -> int:
        return self._default.get(6 if ":" in address else 4, 0)

    def _is_far(self, text: str) -> bool:
        """Whether a default route leads there, and ours is the one that is used."""
        return bool(text and self._default_of(text)) and self.is_outside(text)

    def is_outside(self, text: str) -> bool:
        """Whether nothing but a default route leads to that address."""
        if text in self._own:
            return False
        address = ipaddress.ip_address(text)
        if address.is_loopback or address.is_multicast or address.is_link_local or address.is_unspecified:
            return False
        bits, number = address.max_prefixlen, int(address)
        return not any(
            number >> (bits - length) << (bits - length) in held
            for (version, length), held in self._networks.items()
            if version == address.version
        )


def numbers(providers: Sequence[Provider], base: int) -> dict[str, int]:
    """The mark of the uplink that has each address; those that several have tell nothing."""
    found, twice = dict[str, int](), set[str]()
    for each in providers:
        for address in (*each.uplink.addresses4, *each.uplink.addresses6):
            twice |= {address} & set(found)
            found[address] = base + 1 + each.slot
    return {address: number for address, number in found.items() if address not in twice}


def is_ours(mark: int, base: int) -> bool:
    """Whether a flow has no mark, or one that an earlier one of us may have given."""
    return not mark or base < mark & ~CAME_IN <= base + UPLINK_LIMIT
