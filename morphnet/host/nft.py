"""
nftables, as netlink messages: tables, chains, rules, and the expressions that our rules are made of.

A rule is the concatenation of expressions; each reads like a word of `nft`. Every comparison goes through register 1.
The product needs no `nft` program. Source: linux/netfilter/nf_tables.h; `nft --debug=netlink` shows the same words.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2s

from morphnet.host.netlink import (
    F_ACK,
    F_APPEND,
    F_CREATE,
    F_REQUEST,
    NESTED,
    attribute,
    attribute_pairs,
    attributes,
    message,
    messages,
)

PREROUTING, FORWARD, OUTPUT, POSTROUTING = 0, 2, 3, 4  # hooks
RAW, MANGLE, DSTNAT, FILTER, SRCNAT = -300, -150, -100, 0, 100  # priorities
PACKET_MARK, IIFNAME, OIFNAME, NFPROTO, L4PROTO = 3, 6, 7, 15, 16  # keys of `meta`
_USER = 10  # likewise
DIRECTION, CONNECTION_MARK = 1, 3  # keys of `ct`
ORIGINAL, REPLY = b"\0", b"\1"  # directions
IPV4, IPV6, TCP, UDP, ICMP6 = b"\x02", b"\x0a", b"\x06", b"\x11", b"\x3a"  # what the last two may be
INVALID, ESTABLISHED, RELATED = 1, 2, 4  # connection states
REDIRECTED = 0x20  # of the status of a connection: its destination was changed
_SUBSYSTEM, _INET = 10, 1
_NEWTABLE, _DELTABLE, _NEWCHAIN, _NEWRULE, _BEGIN, _END = 0, 2, 3, 6, 0x10, 0x11
_GETTABLE, _GETCHAIN, _GETRULE = 1, 4, 7
_REGISTER, _SECOND, _VERDICT = 1, 2, 0
_EQUAL, _UNEQUAL, _LESS, _AT_MOST, _AT_LEAST = 0, 1, 2, 3, 5
_NETWORK, _TRANSPORT = 1, 2  # header that `payload` counts from


def _be32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("!i" if value < 0 else "!I", value))


def _text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def _nest(kind: int, *parts: bytes) -> bytes:
    return attribute(kind | NESTED, b"".join(parts))


def _expression(name: str, *parts: bytes) -> bytes:
    return _nest(1, _text(1, name), _nest(2, *parts))


def _compare(value: bytes, equal: bool) -> bytes:
    operation = _be32(2, _EQUAL if equal else _UNEQUAL)
    return _expression("cmp", _be32(1, _REGISTER), operation, _nest(3, attribute(1, value)))


def _mask(mask: bytes) -> bytes:
    zero = _nest(5, attribute(1, bytes(len(mask))))
    return _expression(
        "bitwise", _be32(1, _REGISTER), _be32(2, _REGISTER), _be32(3, len(mask)), _nest(4, attribute(1, mask)), zero
    )


def _load(base: int, offset: int, length: int) -> bytes:
    return _expression("payload", _be32(1, _REGISTER), _be32(2, base), _be32(3, offset), _be32(4, length))


def meta(key: int, value: bytes, *, equal: bool = True) -> bytes:
    """`meta KEY VALUE`: NFPROTO or L4PROTO, one byte."""
    return _expression("meta", _be32(2, key), _be32(1, _REGISTER)) + _compare(value, equal)


def device(key: int, name: str, *, equal: bool = True) -> bytes:
    """`iifname NAME` or `oifname NAME`."""
    return meta(key, name.encode().ljust(16, b"\0"), equal=equal)


def source(network: str, *, equal: bool = True) -> bytes:
    """`ip saddr NETWORK` or `ip6 saddr NETWORK`, in CIDR notation."""
    return _end(network, (12, 8), equal)


def destination(network: str, *, equal: bool = True) -> bytes:
    """`ip daddr NETWORK` or `ip6 daddr NETWORK`, in CIDR notation."""
    return _end(network, (16, 24), equal)


def _end(network: str, offsets: tuple[int, int], equal: bool) -> bytes:
    """:param offsets: where the address is in an IPv4 and in an IPv6 header."""
    net = ipaddress.ip_network(network, strict=False)
    family, offset = (IPV4, offsets[0]) if net.version == 4 else (IPV6, offsets[1])
    load = _load(_NETWORK, offset, len(net.network_address.packed)) + _mask(net.netmask.packed)
    return meta(NFPROTO, family) + load + _compare(net.network_address.packed, equal)


def state(states: int, *, equal: bool = True) -> bytes:
    """`ct state ...`: any of these; or, if not `equal`, none of them."""
    mask = struct.pack("=I", states)
    return _expression("ct", _be32(2, 0), _be32(1, _REGISTER)) + _mask(mask) + _compare(bytes(4), not equal)


def came_by_its_way() -> bytes:
    """`fib saddr . iif oif exists`: an answer to the source would leave by the device that the packet came in by."""
    result, flags = _be32(2, 1), _be32(3, 0x1 | 0x8)  # an index; by source address and device
    return _expression("fib", _be32(1, _REGISTER), result, flags) + _compare(bytes(4), False)


def for_this_machine() -> bytes:
    """`fib daddr type local`."""
    result, flags = _be32(2, 3), _be32(3, 0x2)  # the kind of address; of the destination
    return _expression("fib", _be32(1, _REGISTER), result, flags) + _compare(struct.pack("=I", 2), True)


def was_redirected() -> bytes:
    """`ct status dnat`."""
    load = _expression("ct", _be32(2, 2), _be32(1, _REGISTER))
    return load + _mask(struct.pack("=I", REDIRECTED)) + _compare(bytes(4), False)


def redirect(address: str, number: int) -> bytes:
    """`dnat to ADDRESS:NUMBER`."""
    to = ipaddress.ip_address(address)
    family = 2 if to.version == 4 else 10
    there = _immediate(to.packed) + _immediate(struct.pack("!H", number), _SECOND)
    return there + _expression("nat", _be32(1, 1), _be32(2, family), _be32(3, _REGISTER), _be32(5, _SECOND))


def user(number: int) -> bytes:
    """`meta skuid NUMBER`: of packets of this machine's own."""
    return meta(_USER, struct.pack("=I", number))


