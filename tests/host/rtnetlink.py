"""What a real kernel said about a device, its addresses and its routes."""

from __future__ import annotations

import struct

from morphnet.host.facts import IFF_LOWER_UP, IFF_UP
from morphnet.host.netlink import attribute

ON = IFF_UP | IFF_LOWER_UP
# From a Linux 6.18 kernel: 192.168.5.2/24 and 2001:db8:5::2/64 on device 3, and the default routes beside them.
ADDRESS4 = bytes.fromhex("021880000300000008000100c0a8050208000200c0a805020800030077616e000800080080000000")
ADDRESS6 = bytes.fromhex("0a408200030000001400010020010db8000500000000000000000002080008008200000000000000")
ROUTE4 = bytes.fromhex("02000000fe0400010000000008000f00fe000000080006006700000008000500c0a805010800040003000000")
ROUTE6 = bytes.fromhex(
    "0a000000fe0400010000000008000f00fe000000080006006700000014000500fe8000000000000000000000000000010800040003000000"
)


def link(index: int, name: str, flags: int = ON, operstate: int = 6) -> bytes:
    """The payload of RTM_NEWLINK."""
    header = struct.pack("=BxHiII", 0, 1, index, flags, 0)
    more = attribute(4, struct.pack("=I", 1500)) + attribute(16, bytes([operstate]))
    return header + attribute(3, name.encode() + b"\0") + more
