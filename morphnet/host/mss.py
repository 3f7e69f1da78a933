"""
The MSS of TCP that is forwarded into the tunnel, or out of it, is clamped to what the packet's way takes.

Both ends of a connection tell in their SYN the largest segment (MSS) that they take. A machine behind this one does not
know that the tunnel's MTU is less than its cable's; it would learn so from ICMP alone, which many networks drop: then
the connection opens and stands still. Connections of this machine itself need no clamp: the kernel knows its device.

Source: RFC 9293 section 3.7.1; RFC 2923 section 2.1 for connections that stand still.
"""

from __future__ import annotations

from morphnet.host import nft

SYN, RST = 0x02, 0x04  # flags of TCP
MAXSEG = 2  # the TCP option: kind and length, one byte each, then the size, two bytes


def clamp_chain(table: str, tun: str) -> list[bytes]:
    """The chain `clamp` of a table, with its rules: for what comes by the TUN, and for what goes there."""
    ways = nft.device(nft.IIFNAME, tun), nft.device(nft.OIFNAME, tun)
    chain = nft.add_chain(table, "clamp", "filter", nft.FORWARD, nft.MANGLE)
    return [chain, *(nft.add_rule(table, "clamp", way, clamp_mss()) for way in ways)]


def clamp_mss() -> bytes:
    """`tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu`: never raises what is smaller already."""
    return nft.tcp_flags(SYN | RST, SYN) + nft.route_mss() + nft.set_tcp_option(MAXSEG, 2, 2)