def port(protocol: bytes, number: int) -> bytes:
    """`tcp dport NUMBER` or `udp dport NUMBER`."""
    return meta(L4PROTO, protocol) + _load(_TRANSPORT, 2, 2) + _compare(struct.pack("!H", number), True)


def ports(protocol: bytes, first: int, last: int) -> bytes:
    """`tcp dport FIRST-LAST` or `udp dport FIRST-LAST`; all of them where that says so."""
    if not first and last == 0xFFFF:
        return meta(L4PROTO, protocol)
    bounds = ((_AT_LEAST, first), (_AT_MOST, last))
    compared = (
        _expression("cmp", _be32(1, _REGISTER), _be32(2, how), _nest(3, attribute(1, struct.pack("!H", bound))))
        for how, bound in bounds
    )
    return meta(L4PROTO, protocol) + _load(_TRANSPORT, 2, 2) + b"".join(compared)


def in_turn(parts: int, among: int) -> bytes:
    """`numgen inc mod AMONG < PARTS`: so many in a row, of every AMONG that come here."""
    count = _expression("numgen", _be32(1, _REGISTER), _be32(2, among), _be32(3, 0))
    ordered = _be32(3, 1), _be32(4, 4), _be32(5, 4)  # a count is told as this machine writes numbers
    swapped = _expression("byteorder", _be32(1, _REGISTER), _be32(2, _REGISTER), *ordered)
    below = _nest(3, attribute(1, struct.pack("!I", parts)))
    return count + swapped + _expression("cmp", _be32(1, _REGISTER), _be32(2, _LESS), below)


def jump(chain: str) -> bytes:
    """`jump CHAIN`, in the same table."""
    return _expression("immediate", _be32(1, _VERDICT), _nest(2, _nest(2, _be32(1, -3), _text(2, chain))))


def accept() -> bytes:
    """`accept`."""
    return _verdict(1)


def connection(key: int, value: bytes) -> bytes:
    """`ct direction VALUE` or `ct mark VALUE`."""
    return _expression("ct", _be32(2, key), _be32(1, _REGISTER)) + _compare(value, True)


