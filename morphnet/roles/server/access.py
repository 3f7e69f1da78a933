"""Who may what, at a gateway: which addresses are whose, and which clients are told."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

from morphnet.config.policy import GATEWAY, called
from morphnet.config.roles import ServerConfig
from morphnet.host.phone_policy import Known
from morphnet.net.pump import Pump
from morphnet.roles.process.access import Access
from morphnet.roles.server.certificates import Certificates
from morphnet.roles.signalling.control_server import Caller
from morphnet.store.base import Lease
from morphnet.tunnel.places import OURSELVES, TOLD
from morphnet.wire.messages.access import MOST_HOLDERS, MOST_MESSAGES, Holders
from morphnet.wire.messages.control import Hello

Tell = Callable[[str, str, str], None]


class ServerAccess(Access):
    """Names are those of leases: who has an address has it for good."""

    def __init__(self, config: ServerConfig, pump: Pump, certificates: Certificates, tell: Tell) -> None:
        self._hearing: dict[str, Caller] = {}  # clients that understand, by name
        self._addresses: dict[str, tuple[str, ...]] = {}  # of each name
        self._told: tuple[Holders, ...] = ()  # what each of them was told last
        self.news: Callable[[], object] = lambda: None  # called when another policy is in force, or means others
        super().__init__(pump, certificates.exchange.revoked, tell)
        self._pools = tuple(pool for pool in (config.pool4, config.pool6) if pool)
        own = tuple(str(ipaddress.ip_network(pool)[1]) for pool in self._pools)
        self._ours = dict.fromkeys((GATEWAY, *called(config.name)), own)
        self.places.are(OURSELVES, dict.fromkeys(own, self.ourselves), self._pools)
        certificates.follow(self.look)

    @property
    def ourselves(self) -> tuple[str, ...]:
        return tuple(self._ours)

    def begin(self, leases: Iterable[Lease]) -> None:
        """What the records say at the start."""
        self._addresses = {each.name: _addresses(each) for each in leases}
        named = {address: called(name) for name, addresses in self._addresses.items() for address in addresses}
        self.places.are(TOLD, named)
        self.changed()

    def leased(self, lease: Lease) -> None:
        """A client has these addresses."""
        fresh = _addresses(lease)
        if self._addresses.get(lease.name) == fresh:
            return
        before = {name for name, several in self._addresses.items() if not set(several).isdisjoint(fresh)}
        for name in before:  # whose they were until they were released
            self._addresses[name] = tuple(each for each in self._addresses[name] if each not in fresh)
        self._addresses[lease.name] = fresh
        self.places.add(TOLD, dict.fromkeys(fresh, called(lease.name)))
        if not self.named.isdisjoint((*before, lease.name)):
            self.changed()

    def welcomed(self, caller: Caller, hello: Hello) -> None:
        """A client hears of it from now on, if it understands."""
        if hello.holders:
            self._hearing[caller.name] = caller
            for message in self._told or (Holders(),):  # it may have heard of somebody in a former link
                caller.send(message)

    def left(self, caller: Caller) -> None:
        """Its link is gone."""
        if self._hearing.get(caller.name) is caller:
            del self._hearing[caller.name]

    def changed(self) -> None:
        """Tell everybody whose addresses are of the machines that the policy names, if that is news."""
        known = [f"{address} {name}" for name in sorted(self.named) for address in self._addresses.get(name, ())]
        starts = range(0, len(known), MOST_HOLDERS)[:MOST_MESSAGES]
        told = tuple(Holders(tuple(known[start : start + MOST_HOLDERS]), start > 0) for start in starts)
        if told != self._told:
            self._told = told
            for caller in list(self._hearing.values()):
                for message in told or (Holders(),):
                    caller.send(message)
        self.news()

    def known(self) -> Known | None:
        """What phones are judged by, as no tunnel of ours has what they send; None for no policy."""
        policy = self.policy
        if policy is None:
            return None
        named = {name: self._addresses[name] for name in sorted(policy.named) if name in self._addresses}
        self.look_around()
        ours = {name: (*own, *self.public) for name, own in self._ours.items()}
        return Known(policy, {**named, **ours}, self._pools)


def _addresses(lease: Lease) -> tuple[str, ...]:
    return tuple(each for each in (lease.inner4, lease.inner6) if each)
