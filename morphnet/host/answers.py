"""
What came in by a device that leads out is answered by it, whoever answers: a container behind a published port, or a
program on an address that says nothing of the device.

A rule that goes by the source address (`morphnet.host.routes`) is enough for most programs on this machine. It is not
for answers that are forwarded, whose source is the container's until the very end, nor where two uplinks have one
address, or an uplink has one that we also have inside. Such connections carry a mark, the number of the device's table.

The nftables table `inet morphnet_TUN_answers` holds:

    arrive    what begins a connection by such a device has the connection marked, unless somebody else has; an answer
              to it gets the mark of its connection before its route is looked up
    leave     so do answers of this machine's own

With the reverse path filter in its strict form (rp_filter=1) a packet for a container is looked up by where it will go,
so that it would be taken for one that came by the wrong device: there what arrives for the device's own address is
marked as well, and the filter told to heed it (src_valid_mark).
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from morphnet.host import nft
from morphnet.host.journal import Change
from morphnet.host.kernel import Kernel, Missing
from morphnet.host.owntable import OwnTable
from morphnet.host.routes import BASE, Provider
from morphnet.host.sysctl import Sysctl

_FORWARDING = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")


@dataclass(frozen=True, slots=True)
class AnswersTable(OwnTable):
    """Our table of that kind."""

    kind: ClassVar[str] = "answers-table"
    tun: str
    devices: tuple[str, ...]
    marks: tuple[int, ...]  # of each device
    strict: tuple[str, ...] = ()  # "DEVICE ADDRESS" where what arrives for that IPv4 address is marked

    @property
    def name(self) -> str:
        return f"morphnet_{self.tun}_answers"

    def made(self) -> list[bytes]:
        return answer_chains(self)


def answer_chains(table: AnswersTable) -> list[bytes]:
    """All chains and rules of the table."""
    name = table.name
    made = [
        nft.add_chain(name, "arrive", "filter", nft.PREROUTING, nft.MANGLE),
        nft.add_chain(name, "leave", "route", nft.OUTPUT, nft.MANGLE),
    ]
    none = struct.pack("=I", 0)
    for device, number in zip(table.devices, table.marks, strict=True):
        here, mark = nft.device(nft.IIFNAME, device), struct.pack("=I", number)
        begins = here + nft.connection(nft.DIRECTION, nft.ORIGINAL) + nft.connection(nft.CONNECTION_MARK, none)
        made.append(nft.add_rule(name, "arrive", begins, nft.mark_connection(mark)))
        answers = nft.connection(nft.DIRECTION, nft.REPLY) + nft.connection(nft.CONNECTION_MARK, mark)
        unmarked = nft.meta(nft.PACKET_MARK, none)
        made += [nft.add_rule(name, chain, answers, unmarked, nft.mark_packet(mark)) for chain in ("arrive", "leave")]
        for own in (each.split()[1] for each in table.strict if each.split()[0] == device):
            made.append(nft.add_rule(name, "arrive", here, nft.destination(own), unmarked, nft.mark_packet(mark)))
    return made


def answer_changes(
    kernel: Kernel, tun: str, providers: Sequence[Provider], inner: Collection[str], base: int = BASE
) -> list[Change]:
    """
    What has answers leave where the questions came in; nothing where a rule by the source address is enough.

    :param inner: our inner addresses.
    """
    up = [each for each in providers if each.uplink.up]
    counted = Counter(address for each in up for address in (*each.uplink.addresses4, *each.uplink.addresses6))
    unclear = any(count > 1 for count in counted.values()) or counted.keys() & set(inner)
    if not up or not (unclear or any(_value(kernel, each) == "1" for each in _FORWARDING)):
        return []
    names = tuple(each.uplink.name for each in up)
    strict = [each.uplink for each in up if is_strict(kernel, each.uplink.name)]
    heed: list[Change] = [Sysctl(f"net/ipv4/conf/{each.name}/src_valid_mark", "1") for each in strict]
    own = tuple(f"{each.name} {address}" for each in strict for address in each.addresses4)
    return [*heed, AnswersTable(tun, names, tuple(base + 1 + each.slot for each in up), own)]


def is_strict(kernel: Kernel, device: str) -> bool:
    """
    Whether its reverse path filter is in the strict form: the stronger of the two settings counts.

    Source: IN_DEV_RPFILTER in linux/inetdevice.h.
    """
    return max(_value(kernel, f"net/ipv4/conf/{each}/rp_filter") for each in ("all", device)) == "1"


def _value(kernel: Kernel, name: str) -> str:
    try:
        return kernel.sysctl(name)
    except Missing:
        return ""