def mark_connection(mark: bytes) -> bytes:
    """`ct mark set MARK`"""
    return _immediate(mark) + _expression("ct", _be32(2, CONNECTION_MARK), _be32(4, _REGISTER))


def mark_packet(mark: bytes) -> bytes:
    """`meta mark set MARK`"""
    return _immediate(mark) + _expression("meta", _be32(2, PACKET_MARK), _be32(3, _REGISTER))


def _immediate(value: bytes, register: int = _REGISTER) -> bytes:
    return _expression("immediate", _be32(1, register), _nest(2, attribute(1, value)))


def drop() -> bytes:
    """`drop`."""
    return _verdict(0)


def counted() -> bytes:
    """`counter`: packets and bytes that come here, for `nft list` and `counted_packets`."""
    return _expression("counter")


def back() -> bytes:
    """`return`: on in the chain that has jumped here."""
    return _verdict(-5)


def _verdict(code: int) -> bytes:
    return _expression("immediate", _be32(1, _VERDICT), _nest(2, _nest(2, _be32(1, code))))


def masquerade() -> bytes:
    """`masquerade`."""
    return _expression("masq")


def tcp_flags(among: int, those: int) -> bytes:
    """`tcp flags & AMONG == THOSE`, and so TCP alone."""
    return meta(L4PROTO, TCP) + _load(_TRANSPORT, 13, 1) + _mask(bytes([among])) + _compare(bytes([those]), True)


def route_mss() -> bytes:
    """`rt mtu`: the largest MSS for the way that a packet takes, into the register, as two bytes of the network."""
    mss = _expression("rt", _be32(2, 3), _be32(1, _REGISTER))  # key 3: tcpmss
    return mss + _expression(
        "byteorder", _be32(1, _REGISTER), _be32(2, _REGISTER), _be32(3, 1), _be32(4, 2), _be32(5, 2)
    )


def set_tcp_option(kind: int, offset: int, length: int) -> bytes:
    """`tcp option KIND FIELD set`, from the register: `length` bytes of that option, from byte `offset` of it."""
    option = attribute(2, bytes([kind])) + _be32(3, offset) + _be32(4, length)
    tcp_option = _be32(6, 1)
    return _expression("exthdr", _be32(7, _REGISTER), option, tcp_option)


def udp_ports(source: int, to: int) -> bytes:
    """`udp sport SOURCE udp dport TO`."""
    return meta(L4PROTO, UDP) + _load(_TRANSPORT, 0, 4) + _compare(struct.pack("!HH", source, to), True)


def icmp6(kind: int) -> bytes:
    """`icmpv6 type KIND`."""
    return meta(L4PROTO, ICMP6) + _load(_TRANSPORT, 0, 1) + _compare(bytes([kind]), True)


def _message(kind: int, flags: int, family: int, resource: int, body: bytes = b"") -> bytes:
    header = struct.pack("!BBH", family, 0, resource)
    return message(kind, F_REQUEST | flags, 0, header + body)


def _request(kind: int, flags: int, body: bytes) -> bytes:
    return _message(_SUBSYSTEM << 8 | kind, flags | F_ACK, _INET, 0, body)


def add_table(name: str) -> bytes:
    """`add table inet NAME`."""
    return _request(_NEWTABLE, F_CREATE, _text(1, name))


def delete_table(name: str) -> bytes:
    """`delete table inet NAME`, with all that is in it."""
    return _request(_DELTABLE, 0, _text(1, name))


def table_anew(name: str) -> list[bytes]:
    """An empty table, whether there was one or not."""
    return [add_table(name), delete_table(name), add_table(name)]


def add_chain(table: str, name: str, kind: str, hook: int, priority: int) -> bytes:
    """`add chain inet TABLE NAME { type KIND hook HOOK priority PRIORITY; policy accept; }`"""
    hooked = _nest(4, _be32(1, hook), _be32(2, priority))
    return _request(_NEWCHAIN, F_CREATE, _text(1, table) + _text(3, name) + hooked + _be32(5, 1) + _text(7, kind))


