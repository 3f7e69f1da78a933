"""
What makes a machine a gateway for the tunnel: forwarding, NAT and guards, in an nftables table of our own.

The table `inet morphnet_TUN` holds:

    guard    what comes by another device than the TUN reaches no inner address of this machine and shows none as its
             source, whatever the rest of it says; on a server, what comes from the TUN has a source in the pools
    shield   on a server, nobody outside opens a connection to an inner address, but the networks that may
    clamp    the MSS of TCP through the TUN fits the path: `host/mss`
    nat      with NAT, pool addresses that leave by any other device are masqueraded
    redirect on a server, ports that lead to clients: a connection to one of them goes there, with its source as it is

Networks behind clients (`roles/server/networks`) are treated as the pools are. A device of WireGuard beside the TUN
(`host/wireguard`) is inside as well: what comes by it has a source in the pools, and may go into the tunnel.

Guards come first of all (a raw prerouting chain), so that connection tracking, other rules and sockets never see what
they drop. Source: CVE-2019-14899; wg-quick(8) has a like rule.

Deleting the table undoes all of it. A base chain can forbid what another table allows,
never the reverse: where the machine's own firewall drops forwarded packets, its owner must accept those from and to
the TUN there. Turning forwarding on lets the kernel forward between the machine's other devices as well; that
remains for its own firewall to say.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from morphnet.host import nft
from morphnet.host.journal import Change
from morphnet.host.kernel import Kernel, Missing
from morphnet.host.look import Look
from morphnet.host.mss import clamp_chain
from morphnet.host.owntable import OwnTable
from morphnet.host.sysctl import Sysctl


@dataclass(frozen=True, slots=True)
class NftTable(OwnTable):
    """Our table; which chains it has depends on what is asked for."""

    kind: ClassVar[str] = "nft-table"
    tun: str
    pools: tuple[str, ...] = ()  # networks in CIDR notation; none on a client
    nat: bool = False
    mss_clamp: bool = True
    own: tuple[str, ...] = ()  # addresses of this machine that are reached by the TUN alone
    inside: tuple[str, ...] = ()  # addresses and networks that come as a source by the TUN alone
    reachable_from: tuple[str, ...] = ()  # networks outside that may open connections to the pools
    behind: tuple[str, ...] = ()  # networks behind clients, in CIDR notation
    forwards: tuple[str, ...] = ()  # "PROTOCOL PORT ADDRESS PORT": ports of this machine, and where they lead
    beside: tuple[str, ...] = ()  # other devices with inner addresses behind them

    @property
    def name(self) -> str:
        return f"morphnet_{self.tun}"

    @property
    def devices(self) -> tuple[str, ...]:
        """Those with inner addresses behind them."""
        return self.tun, *self.beside

    def outer(self, key: int) -> bytes:
        """By none of them; `key` says which way."""
        return b"".join(nft.device(key, each, equal=False) for each in self.devices)

    def made(self) -> list[bytes]:
        return chains(self)


def chains(table: NftTable) -> list[bytes]:
    """All chains and rules of the table."""
    name, tun = table.name, table.tun
    made: list[bytes] = []
    if guards := _guards(table):
        made.append(nft.add_chain(name, "guard", "filter", nft.PREROUTING, nft.RAW))
        here = nft.device(nft.IIFNAME, tun)
        made += [nft.add_rule(name, "guard", here, nft.source(each), nft.accept()) for each in table.behind]
        made += [nft.add_rule(name, "guard", each, nft.drop()) for each in guards]
    if table.pools:
        made.append(nft.add_chain(name, "shield", "filter", nft.FORWARD, nft.FILTER))
        for device in table.devices:
            made += _shield(table, nft.device(nft.OIFNAME, device) + table.outer(nft.IIFNAME))
    if table.nat:
        outwards = table.outer(nft.OIFNAME)
        made.append(nft.add_chain(name, "nat", "nat", nft.POSTROUTING, nft.SRCNAT))
        inside = (*table.pools, *table.behind)
        made += [nft.add_rule(name, "nat", outwards, nft.source(each), nft.masquerade()) for each in inside]
    if table.forwards:
        made += _redirects(table)
    if table.mss_clamp:
        made += clamp_chain(name, tun)
    return made


def _shield(table: NftTable, inwards: bytes) -> list[bytes]:
    """:param inwards: matches what comes from outside to one of the devices."""
    name = table.name
    inwards += nft.state(nft.ESTABLISHED | nft.RELATED, equal=False)
    made: list[bytes] = []
    for protocol, _, address, number in _forwards(table):
        called = nft.destination(address) + nft.port(protocol, number) + nft.was_redirected()
        made.append(nft.add_rule(name, "shield", inwards, called, nft.accept()))
    for network in table.reachable_from:
        made.append(nft.add_rule(name, "shield", inwards, nft.source(network), nft.came_by_its_way(), nft.accept()))
    return [*made, nft.add_rule(name, "shield", inwards, nft.drop())]


def _forwards(table: NftTable) -> list[tuple[bytes, int, str, int]]:
    """Protocol, port of this machine, address and port."""
    split = (each.split() for each in table.forwards)
    return [(_PROTOCOLS[protocol], int(here), to, int(there)) for protocol, here, to, there in split]


def _redirects(table: NftTable) -> list[bytes]:
    made = [nft.add_chain(table.name, "redirect", "nat", nft.PREROUTING, nft.DSTNAT)]
    for protocol, number, address, there in _forwards(table):
        family = nft.meta(nft.NFPROTO, nft.IPV6 if ":" in address else nft.IPV4)
        called = family + nft.for_this_machine() + nft.port(protocol, number)
        made.append(nft.add_rule(table.name, "redirect", called, nft.redirect(address, there)))
    return made


def _guards(table: NftTable) -> list[bytes]:
    """What is dropped before anything looks at it."""
    elsewhere = table.outer(nft.IIFNAME)
    elsewhere += nft.device(nft.IIFNAME, "lo", equal=False)  # by which a machine reaches its own addresses
    dropped: list[bytes] = []
    for here in (nft.device(nft.IIFNAME, each) for each in table.devices if table.pools):
        dropped += [here + nft.source(pool, equal=False) for pool in table.pools]
        for family in (nft.IPV4, nft.IPV6):
            if not any((":" in pool) == (family == nft.IPV6) for pool in table.pools):
                dropped.append(here + nft.meta(nft.NFPROTO, family))
    dropped += [elsewhere + nft.destination(address) for address in table.own]
    dropped += [elsewhere + nft.source(network) for network in table.inside]
    return dropped


_PROTOCOLS = {"tcp": nft.TCP, "udp": nft.UDP}
_SWITCH = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}


@dataclass(frozen=True, slots=True)
class Forwarding:
    """
    Forwarding of one family, for all devices.

    The kernel's one switch sets the setting of every device, and for IPv4 `accept_redirects` too; so these are
    written down one by one, and put back one by one.
    """

    kind: ClassVar[str] = "forwarding"
    lasting: ClassVar[bool] = False
    family: int  # 4 or 6
    before: tuple[str, ...] = field(default=(), compare=False)  # "name=value", the switch first

    @property
    def place(self) -> Hashable:
        return self.family

    def prepared(self, kernel: Kernel) -> Self:
        switch, version = _SWITCH[self.family], f"net/ipv{self.family}/conf"
        names = [switch, *kernel.sysctls(f"{version}/*/forwarding")]
        if self.family == 4:
            names.append(f"{version}/all/accept_redirects")
        return replace(self, before=tuple(f"{name}={kernel.sysctl(name)}" for name in names))

    def apply(self, kernel: Kernel) -> None:
        if kernel.sysctl(_SWITCH[self.family]) != "1":
            kernel.set_sysctl(_SWITCH[self.family], "1")

    def undo(self, kernel: Kernel) -> None:
        switch = _SWITCH[self.family]
        was = dict(each.split("=", 1) for each in self.before)
        if was.get(switch) == "1" or kernel.sysctl(switch) != "1":
            return  # not our doing, or somebody has turned it off since
        for name, value in was.items():
            try:
                if kernel.sysctl(name) != value:
                    kernel.set_sysctl(name, value)
            except Missing:
                pass  # that device is gone

    def stands(self, look: Look) -> bool:
        return look.sysctl(_SWITCH[self.family]) in (None, "1")

    @property
    def label(self) -> str:
        return f"forwarding of IPv{self.family}"


def gateway_changes(kernel: Kernel, table: NftTable) -> list[Change]:
    """
    What a server needs; without NAT the guards alone, and forwarding stays as its owner has it, unless networks are
    behind clients, ports lead to them, or some come by another device. Guards come first, so that there is no moment
    without them.
    """
    families = {6 if ":" in pool else 4 for pool in table.pools}
    if not (table.nat or table.behind or table.forwards or table.beside):
        return [table]
    return [table, *forwarding_changes(kernel, families), *(_no_redirects(kernel, table.tun) if 4 in families else ())]


def _no_redirects(kernel: Kernel, tun: str) -> list[Change]:
    """
    What goes from one client to another leaves by the device by which it came: for the kernel that is a detour, of
    which it tells the sender (ICMP redirect). Inside there is no other way. It asks the device's setting and that of
    all, and sends when either says so; other devices keep their own.
    """
    names = (f"net/ipv4/conf/{each}/send_redirects" for each in (tun, "all"))
    return [Sysctl(name, "0") for name in names if kernel.sysctls(name)]


def forwarding_changes(kernel: Kernel, families: Collection[int]) -> list[Change]:
    """
    Forwarding for these families, 4 and 6.

    Forwarding IPv6 makes the kernel forget the default routes that it learned from router advertisements, unless
    `accept_ra` is 2 before.
    """
    changes: list[Change] = []
    if 4 in families:
        changes.append(Forwarding(4))
    if 6 in families:
        learned = [f"net/ipv6/conf/{device}/accept_ra" for device in kernel.router_advertised()]
        changes += [Sysctl(name, "2") for name in learned if kernel.sysctl(name) in ("1", "2")]
        changes.append(Forwarding(6))
    return changes


def only_inside(kernel: Kernel, tun: str, networks: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """
    Those of some networks (or addresses) that no other device than `tun` has an address in, and the devices that have
    one in the others: there what comes by that device cannot be told from what is inside, and nothing must be dropped.
    """
    free, devices = list[str](), list[str]()
    others = [(device, ipaddress.ip_interface(each).ip) for device, each in kernel.all_addresses() if device != tun]
    for each in networks:
        network = ipaddress.ip_network(each, strict=False)
        having = sorted({device for device, address in others if address in network})
        devices += having
        free += [] if having else [each]
    return tuple(free), devices
