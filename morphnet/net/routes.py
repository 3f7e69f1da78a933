"""
Addresses, routes and policy rules: what sends packets into the tunnel, and keeps the tunnel itself out of it.

Nothing in the machine's main table is touched, with one exception: split-tunnel prefixes are put there, over the
TUN, so that the longest prefix decides between them and the machine's own routes; they vanish with the device.

Tables, counted from BASE (7300, or the `base` that is asked for):

    BASE           `default dev TUN`, when the tunnel takes everything
    BASE + 1 ..    one per uplink: its default route, copied from main

Rules, by preference, for IPv4 and IPv6 alike:

    BASE           lookup main, but no default route and nothing over our TUN: what the machine knows better
    BASE + 1       oif UPLINK  -> its table: sockets bound to an uplink leave by it
    BASE + 2       from SOURCE -> its table: so do sockets bound to its address, and answers to who asked it
    BASE + 10 + i  to SERVER   -> table of the i-th uplink: sockets not bound to anything yet
    BASE + 98      lookup main, but no default route
    BASE + 99      lookup table BASE: the rest enters the tunnel

Because of the `from` rules, reverse path filtering in its strict form (rp_filter=1) is content.

"default" among the prefixes means IPv4 and IPv6. If the tunnel has no address of one family, that family gets an
`unreachable` default instead of leaking past the tunnel (the local network still works, and programs fall back to the
other family at once). Asking for "0.0.0.0/0" alone leaves IPv6 as it was.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from morphnet.net.journal import Change
from morphnet.net.kernel import Kernel, LinkState, Missing
from morphnet.net.look import Look
from morphnet.net.sysctl import Sysctl
from morphnet.net.uplinks import Uplink

BASE = 7300  # first table and first preference
MAIN = 254  # the machine's own table
TUN_QUEUE = 1000  # packets
GSO_BYTES, GSO_SEGMENTS = 61000, 64  # of what the stack hands to the TUN at once: must fit one sealed batch
UPLINK_LIMIT = 64  # tables for uplinks


@dataclass(frozen=True, slots=True)
class Address:
    """An inner address on the TUN."""

    kind: ClassVar[str] = "address"
    lasting: ClassVar[bool] = False
    device: str
    address: str  # with prefix length

    @property
    def place(self) -> Hashable:
        return self

    def prepared(self, kernel: Kernel) -> Self:
        return self

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


@dataclass(frozen=True, slots=True)
class Route:
    """One route, marked as ours by its protocol number."""

    kind: ClassVar[str] = "route"
    lasting: ClassVar[bool] = False
    prefix: str  # "0.0.0.0/0"
    table: int
    device: str = ""  # "" for an unreachable route
    gateway: str = ""  # "" for on-link; may be IPv6 for an IPv4 prefix

    @property
    def place(self) -> Hashable:
        return self

    def prepared(self, kernel: Kernel) -> Self:
        return self

    def apply(self, kernel: Kernel) -> None:
        kernel.add_route(self)

    def undo(self, kernel: Kernel) -> None:
        kernel.remove_route(self)

    def stands(self, look: Look) -> bool:
        return look.has_route(self)

    @property
    def label(self) -> str:
        return "routes"


@dataclass(frozen=True, slots=True)
class Rule:
    """One policy rule, marked as ours by its protocol number."""

    kind: ClassVar[str] = "rule"
    lasting: ClassVar[bool] = False
    family: int  # 4 or 6
    preference: int
    table: int
    device: str = ""  # of sockets bound to it; "" for any
    source: str = ""  # an address; "" for any
    destination: str = ""  # an address; "" for any
    specific: bool = False  # pass over default routes
    avoid: int = 0  # pass over routes by devices of this group; 0 for none

    @property
    def place(self) -> Hashable:
        return self

    def prepared(self, kernel: Kernel) -> Self:
        return self

    def apply(self, kernel: Kernel) -> None:
        kernel.add_rule(self)

    def undo(self, kernel: Kernel) -> None:
        kernel.remove_rule(self)

    def stands(self, look: Look) -> bool:
        return look.has_rule(self)

    @property
    def label(self) -> str:
        return "policy rules"


def with_length(address: str) -> str:
    """An inner address with its prefix length; without one it stands for itself alone."""
    return ipaddress.ip_interface(address).with_prefixlen


def family_of(address: str) -> int:
    """4 or 6, of an address or prefix."""
    return ipaddress.ip_interface(address).version


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
    for prefix in sorted(named - {"0.0.0.0/0", "::/0"}):
        if family_of(prefix) in families:
            changes.append(Route(prefix, MAIN, tun))
    for family, prefix in ((4, "0.0.0.0/0"), (6, "::/0")):
        if family in families and prefix in whole | named:
            changes.append(Route(prefix, base, tun))
        elif prefix in whole and (family == 4 or v6):
            changes.append(Route(prefix, base))
        else:
            continue
        changes.append(Rule(family, base + 98, MAIN, specific=True))
        changes.append(Rule(family, base + 99, base))
    return changes


def uplink_changes(
    uplinks: Sequence[tuple[int, Uplink]], servers: Sequence[str], v6: bool, base: int = BASE
) -> list[Change]:
    """
    What keeps each uplink's own traffic on it.

    :param uplinks: slot (0 .. UPLINK_LIMIT - 1, the same as long as the uplink is there) and uplink, the best first.
    :param servers: outer addresses of the server.
    :param v6: whether this machine speaks IPv6.
    """
    changes: list[Change] = []
    for family in (4, 6) if v6 else (4,):
        everything = "0.0.0.0/0" if family == 4 else "::/0"
        if uplinks:
            changes.append(Rule(family, base, MAIN, specific=True, avoid=base))
        for place, (slot, uplink) in enumerate(uplinks):
            table = base + 1 + slot
            addresses = uplink.addresses4 if family == 4 else uplink.addresses6
            gateway = uplink.gateway4 if family == 4 else uplink.gateway6
            if not addresses or not uplink.up:
                continue
            changes.append(Route(everything, table, uplink.name, gateway or ""))
            changes.append(Rule(family, base + 1, table, device=uplink.name))
            changes += [Rule(family, base + 2, table, source=each) for each in addresses]
            if gateway is not None:
                own = [each for each in servers if family_of(each) == family]
                changes += [Rule(family, base + 10 + place, table, destination=each) for each in own]
    return changes


class Slots:
    """Which table belongs to which uplink, by name, for as long as the uplink is there."""

    def __init__(self) -> None:
        self._slots: dict[str, int] = {}

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
