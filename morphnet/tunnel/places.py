"""Whose an inner address is, as far as this machine knows."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence

from morphnet.config.policy import WORLD, Who, is_public
from morphnet.tunnel.behind import Behind

# Who tells: we, the kernel of our public addresses, certificates of peers, leases. The first is believed most.
OURSELVES, HERE, PEERS, TOLD = PARTS = range(4)


class Places:
    """Names by address. What is nobody's is of the world, if it is a public one and none of the inner networks."""

    def __init__(self) -> None:
        self._names: dict[bytes, tuple[str, ...]] = {}
        self._parts: dict[int, dict[bytes, tuple[str, ...]]] = {part: {} for part in PARTS}
        self._inner: Behind[bool] = Behind()
        self._networks: dict[int, tuple[str, ...]] = {}
        self.changed: Callable[[], None] = lambda: None

    def are(self, part: int, names: Mapping[str, Sequence[str]], networks: Iterable[str] = ()) -> None:
        """
        What one of PARTS tells, in the place of what it has told before.

        :param names: those of an address.
        :param networks: inner ones, in CIDR notation.
        """
        known = {ipaddress.ip_address(address).packed: tuple(each) for address, each in names.items()}
        inner = tuple(networks)
        if (self._parts[part], self._networks.get(part, ())) == (known, inner):
            return
        self._parts[part], self._networks[part] = known, inner
        self._names = {}
        for each in self._parts.values():
            for address, called in each.items():
                self._names.setdefault(address, called)
        self._inner.are([(True, [network for several in self._networks.values() for network in several])])
        self.changed()

    def add(self, part: int, names: Mapping[str, Sequence[str]]) -> None:
        """What it tells besides; that costs as much as this is."""
        known = self._parts[part]
        fresh = {ipaddress.ip_address(address).packed: tuple(each) for address, each in names.items()}
        if any(known.get(address) != called for address, called in fresh.items()):
            known.update(fresh)
            for address in fresh:
                self._names[address] = next(each[address] for each in self._parts.values() if address in each)
            self.changed()

    def who(self, address: bytes) -> Who:
        """:param address: 4 or 16 bytes."""
        names = self._names.get(address)
        if names is None:
            names = (WORLD,) if is_public(address) and not self._inner.owner(address) else ()
        return Who(names, address)
