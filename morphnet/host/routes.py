"""
Addresses, routes and policy rules: what sends packets into the tunnel, and keeps the tunnel itself out of it.

Nothing in the machine's main table is touched. What goes into the tunnel, and what does not though it lies within that,
is in a table of ours, where the longest prefix decides; the rest is for the machine's own rules and tables, as ever.

Tables, counted from BASE (7300, or what `morphnet.host.bases` gives the second of us):

    BASE           prefixes over the TUN, and `throw` for the networks that stay outside (`morphnet.host.outside`)
    BASE + 1 ..    one for each device that leads out: its default route and its other routes, copied from the machine's
                   tables, and `throw` for networks elsewhere

Rules, by preference, for IPv4 and IPv6 alike:

    BASE           oif DEVICE  -> main: sockets bound to a device that leads out leave by it
    BASE + 1       oif DEVICE  -> its table, where its default route is not in main
    BASE + 2       fwmark      -> its table: so do answers to what came in by it, see `morphnet.host.answers`
    BASE + 3       from SOURCE -> its table: and sockets bound to its address, and answers that have no mark
    BASE + 99      lookup table BASE

While no path works, there are others in the place of the last one, so that this machine is not cut off from the world:
who has begun inside goes on there, and the inner networks are nowhere else.

    BASE + 97      from an inner address -> table BASE
    BASE + 98      to an inner network   -> table BASE

No rule and no route is there for the server's address: all our own sockets are bound to their uplinks, and whoever
could make us call an address of his choice would have all traffic to it in the clear ("ServerIP", CVE-2023-36673).

Because of the `from` rules, reverse path filtering in its strict form (rp_filter=1) is content.

"default" among the prefixes means IPv4 and IPv6. If the tunnel has no address of one family, that family gets an
`unreachable` default instead of leaking past the tunnel (the local network still works, and programs fall back to the
other family at once). Asking for "0.0.0.0/0" alone leaves IPv6 as it was.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from morphnet.errors import ConfigError
from morphnet.host.bases import FIRST
from morphnet.host.facts import MAIN, PROTOCOL, UNICAST, Facts, RouteFact
from morphnet.host.journal import Change
from morphnet.host.kernel import Kernel, LinkState, Missing
from morphnet.host.look import Look
from morphnet.host.outside import Network, within
from morphnet.host.plain import Plain
from morphnet.host.routing import Route, Rule
from morphnet.host.sysctl import Sysctl
from morphnet.host.uplinks import Uplink

BASE = FIRST  # first table and first preference, unless another of us has them
TUN_QUEUE = 1000  # packets
GSO_BYTES, GSO_SEGMENTS = 61000, 64  # of what the stack hands to the TUN at once: must fit one sealed batch
UPLINK_LIMIT = 64  # tables for uplinks


@dataclass(frozen=True, slots=True)
class Address(Plain):
    """An inner address on the TUN."""

    kind: ClassVar[str] = "address"
    device: str
    address: str  # with prefix length

    def apply(self, kernel: Kernel) -> None:
        kernel.add_address(self.device, self.address)

    def undo(self, kernel: Kernel) -> None:
        kernel.remove_address(self.device, self.address)

    def stands(self, look: Look) -> bool:
        return look.has_address(self.device, self.address)

    @property
    def label(self) -> str:
        return f"the addresses of {self.device}"


@dataclass(frozen=True, slots=True)
class LinkUp:
    """The TUN up, with its MTU, queue and device group."""

    kind: ClassVar[str] = "link"
    lasting: ClassVar[bool] = False
    device: str
    mtu: int  # bytes
    group: int  # the rules know our TUN by it
    before: tuple[bool, int, int, int] | None = field(default=None, compare=False)  # the fields of LinkState

    @property
    def place(self) -> Hashable:
        return self.device

    def prepared(self, kernel: Kernel) -> Self:
        if self.before is not None:
            return self  # before us, whatever somebody did to it since
        was = kernel.link(self.device)
        return replace(self, before=(was.up, was.mtu, was.queue, was.group))

    def apply(self, kernel: Kernel) -> None:
        try:  # stays so: turned on again, it would make an address at once
            kernel.set_sysctl(f"net/ipv6/conf/{self.device}/addr_gen_mode", "1")
        except Missing:
            pass  # no IPv6 here
        kernel.set_link(self.device, LinkState(True, self.mtu, TUN_QUEUE, self.group))
        kernel.limit_gso(self.device, GSO_BYTES, GSO_SEGMENTS)

    def undo(self, kernel: Kernel) -> None:
        if kernel.link(self.device).group == self.group and self.before:
            kernel.set_link(self.device, LinkState(*self.before))

    def stands(self, look: Look) -> bool:
        now = look.link(self.device)
        return now is None or (now.up, now.mtu, now.group) == (True, self.mtu, self.group)

    @property
    def label(self) -> str:
        return f"the settings of {self.device}"


def check_routes(routes: Sequence[str]) -> None:
    """
    Whether `routes` are "default" or networks.

    :raises ConfigError: one is neither.
    """
    for each in routes:
        try:
            ipaddress.ip_network("0.0.0.0/0" if each == "default" else each, strict=False)
        except ValueError:
            raise ConfigError(f"routes: '{each}' must be 'default' or a network such as 10.0.0.0/8") from None


def with_length(address: str) -> str:
    """An inner address with its prefix length; without one it stands for itself alone."""
    return ipaddress.ip_interface(address).with_prefixlen


def family_of(address: str) -> int:
    """4 or 6, of an address or prefix."""
    return 6 if ":" in address else 4


def has_ipv6(kernel: Kernel, device: str = "all") -> bool:
    """Whether this machine, or that device, speaks IPv6 at all."""
    try:
        return kernel.sysctl(f"net/ipv6/conf/{device}/disable_ipv6") == "0"
    except Missing:
        return False


def tun_changes(tun: str, mtu: int, inner: Sequence[str], v6: bool, base: int = BASE) -> list[Change]:
    """
    The TUN itself. It gets no link-local address and heeds no router advertisement: nobody routes through it by chance.

    :param inner: inner addresses, with or without prefix length. With one, its network is reached through the TUN.
    :param v6: whether the TUN speaks IPv6.
    """
    deaf = [Sysctl(f"net/ipv6/conf/{tun}/accept_ra", "0")] if v6 else []
    return [*deaf, LinkUp(tun, mtu, base), *(Address(tun, with_length(each)) for each in inner)]


def into_tunnel(tun: str, prefixes: Sequence[str], families: set[int], v6: bool, base: int = BASE) -> list[Change]:
    """
    What sends `prefixes` into the tunnel.

    :param prefixes: "default", or networks in CIDR notation.
    :param families: 4 and 6, as far as the tunnel has an inner address of that family.
    :param v6: whether this machine speaks IPv6.
    """
    whole = {"0.0.0.0/0", "::/0"} if "default" in prefixes else set()
    named = {str(ipaddress.ip_network(each, strict=False)) for each in prefixes if each != "default"}
    changes: list[Change] = []
    for family, everything in ((4, "0.0.0.0/0"), (6, "::/0")):
        own = sorted(each for each in named if family_of(each) == family and each != everything)
        routes = [Route(each, base, tun) for each in own if family in families]
        if everything in whole | named and family in families:
            routes.append(Route(everything, base, tun))
        elif everything in whole and (family == 4 or v6):
            routes.append(Route(everything, base))
        changes += [*routes, Rule(family, base + 99, base)] if routes else []
    return changes


def only_inner(
    changes: Sequence[Change], inner: Sequence[str], inside: Sequence[str], base: int = BASE
) -> list[Change]:
    """
    The same while no path works: what has an inner address at either end goes into the tunnel, all the rest does not.

    :param changes: what sends into the tunnel.
    :param inner: our inner addresses, and `inside` the inner networks and addresses of others.
    """
    ends = [Rule(family_of(each), base + 97, base, source=each) for each in inner]
    ends += [Rule(family_of(each), base + 98, base, destination=_plain(each)) for each in inside]
    return [*(each for each in changes if not isinstance(each, Rule)), *ends]


def _plain(network: str) -> str:
    """As a rule names it: one address has no length."""
    parsed = ipaddress.ip_network(network, strict=False)
    return str(parsed.network_address) if parsed.prefixlen == parsed.max_prefixlen else str(parsed)


def routed(addresses: Sequence[str], prefixes: Sequence[str]) -> list[str]:
    """
    Those of some addresses or networks that go into the tunnel with `prefixes`.

    :param prefixes: "default", or networks in CIDR notation.
    """
    everything = {"default": ("0.0.0.0/0", "::/0")}
    named = [each for prefix in prefixes for each in everything.get(prefix, (prefix,))]
    return [each for each in addresses if within(each, named)]


def around_tunnel(networks: Sequence[Network], prefixes: Sequence[str], v6: bool, base: int = BASE) -> list[Change]:
    """
    What of `prefixes` does not go into the tunnel.

    :param networks: those that stay outside.
    """
    thrown = dict.fromkeys(each.prefix for each in networks if (v6 or ":" not in each.prefix))
    return [Route(each, base, throw=True) for each in routed(list(thrown), prefixes)]


@dataclass(frozen=True, slots=True)
class Provider:
    """A device that leads out, and where it has its routes."""

    slot: int  # 0 .. UPLINK_LIMIT - 1, the same as long as the device is there
    uplink: Uplink
    routes: tuple[RouteFact, ...] = ()  # by it, in the machine's tables


def providers_at(placed: Sequence[tuple[int, Uplink]], facts: Facts) -> list[Provider]:
    """
    The routes by each of them: those in main, and those in the table where its default route is, if that is another.

    :param placed: slot and device, see `Slots`.
    """
    found = []
    for slot, uplink in placed:
        own = [each for each in facts.routes if each.index == uplink.index and each.protocol != PROTOCOL]
        tables = {family: {MAIN, *_elsewhere(own, family)} for family in (4, 6)}
        usable = [each for each in own if each.kind == UNICAST and each.table in tables[each.family]]
        found.append(Provider(slot, uplink, tuple(usable)))
    return found


def _elsewhere(routes: Sequence[RouteFact], family: int) -> list[int]:
    """The table of the best default route, if none is in main."""
    ways = sorted((each for each in routes if each.is_way_out and each.family == family), key=lambda each: each.metric)
    return [] if any(each.table == MAIN for each in ways) else [each.table for each in ways[:1]]


def provider_changes(
    providers: Sequence[Provider], networks: Sequence[Network], inner: Collection[str], v6: bool, base: int = BASE
) -> list[Change]:
    """
    What keeps the traffic of each device that leads out on it.

    :param networks: those that the machine reaches by itself.
    :param inner: our inner addresses; one that a device has as well says nothing of where a packet belongs.
    :param v6: whether this machine speaks IPv6.
    """
    changes: list[Change] = []
    for family in (4, 6) if v6 else (4,):
        here = [each for each in networks if family_of(each.prefix) == family]
        for provider in providers:
            uplink, table = provider.uplink, base + 1 + provider.slot
            addresses = uplink.addresses4 if family == 4 else uplink.addresses6
            if not addresses or not uplink.up:
                continue
            changes += _table_of(provider, here, family, table)
            changes.append(Rule(family, base, MAIN, device=uplink.name))
            changes.append(Rule(family, base + 1, table, device=uplink.name))
            changes.append(Rule(family, base + 2, table, mark=table))  # first: two may have one address
            changes += [Rule(family, base + 3, table, source=each) for each in addresses if each not in inner]
    return changes


def _table_of(provider: Provider, networks: Sequence[Network], family: int, table: int) -> list[Change]:
    """The routes of one family by a device: on-link ones first, at the end its default route, the best of several."""
    uplink, routes = provider.uplink, dict[str, Route]()
    everything = "0.0.0.0/0" if family == 4 else "::/0"
    own = [each for each in provider.routes if each.family == family]
    for fact in sorted(own, key=lambda each: (not each.prefix, bool(each.prefix and each.gateway), each.metric)):
        prefix = fact.prefix or everything
        routes.setdefault(prefix, Route(prefix, table, uplink.name, fact.gateway, fact.source))
    thrown = [each.prefix for each in networks if each.device != uplink.name and each.prefix not in routes]
    if uplink.gateway4 is None and uplink.gateway6 is None:  # named as an uplink: then it leads somewhere
        routes.setdefault(everything, Route(everything, table, uplink.name))
    return [*(Route(each, table, throw=True) for each in dict.fromkeys(thrown)), *routes.values()]


class Slots:
    """Which table belongs to which uplink, by name, for as long as the uplink is there."""

    def __init__(self) -> None:
        self._slots: dict[str, int] = {}

    def keep(self, slots: Mapping[str, int]) -> None:
        """Those that uplinks had before, by name."""
        self._slots = dict(slots)

    def assign(self, uplinks: Sequence[Uplink]) -> list[tuple[int, Uplink]]:
        """Each uplink with its slot; those beyond UPLINK_LIMIT are left out."""
        names = {each.name for each in uplinks}
        self._slots = {name: slot for name, slot in self._slots.items() if name in names}
        placed = []
        for uplink in uplinks:
            if uplink.name not in self._slots:
                free = set(range(UPLINK_LIMIT)) - set(self._slots.values())
                if not free:
                    continue
                self._slots[uplink.name] = min(free)
            placed.append((self._slots[uplink.name], uplink))
        return placed