def add_plain_chain(table: str, name: str) -> bytes:
    """`add chain inet TABLE NAME`: one that rules jump to."""
    return _request(_NEWCHAIN, F_CREATE, _text(1, table) + _text(3, name))


def add_rule(table: str, chain: str, *expressions: bytes) -> bytes:
    """
    `add rule inet TABLE CHAIN EXPRESSIONS comment "morphnet MARK"`: the mark is a digest of the expressions. The kernel
    gives expressions back in words of its own, the comment as it was: it tells later whether this rule is still there.
    """
    body = _nest(4, *expressions)
    comment = b"morphnet " + blake2s(body, digest_size=6).hexdigest().encode() + b"\0"
    noted = attribute(7, bytes([0, len(comment)]) + comment)  # user data: type 0 is a comment
    return _request(_NEWRULE, F_CREATE | F_APPEND, _text(1, table) + _text(2, chain) + body + noted)


def transaction(requests: list[bytes]) -> list[bytes]:
    """What makes the kernel take all of these, or none."""
    return [_message(_BEGIN, 0, 0, _SUBSYSTEM), *requests, _message(_END, 0, 0, _SUBSYSTEM)]


Part = tuple[str | int, ...]  # ("table", flags), ("chain", name, hook, priority, policy) or ("rule", chain, comment)


def outline(found: Iterable[tuple[int, bytes]], table: str) -> tuple[Part, ...]:
    """
    What there is of a table, whether these are requests that make it or answers of the kernel.

    :param found: type (the lower byte) and payload of each message; those of other tables are passed over.
    """
    parts: list[Part] = []
    for kind, payload in found:
        values = attributes(payload[4:])
        if values.get(1, b"").rstrip(b"\0").decode(errors="replace") != table:
            continue
        if kind == _NEWTABLE:
            parts.append(("table", _number(values.get(2))))
        elif kind == _NEWCHAIN:
            hook = attributes(values.get(4, b""))
            place = _number(hook.get(1)), _number(hook.get(2))
            parts.append(("chain", _word(values.get(3)), *place, _number(values.get(5), 1)))
        elif kind == _NEWRULE:
            parts.append(("rule", _word(values.get(2)), _word(values.get(7))))
    return tuple(sorted(parts, key=lambda part: part[:2]))  # rules of a chain stay in their order


def made_outline(requests: Sequence[bytes], table: str) -> tuple[Part, ...]:
    """What the kernel tells of a table that these requests have filled, while nobody has touched it."""
    made = messages(add_table(table) + b"".join(requests))
    return outline([(kind & 0xFF, body) for kind, _, body in made], table)


def read_table(dump: Callable[[int, bytes], list[bytes]], table: str) -> list[tuple[int, bytes]]:
    """
    What the kernel tells of a table, for `outline`.

    :param dump: asks for all of a kind of message.
    """
    header = struct.pack("!BBH", _INET, 0, 0)
    found = []
    for get, new, of in (
        (_GETTABLE, _NEWTABLE, b""),
        (_GETCHAIN, _NEWCHAIN, b""),
        (_GETRULE, _NEWRULE, _text(1, table)),
    ):
        found += [(new, each) for each in dump(_SUBSYSTEM << 8 | get, header + of)]
    return found


def counted_packets(dump: Callable[[int, bytes], list[bytes]], table: str, chain: str) -> int:
    """
    Packets that were counted by the rules of a chain, see `counted`.

    :param dump: asks for all of a kind of message.
    """
    header, total = struct.pack("!BBH", _INET, 0, 0), 0
    for payload in dump(_SUBSYSTEM << 8 | _GETRULE, header + _text(1, table) + _text(2, chain)):
        for _, expression in attribute_pairs(attributes(payload[4:]).get(4, b"")):
            parts = attributes(expression)
            if _word(parts.get(1)) == "counter":
                total += int.from_bytes(attributes(parts.get(2, b"")).get(2, b""))  # NFTA_COUNTER_PACKETS
    return total


def _word(value: bytes | None) -> str:
    return (value or b"").strip(b"\0").decode(errors="replace")


def _number(value: bytes | None, otherwise: int = 0) -> int:
    return int(struct.unpack("!I", value)[0]) if value is not None and len(value) == 4 else otherwise
