"""
What makes a client a way to networks behind it: forwarding, and an nftables table of our own.

The table `inet morphnet_TUN_behind` holds:

    arrive    what begins a connection out of the tunnel has the connection marked; an answer to it gets the mark before
              its route is looked up, and a rule by that mark sends it back into the tunnel, whatever `routes` says
    leave     so do answers of this machine's own: to whom a port of the server leads, with the caller's own address
    through   out of the tunnel nothing is forwarded but to these networks, and what peers send whose exit this is;
              unless they are routed, nobody there begins a connection into the tunnel
    nat       what goes there has this machine's address, so that nothing there needs a route back; not if it is routed

Turning forwarding on lets the kernel forward between the machine's other devices as well; that remains for its own
firewall to say.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from morphnet.host import nft
from morphnet.host.answers import is_strict
from morphnet.host.journal import Change
from morphnet.host.kernel import Kernel
from morphnet.host.nat import forwarding_changes
from morphnet.host.owntable import OwnTable
from morphnet.host.routes import BASE, family_of
from morphnet.host.routing import Route, Rule
from morphnet.host.sysctl import Sysctl

BACK = 70  # our table of the way back, and its mark, counted from the first of ours: behind those of uplinks


@dataclass(frozen=True, slots=True)
class Behind:
    """What a client is a way to; nothing, and all is as without morphnet."""

    networks: tuple[str, ...] = ()  # in CIDR notation
    called: bool = False  # itself, by way of the server's ports
    routed: bool = False  # the networks know the way back
    exits: tuple[str, ...] = ()  # the world, for peers that have these inner addresses


@dataclass(frozen=True, slots=True)
class BehindTable(OwnTable):
    """Our table of that kind."""

    kind: ClassVar[str] = "behind-table"
    tun: str
    mark: int  # of connections that began out of the tunnel
    networks: tuple[str, ...] = ()  # behind this machine, in CIDR notation; none: it is only called itself
    routed: bool = False  # they know the way back
    exits: tuple[str, ...] = ()  # inner addresses that may go everywhere through this machine

    @property
    def name(self) -> str:
        return f"morphnet_{self.tun}_behind"

    def made(self) -> list[bytes]:
        return [*_marking(self), *(_through(self) if self.networks or self.exits else ())]


def _marking(table: BehindTable) -> list[bytes]:
    name, mark, none = table.name, struct.pack("=I", table.mark), struct.pack("=I", 0)
    begins = nft.device(nft.IIFNAME, table.tun) + nft.connection(nft.DIRECTION, nft.ORIGINAL)
    answers = nft.connection(nft.DIRECTION, nft.REPLY) + nft.connection(nft.CONNECTION_MARK, mark)
    answers += nft.meta(nft.PACKET_MARK, none)
    return [
        nft.add_chain(name, "arrive", "filter", nft.PREROUTING, nft.MANGLE),
        nft.add_chain(name, "leave", "route", nft.OUTPUT, nft.MANGLE),
        nft.add_rule(name, "arrive", begins, nft.connection(nft.CONNECTION_MARK, none), nft.mark_connection(mark)),
        *(nft.add_rule(name, chain, answers, nft.mark_packet(mark)) for chain in ("arrive", "leave")),
    ]


def _through(table: BehindTable) -> list[bytes]:
    name, goes_on = table.name, nft.state(nft.ESTABLISHED | nft.RELATED)
    out, into = nft.device(nft.IIFNAME, table.tun), nft.device(nft.OIFNAME, table.tun)
    made = [nft.add_chain(name, "through", "filter", nft.FORWARD, nft.FILTER)]
    made.append(nft.add_rule(name, "through", goes_on, nft.accept()))
    made += [nft.add_rule(name, "through", out, nft.destination(each), nft.accept()) for each in table.networks]
    made += [nft.add_rule(name, "through", out, nft.source(each), nft.accept()) for each in table.exits]
    made.append(nft.add_rule(name, "through", out, nft.drop()))
    ours = nft.connection(nft.CONNECTION_MARK, struct.pack("=I", table.mark))
    made.append(nft.add_chain(name, "nat", "nat", nft.POSTROUTING, nft.SRCNAT))
    made += [nft.add_rule(name, "nat", ours, nft.source(each), nft.masquerade()) for each in table.exits]
    if table.routed:
        return made
    made += [nft.add_rule(name, "through", into, nft.source(each), nft.drop()) for each in table.networks]
    made += [nft.add_rule(name, "nat", ours, nft.destination(each), nft.masquerade()) for each in table.networks]
    return made


def behind_changes(kernel: Kernel, table: BehindTable, inner: Collection[str], base: int = BASE) -> list[Change]:
    """
    What a client needs that networks are behind, or that is called by way of the server's ports.

    :param inner: its inner addresses.
    """
    tun, mark, families = table.tun, table.mark, sorted({family_of(each) for each in inner})
    changes: list[Change] = [table]
    for family in families:
        changes.append(Route("0.0.0.0/0" if family == 4 else "::/0", mark, tun))
        changes.append(Rule(family, base + 2, mark, mark=mark))
    if 4 in families and is_strict(kernel, tun):
        changes.append(Sysctl(f"net/ipv4/conf/{tun}/rp_filter", "2"))  # what comes may be from anywhere
    return changes + forwarding_changes(kernel, {family_of(each) for each in (*table.networks, *table.exits)})
