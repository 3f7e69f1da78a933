"""Inner addresses: which may be leased, and which is next."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from morphnet.errors import ConfigError
from morphnet.store.base import PoolExhausted

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Pool:
    """
    The addresses of one family that a server gives away. The first host address is the server's own; the network's and
    (IPv4) the broadcast address are nobody's.

    :param prefix: CIDR notation.
    :raises ConfigError: it is no prefix of that family.
    """

    def __init__(self, prefix: str, version: int) -> None:
        try:
            network: Network = ipaddress.ip_network(prefix)
        except ValueError as trouble:
            raise ConfigError(f"pool{version}: {trouble}: give a prefix like 10.73.0.0/24 or fd73::/64") from None
        if network.version != version:
            raise ConfigError(f"pool{version}: {prefix} is an IPv{network.version} prefix: give an IPv{version} one")
        spare = 0 if network.prefixlen >= network.max_prefixlen - 1 else 1  # RFC 3021: a /31 has no network address
        last = int(network.broadcast_address) - (spare if version == 4 else 0)
        self._address = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
        self._server = int(network.network_address) + spare
        self._clients = range(self._server + 1, last + 1)
        self._prefix = prefix

    @property
    def server(self) -> str:
        """The server's own inner address."""
        return str(self._address(self._server))

    def holds(self, address: str) -> bool:
        """Whether a client may have this address."""
        return bool(address) and int(self._address(address)) in self._clients

    def lowest_free(self, taken: Collection[str]) -> str:
        """
        The lowest address that nobody has.

        :param taken: every leased address, also those outside of the pool.
        :raises PoolExhausted: there is none.
        """
        numbers = {int(self._address(each)) for each in taken}
        for number in self._clients:  # ends after len(taken) + 1 steps at the latest
            if number not in numbers:
                return str(self._address(number))
        raise PoolExhausted(f"no inner address is left in {self._prefix}: give the server a larger pool")
