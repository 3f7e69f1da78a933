"""
The nftables table `inet morphnet_balance`: which uplink a flow leaves by, and that it stays there.

A flow carries the number of its uplink's routing table as connection mark, which nobody changes while it lives.

    arrive   what comes by an uplink marks its flow, with CAME_IN besides if it begins one; what others send through
             this machine gets its flow's mark before its route is looked up, or that of the uplink which a policy
             names for it
    leave    so does what this machine sends; a new flow that would leave by any of the uplinks is dealt out
    deal4    the policies first, then each uplink in turn, as many flows in a row as its share says; deal6 likewise.
             A TCP segment that begins nothing is not dealt out: its flow was there before us
    stay     the flow is marked with the uplink that it really leaves by
    nat      and has that uplink's address

What others send through this machine is dealt out by the route itself (`morphnet.host.multipath`), as the device by
which it would leave is not known before. Source: mwan3 does it with iptables; the marks here are whole numbers.

A flow that came in by an uplink stays on it, whether that leads out or not: whoever has come in hears the answer by no
other. So it has a number of its own, and nothing that ends the flows of a dead uplink touches it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from morphnet.host import nft
from morphnet.host.owntable import OwnTable

NAME = "morphnet_balance"
CAME_IN = 1 << 16  # beyond the number of any table of ours
_FAMILIES = ((4, nft.IPV4), (6, nft.IPV6))
_NONE = struct.pack("=I", 0)
_SYN, _SYN_ACK = 0x02, 0x12
_DEAL = {4: "deal4", 6: "deal6"}


@dataclass(frozen=True, slots=True)
class DealingTable(OwnTable):
    """Our table."""

    kind: ClassVar[str] = "dealing-table"
    devices: tuple[str, ...]
    marks: tuple[int, ...]  # of each device
    parts4: tuple[int, ...]  # what each gets of new flows; 0 for none
    parts6: tuple[int, ...]
    pins: tuple[str, ...] = ()  # "MARK FAMILY WHAT", in order; the first that fits holds: see `pin`

    @property
    def name(self) -> str:
        return NAME

    def made(self) -> list[bytes]:
        return [*_chains(), *_arriving(self), *_leaving(self), *_dealing(self), *_staying(self)]


def pin(mark: int, family: int, what: str) -> str:
    """
    :param what: "to NETWORK", "from NETWORK", "tcp PORT", "udp PORT" or "user NUMBER".
    """
    return f"{mark} {family} {what}"


def _chains() -> list[bytes]:
    return [
        nft.add_plain_chain(NAME, "deal4"),
        nft.add_plain_chain(NAME, "deal6"),
        nft.add_chain(NAME, "arrive", "filter", nft.PREROUTING, nft.MANGLE),
        nft.add_chain(NAME, "leave", "route", nft.OUTPUT, nft.MANGLE),
        nft.add_chain(NAME, "stay", "filter", nft.POSTROUTING, nft.MANGLE),
        nft.add_chain(NAME, "nat", "nat", nft.POSTROUTING, nft.SRCNAT),
    ]


def _unmarked() -> bytes:
    return nft.meta(nft.PACKET_MARK, _NONE)


def _fresh() -> bytes:
    """Of a flow that has no uplink yet."""
    return nft.connection(nft.CONNECTION_MARK, _NONE) + _unmarked()


def _arriving(table: DealingTable) -> list[bytes]:
    made, elsewhere = list[bytes](), b""
    for device, mark in zip(table.devices, table.marks, strict=True):
        here = nft.device(nft.IIFNAME, device) + nft.connection(nft.CONNECTION_MARK, _NONE)
        begins = here + nft.connection(nft.DIRECTION, nft.ORIGINAL)
        made.append(nft.add_rule(NAME, "arrive", begins, nft.mark_connection(_packed(mark | CAME_IN))))
        made.append(nft.add_rule(NAME, "arrive", here, nft.mark_connection(_packed(mark))))
        elsewhere += nft.device(nft.IIFNAME, device, equal=False)
    for mark in _kept(table):
        ours = elsewhere + nft.connection(nft.CONNECTION_MARK, _packed(mark)) + _unmarked()
        made.append(nft.add_rule(NAME, "arrive", ours, nft.mark_packet(_packed(mark))))
    begins = elsewhere + nft.connection(nft.DIRECTION, nft.ORIGINAL) + _fresh()
    for each in table.pins:
        mark, family, what = _parsed(each)
        if not what.startswith("user "):
            made.append(_pinned("arrive", begins, mark, family, what))
    return made


def _kept(table: DealingTable) -> list[int]:
    """The numbers of flows that have their way."""
    return [number for mark in table.marks for number in (mark, mark | CAME_IN)]


def _leaving(table: DealingTable) -> list[bytes]:
    made = list[bytes]()
    for mark in _kept(table):
        ours = nft.connection(nft.CONNECTION_MARK, _packed(mark)) + _unmarked()
        made.append(nft.add_rule(NAME, "leave", ours, nft.mark_packet(_packed(mark))))
    first = nft.connection(nft.DIRECTION, nft.ORIGINAL) + _fresh()
    for device in table.devices:
        out = first + nft.device(nft.OIFNAME, device)
        for family, number in _FAMILIES:
            way = out + nft.meta(nft.NFPROTO, number)
            to = nft.jump(_DEAL[family])
            made.append(nft.add_rule(NAME, "leave", way, nft.meta(nft.L4PROTO, nft.TCP, equal=False), to))
            made.append(nft.add_rule(NAME, "leave", way, nft.tcp_flags(_SYN_ACK, _SYN), to))
    return made


def _dealing(table: DealingTable) -> list[bytes]:
    made = [_pinned(_DEAL[family], _unmarked(), mark, family, what) for mark, family, what in map(_parsed, table.pins)]
    for family, parts in ((4, table.parts4), (6, table.parts6)):
        given = [(mark, part) for mark, part in zip(table.marks, parts, strict=True) if part]
        made += _turns(_DEAL[family], given)
    return made


def _turns(chain: str, given: Sequence[tuple[int, int]]) -> list[bytes]:
    """Of what the first does not take the second takes its part, and so on; the last takes what is left."""
    made, left = list[bytes](), sum(part for _, part in given)
    for mark, part in given:
        turn = nft.in_turn(part, left) if part < left else b""
        made.append(nft.add_rule(NAME, chain, _unmarked(), turn, nft.mark_packet(_packed(mark))))
        left -= part
    return made


def _staying(table: DealingTable) -> list[bytes]:
    made = list[bytes]()
    for device, mark in zip(table.devices, table.marks, strict=True):
        out = nft.device(nft.OIFNAME, device)
        none = nft.connection(nft.CONNECTION_MARK, _NONE)
        made.append(nft.add_rule(NAME, "stay", out, none, nft.mark_connection(_packed(mark))))
        made.append(nft.add_rule(NAME, "nat", out, nft.masquerade()))
    return made


def _pinned(chain: str, when: bytes, mark: int, family: int, what: str) -> bytes:
    kind, _, value = what.partition(" ")
    fits = {
        "to": nft.destination,
        "from": nft.source,
        "tcp": lambda each: nft.port(nft.TCP, int(each)),
        "udp": lambda each: nft.port(nft.UDP, int(each)),
        "user": lambda each: nft.user(int(each)),
    }[kind](value)
    of = nft.meta(nft.NFPROTO, dict(_FAMILIES)[family])
    return nft.add_rule(NAME, chain, when, of, fits, nft.mark_packet(_packed(mark)))


def _parsed(text: str) -> tuple[int, int, str]:
    mark, family, what = text.split(" ", 2)
    return int(mark), int(family), what


def _packed(mark: int) -> bytes:
    return struct.pack("=I", mark)
