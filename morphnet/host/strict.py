"""
A kill switch: what is to go through the tunnel leaves this machine in no other way, whether there is a tunnel or not.

The table `inet morphnet_TUN_strict` looks at what leaves, also at what is forwarded, behind all routes (a postrouting
chain). It stands from before the first call to the server until morphnet stops; a process that is killed leaves it, and
the next one takes it over, so that there is no moment between. These go out:

    by the loopback and by the TUN
    from sockets of morphnet itself, which the mark on them tells: to the server, to relays and peers, and to a DNS
    server that is asked where these are. No address is let through, so nobody gains by a lie about where the server is
    what keeps the machine on its network: DHCP, and IPv6 neighbours and routers (RFC 4861, RFC 3810)
    to networks of the machine's own, by devices that do not lead out: containers, other tunnels
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from morphnet.host import nft
from morphnet.host.outside import Network
from morphnet.host.owntable import OwnTable

_DHCP = ((68, 67), (546, 547))  # of UDP, from and to
_NEIGHBOURS = (133, 135, 136, 143)  # types of ICMPv6: where is a router, a neighbour; here I am; what I listen to


@dataclass(frozen=True, slots=True)
class StrictTable(OwnTable):
    """Our table of that kind."""

    kind: ClassVar[str] = "strict-table"
    tun: str
    mark: int  # of packets of our own sockets
    routes: tuple[str, ...] = ("default",)  # what is to go through the tunnel: "default", or networks
    own: tuple[str, ...] = ()  # "DEVICE NETWORK" of the machine's own

    @property
    def name(self) -> str:
        return f"morphnet_{self.tun}_strict"

    def made(self) -> list[bytes]:
        return strict_chain(self)


def strict_chain(table: StrictTable) -> list[bytes]:
    """The chain `leave`, with its rules."""
    let = [nft.device(nft.OIFNAME, each) for each in ("lo", table.tun)]
    let.append(nft.meta(nft.PACKET_MARK, struct.pack("=I", table.mark)))
    let += [nft.udp_ports(*each) for each in _DHCP]
    let += [nft.icmp6(each) for each in _NEIGHBOURS]
    for device, network in (each.split() for each in table.own):
        let.append(nft.device(nft.OIFNAME, device) + nft.destination(network))
    everything = {"default": ("0.0.0.0/0", "::/0")}
    held = [nft.destination(network) for each in table.routes for network in everything.get(each, (each,))]
    return [
        nft.add_chain(table.name, "leave", "filter", nft.POSTROUTING, nft.FILTER),
        *(nft.add_rule(table.name, "leave", each, nft.accept()) for each in let),
        *(nft.add_rule(table.name, "leave", each, nft.drop()) for each in held),
    ]


def own_networks(networks: Iterable[Network]) -> tuple[str, ...]:
    """Those of the machine's own, as the table has them."""
    return tuple(dict.fromkeys(f"{each.device} {each.prefix}" for each in networks if each.device and not each.local))
