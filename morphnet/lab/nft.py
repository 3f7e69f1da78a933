"""
What a router of the lab does to packets, as nftables messages, and its memory of connections.

none         forwards
easy         masquerades; keeps the source port when it can; lets in only answers
easy_af      the same, and lets in whatever comes from an address that was sent to (endpoint-independent mapping,
             address-dependent filtering)
one2one      the same, and lets in everybody (a full cone)
hard         masquerades with a new random port for each destination
firewall     forwards, and lets in from outside only answers
udp_blocked  as easy, and lets no UDP through
udp_small    as easy, and lets no UDP through that is longer than 300 bytes: probes pass, data do not
udp_mute     as easy, and lets no UDP out: what comes in as an answer still does
web_only     as udp_blocked, and lets no TCP through but to port 443

Besides, whatever its kind, it may have a table of mappings that machines inside asked for (lab/portmapper.py).

The lab stands apart from the product, so these few words are its own. Source: linux/netfilter/nf_tables.h; RFC 4787
sections 4 and 5 for the kinds.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

TABLE, SPOKEN_TO = "lab", "spoken_to"
MAPPED = "mapped"  # the table of mappings asked for, and its one chain; it outlives a change of kind
REMEMBERED = 60_000  # milliseconds that an address may send, after it was sent to
FIRST_PORT, PORTS, RANGES = 20000, 1000, 40  # of the ranges that new mappings may be sent to
_NETLINK_NETFILTER = 12
_NESTED, _REQUEST, _ACK, _CREATE, _APPEND = 0x8000, 1, 4, 0x400, 0x800
_NEWTABLE, _DELTABLE, _NEWCHAIN, _NEWRULE, _NEWSET, _BEGIN, _END = 0, 2, 3, 6, 9, 0x10, 0x11
_NFT, _CONNTRACK_GET, _CONNTRACK_DELETE, _INET = 10, 1 << 8 | 1, 1 << 8 | 2, 1
_DUMP, _DONE, _ERROR = 0x300, 3, 2
_CONNECTION, _PROTOCOL, _SOURCE_PORT = 1, 2, 2  # attributes of conntrack: the tuple, in it the part of the protocol
_PREROUTING, _INPUT, _FORWARD, _POSTROUTING = 0, 1, 2, 4
_SOURCE, _DESTINATION = 12, 16  # offsets in an IPv4 header
_TO_PORT = 2  # offset in the header of TCP and UDP
_SET_TIMEOUT, _SET_EVAL, _SET_ID, _ADDRESS_TYPE = 0x10, 0x20, 1, 7
_IIFNAME, _OIFNAME, _NFPROTO, _L4PROTO = 6, 7, 15, 16  # keys of `meta`
_ESTABLISHED_RELATED = 2 | 4
_PORT_RANGE, _RANDOM_FULLY = 1 << 1, 1 << 4  # NF_NAT_RANGE_...
_GREATER = 4  # NFT_CMP_GT
_DROP, _ACCEPT = 0, 1


@dataclass(frozen=True, slots=True)
class Mapping:
    """What comes to a port outside goes to a port of a host inside."""

    protocol: int  # as in an IPv4 header
    outside_port: int
    host: str
    port: int


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _be32(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("!i", value))


def _text(kind: int, value: str) -> bytes:
    return _attribute(kind, value.encode() + b"\0")


def _nest(kind: int, *parts: bytes) -> bytes:
    return _attribute(kind | _NESTED, b"".join(parts))


def _expression(name: str, *parts: bytes) -> bytes:
    return _nest(1, _text(1, name), _nest(2, *parts))


def _equal(value: bytes, operation: int = 0) -> bytes:
    return _expression("cmp", _be32(1, 1), _be32(2, operation), _nest(3, _attribute(1, value)))


def _meta(key: int, value: bytes) -> bytes:
    return _expression("meta", _be32(2, key), _be32(1, 1)) + _equal(value)


def _device(key: int, name: str) -> bytes:
    return _meta(key, name.encode().ljust(16, b"\0"))


def _known() -> bytes:
    """`ct state established,related`."""
    mask = _nest(4, _attribute(1, struct.pack("=I", _ESTABLISHED_RELATED)))
    zero = _nest(5, _attribute(1, bytes(4)))
    bits = _expression("bitwise", _be32(1, 1), _be32(2, 1), _be32(3, 4), mask, zero)
    return _expression("ct", _be32(2, 0), _be32(1, 1)) + bits + _equal(bytes(4), 1)


def _verdict(code: int) -> bytes:
    return _expression("immediate", _be32(1, 0), _nest(2, _nest(2, _be32(1, code))))


def _masquerade(hard: bool, ports: tuple[int, int] | None) -> bytes:
    flags = (_RANDOM_FULLY if hard else 0) | (_PORT_RANGE if ports else 0)
    words, where = b"", b""
    for register, attribute, port in zip((9, 10), (2, 3), ports or (), strict=False):  # 32-bit registers 1 and 2
        words += _expression("immediate", _be32(1, register), _nest(2, _attribute(1, struct.pack("!H", port))))
        where += _be32(attribute, register)
    return words + _expression("masq", *([_be32(1, flags)] if flags else []), where)


def _longer_than(length: int) -> bytes:
    """Whose IPv4 length field says more."""
    load = _expression("payload", _be32(1, 1), _be32(2, 1), _be32(3, 2), _be32(4, 2))
    return load + _equal(struct.pack("!H", length), _GREATER)


def _address(offset: int) -> bytes:
    """Load the address at that offset of an IPv4 header."""
    return _expression("payload", _be32(1, 1), _be32(2, 1), _be32(3, offset), _be32(4, 4))


def _port(number: int, *, but: bool = False) -> bytes:
    """`th dport number`; `but` is `!=`."""
    load = _expression("payload", _be32(1, 1), _be32(2, 2), _be32(3, _TO_PORT), _be32(4, 2))
    return load + _equal(struct.pack("!H", number), int(but))


def _source_port(number: int) -> bytes:
    """`th sport number`."""
    load = _expression("payload", _be32(1, 1), _be32(2, 2), _be32(3, 0), _be32(4, 2))
    return load + _equal(struct.pack("!H", number))


def _to_host(host: str, port: int | None = None) -> bytes:
    """`dnat ip to host:port`; None leaves the port as it is."""
    value = _nest(2, _attribute(1, socket.inet_aton(host)))
    words, where = _expression("immediate", _be32(1, 9), value), _be32(3, 9)
    if port is not None:
        words += _expression("immediate", _be32(1, 10), _nest(2, _attribute(1, struct.pack("!H", port))))
        where += _be32(5, 10)
    return words + _expression("nat", _be32(1, 1), _be32(2, 2), where)


def _strangers(kind: str, outside: str, host: str) -> list[bytes]:
    """What lets those in to whom nobody spoke: all of them, or those at an address that was sent to."""
    four, inward = _meta(_NFPROTO, b"\x02"), _device(_IIFNAME, outside)
    chain = _chain("in", "nat", _PREROUTING, -100)
    if kind == "one2one":
        return [chain, _rule("in", four, inward, _to_host(host))]
    timed = _be32(3, _SET_TIMEOUT | _SET_EVAL) + _attribute(11, struct.pack("!Q", REMEMBERED))
    typed = _be32(4, _ADDRESS_TYPE) + _be32(5, 4) + _be32(10, _SET_ID)
    made = _ask(_NEWSET, _CREATE, _text(1, TABLE) + _text(2, SPOKEN_TO) + timed + typed)
    named = _text(1, SPOKEN_TO) + _be32(2, _SET_ID)
    update = _expression("dynset", named, _be32(3, 1), _be32(4, 1))
    known = _expression("lookup", _text(1, SPOKEN_TO), _be32(2, 1), _be32(4, _SET_ID))
    return [
        made,
        _rule("forward", four, _device(_OIFNAME, outside), _address(_DESTINATION), update),
        chain,
        _rule("in", four, inward, _address(_SOURCE), known, _to_host(host)),
    ]


def _message(kind: int, flags: int, family: int, resource: int, body: bytes = b"") -> bytes:
    payload = struct.pack("!BBH", family, 0, resource) + body
    return struct.pack("=IHHII", 16 + len(payload), kind, _REQUEST | flags, 0, 0) + payload


def _ask(kind: int, flags: int, body: bytes) -> bytes:
    return _message(_NFT << 8 | kind, flags | _ACK, _INET, 0, body)


def _gone(table: str) -> list[bytes]:
    """Whether it was there or not."""
    return [_ask(_NEWTABLE, _CREATE, _text(1, table)), _ask(_DELTABLE, 0, _text(1, table))]


def _chain(name: str, kind: str, hook: int, priority: int, table: str = TABLE) -> bytes:
    hooked = _nest(4, _be32(1, hook), _be32(2, priority))
    return _ask(_NEWCHAIN, _CREATE, _text(1, table) + _text(3, name) + hooked + _be32(5, _ACCEPT) + _text(7, kind))


def _rule(chain: str, *words: bytes, table: str = TABLE) -> bytes:
    return _ask(_NEWRULE, _CREATE | _APPEND, _text(1, table) + _text(2, chain) + _nest(4, *words))


def rules(
    kind: str,
    outside: str,
    ports: tuple[int, int] | None = None,
    host: str = "",
    moved: Iterable[tuple[int, int]] = (),
) -> list[bytes]:
    """
    The table of a router, to replace the one there is.

    :param outside: its device to the internet.
    :param ports: first and last public port of new mappings; None: any.
    :param host: whom strangers reach who are let in: an address inside.
    :param moved: (port inside, public port) of UDP sockets whose new mappings are not like those of others.
    """
    said = _gone(TABLE)
    if kind == "none":
        return said
    said += [_ask(_NEWTABLE, _CREATE, _text(1, TABLE)), _chain("forward", "filter", _FORWARD, 0)]
    if kind == "firewall":
        said.append(_rule("forward", _device(_IIFNAME, outside), _known(), _verdict(_ACCEPT)))
        said.append(_rule("forward", _device(_IIFNAME, outside), _verdict(_DROP)))
        return said
    said += _not_forwarded(kind, outside)
    # A router in a home says nothing to strangers. If it did, its "port unreachable" would end a session whose
    # mapping was just forgotten, and a stranger's packet would occupy the port that the mapping wants back.
    said.append(_chain("input", "filter", _INPUT, 0))
    said.append(_rule("input", _device(_IIFNAME, outside), _known(), _verdict(_ACCEPT)))
    said += [
        _rule("input", _device(_IIFNAME, outside), _meta(_L4PROTO, protocol), _verdict(_DROP))
        for protocol in (b"\x06", b"\x11")
    ]
    if kind in ("easy_af", "one2one"):
        said += _strangers(kind, outside, host)
    return said + _outward(kind, outside, ports, moved)


def _not_forwarded(kind: str, outside: str) -> list[bytes]:
    """What some kinds drop, also where they know the connection."""
    udp, tcp, outward = _meta(_L4PROTO, b"\x11"), _meta(_L4PROTO, b"\x06"), _device(_OIFNAME, outside)
    dropped: dict[str, list[tuple[bytes, ...]]] = {
        "udp_blocked": [(udp,)],
        "udp_small": [(udp, _longer_than(300))],
        "udp_mute": [(outward, udp)],
        "web_only": [(udp,), (tcp, outward, _port(443, but=True))],
    }
    return [_rule("forward", *which, _verdict(_DROP)) for which in dropped.get(kind, [])]


def _outward(kind: str, outside: str, ports: tuple[int, int] | None, moved: Iterable[tuple[int, int]]) -> list[bytes]:
    """What masquerades; IPv6 is forwarded as it is."""
    out = _meta(_NFPROTO, b"\x02"), _device(_OIFNAME, outside)
    said = [_chain("out", "nat", _POSTROUTING, 100)]
    for port, public in moved:
        which = _meta(_L4PROTO, b"\x11"), _source_port(port)
        said.append(_rule("out", *out, *which, _masquerade(False, (public, public))))
    return [*said, _rule("out", *out, _masquerade(kind == "hard", ports))]


def mapped(outside: str, address: str, mappings: Iterable[Mapping]) -> list[bytes]:
    """
    The table of what machines inside asked for, to replace the one there is; no mappings, no table.

    :param outside: the router's device to the internet.
    :param address: its address there.
    """
    said = _gone(MAPPED)
    whither = _address(_DESTINATION) + _equal(socket.inet_aton(address))
    rules = [
        _rule(
            MAPPED,
            _meta(_NFPROTO, b"\x02"),
            _device(_IIFNAME, outside),
            whither,
            _meta(_L4PROTO, bytes([each.protocol])),
            _port(each.outside_port),
            _to_host(each.host, each.port),
            table=MAPPED,
        )
        for each in mappings
    ]
    if not rules:
        return said
    # Before the chain `in` of a router that lets strangers in: a mapping is more particular.
    chain = _chain(MAPPED, "nat", _PREROUTING, -101, table=MAPPED)
    return [*said, _ask(_NEWTABLE, _CREATE, _text(1, MAPPED)), chain, *rules]


def port_range(turn: int) -> tuple[int, int]:
    """First and last port for the `turn`-th remapping; one turn shares nothing with the next."""
    first = FIRST_PORT + turn % RANGES * PORTS
    return first, first + PORTS - 1


def apply(requests: list[bytes]) -> None:
    """
    Do all of these, or nothing, in the network we are in.

    :raises OSError: the first refusal.
    """
    whole = [_message(_BEGIN, 0, 0, _NFT), *requests, _message(_END, 0, 0, _NFT)]
    _exchange(b"".join(whole), len(requests))


def forget_connections() -> None:
    """Empty the table of connections of the network we are in."""
    _exchange(_message(_CONNTRACK_DELETE, _ACK, socket.AF_UNSPEC, 0), 1)


def forget_socket(port: int) -> None:
    """Forget the UDP connections of whoever has that port inside, and no others."""
    for each in _connections():
        protocol = _attributes(_attributes(each)[_PROTOCOL])
        if protocol[1] == b"\x11" and protocol[_SOURCE_PORT] == struct.pack("!H", port):
            said = _message(_CONNTRACK_DELETE, _ACK, socket.AF_INET, 0, _attribute(_CONNECTION | _NESTED, each))
            _exchange(said, 1)


def _connections() -> list[bytes]:
    """The original tuple of every IPv4 connection."""
    found: list[bytes] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER) as door:
        door.settimeout(5)
        door.send(_message(_CONNTRACK_GET, _DUMP, socket.AF_INET, 0))
        while True:
            answers, at = door.recv(1 << 18), 0
            while at + 20 <= len(answers):
                length, kind = struct.unpack_from("=IH", answers, at)
                if kind in (_DONE, _ERROR):
                    return found
                found.append(_attributes(answers[at + 20 : at + length])[_CONNECTION])
                at += length + (-length % 4)


def _attributes(nest: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at + 4 <= len(nest):
        length, kind = struct.unpack_from("=HH", nest, at)
        found[kind & 0x3FFF] = nest[at + 4 : at + length]
        at += length + (-length % 4)
    return found


def _exchange(said: bytes, expected: int) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER) as door:
        door.settimeout(5)
        door.send(said)
        while expected > 0:
            answers, at = door.recv(1 << 18), 0
            while at + 20 <= len(answers):
                length, kind = struct.unpack_from("=IH", answers, at)
                number = -struct.unpack_from("=i", answers, at + 16)[0]
                if kind == 2:
                    expected -= 1
                    if number:
                        raise OSError(number, f"netfilter: {os.strerror(number)} ({errno.errorcode.get(number)})")
                at += length + (-length % 4)
