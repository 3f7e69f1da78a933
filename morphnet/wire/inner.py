"""
A close look into a packet that comes out of the tunnel: protocol, ports, and which part of a packet it is.

`ip.peek` is for who sends packets on; here is looked as a firewall does, and what cannot be told is a reason to refuse.

Source: RFC 791, RFC 792, RFC 8200, RFC 4443, RFC 3128.
"""

from __future__ import annotations

from typing import NamedTuple

from morphnet.wire.ip import TCP, UDP, View

ICMP, ICMP6 = 1, 58
WHOLE, FIRST, LATER = 0, 1, 2  # of a packet: all, the first fragment, another one
PLAIN, ECHO_REQUEST, ECHO_REPLY, ERROR = 0, 1, 2, 3
_MOST_EXTENSIONS = 8
_HOP, _ROUTING, _FRAGMENT, _DESTINATION = 0, 43, 44, 60
_SKIPPED = frozenset((_HOP, _DESTINATION, 135, 139, 140))  # mobility, HIP, shim6
_SOURCE_ROUTES = frozenset((131, 137))  # options of IPv4
_ERRORS = {ICMP: frozenset((3, 11, 12)), ICMP6: frozenset((1, 2, 3, 4))}
_ECHOES = {(ICMP, 8): ECHO_REQUEST, (ICMP, 0): ECHO_REPLY, (ICMP6, 128): ECHO_REQUEST, (ICMP6, 129): ECHO_REPLY}
_NAMES = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMP6: "icmp"}
_LEAST = {TCP: 20, UDP: 8, ICMP: 8, ICMP6: 8}  # bytes of a transport header in which all is that is looked at


class Inner(NamedTuple):
    """What there is to know of one."""

    source: bytes  # 4 or 16 bytes
    target: bytes
    protocol: int
    transport: int  # offset of the transport header in what was given
    part: int  # WHOLE, FIRST or LATER
    ports: bytes = b""  # source and target, 4 bytes; of an echo its number, 2 bytes
    kind: int = PLAIN  # of ICMP: an echo, or an error
    number: bytes = b""  # of the packet that fragments belong to

    @property
    def from_port(self) -> int:
        """-1 for none."""
        return int.from_bytes(self.ports[:2], "big") if len(self.ports) == 4 else -1

    @property
    def to_port(self) -> int:
        """-1 for none."""
        return int.from_bytes(self.ports[2:], "big") if len(self.ports) == 4 else -1

    @property
    def flow(self) -> bytes:
        """Equal for all that belongs together and goes this way."""
        mark = b"?" if self.kind == ECHO_REPLY else b""
        return self.source + self.target + self.ports + mark

    @property
    def answered(self) -> bytes:
        """The flow that this one would answer."""
        turned = self.ports[2:] + self.ports[:2] if len(self.ports) == 4 else self.ports
        return self.target + self.source + turned

    @property
    def may_be_answered(self) -> bool:
        """Whether what comes back has to be known by this: TCP says itself what is an answer."""
        return self.protocol != TCP and self.part != LATER and self.kind not in (ECHO_REPLY, ERROR)

    @property
    def fragments(self) -> bytes:
        """Equal for all fragments of one packet. In IPv6 what the later ones say of its protocol means nothing."""
        protocol = bytes((self.protocol,)) if len(self.source) == 4 else b""
        return b"".join((self.source, self.target, protocol, self.number))

    @property
    def what(self) -> str:
        """For a person: what it goes to, "80/tcp"."""
        if self.part == LATER:
            return "a fragment"
        if len(self.ports) == 4:
            return f"{self.to_port}/{_NAMES[self.protocol]}"
        return _NAMES.get(self.protocol, f"protocol {self.protocol}")


class Refusal(NamedTuple):
    """Of what nothing more can be told."""

    source: bytes
    target: bytes
    why: str


def look(packet: View, at: int, *, cut: bool = False) -> Inner | Refusal:
    """
    :param at: where the packet begins.
    :param cut: it is the beginning of a packet, in an ICMP error: of its transport header 8 bytes may be all.
    """
    version = packet[at] >> 4 if at < len(packet) else 0
    if version == 4 and len(packet) >= at + 20:
        return _look4(packet, at, cut)
    if version == 6 and len(packet) >= at + 40:
        return _look6(packet, at, cut)
    return Refusal(bytes(4), bytes(4), "no packet")


def _look4(packet: View, at: int, cut: bool) -> Inner | Refusal:
    source, target = bytes(packet[at + 12 : at + 16]), bytes(packet[at + 16 : at + 20])
    size, protocol = (packet[at] & 15) * 4, packet[at + 9]
    if size < 20 or at + size > len(packet) or (size > 20 and _source_routed(bytes(packet[at + 20 : at + size]))):
        return Refusal(source, target, "a source route")
    offset = (packet[at + 6] & 0x1F) << 8 | packet[at + 7]
    part = LATER if offset else FIRST if packet[at + 6] & 0x20 else WHOLE
    found = Inner(source, target, protocol, at + size, part, number=bytes(packet[at + 4 : at + 6]))
    return _transport(packet, found, offset, cut)


def _source_routed(options: bytes) -> bool:
    """Whether it says the way itself, so that the address in front is not the last; so does what cannot be read."""
    at = 0
    while at < len(options) and options[at]:
        if options[at] == 1:
            at += 1
            continue
        if options[at] in _SOURCE_ROUTES or at + 1 >= len(options) or options[at + 1] < 2:
            return True
        at += options[at + 1]
    return False


def _look6(packet: View, at: int, cut: bool) -> Inner | Refusal:
    source, target = bytes(packet[at + 8 : at + 24]), bytes(packet[at + 24 : at + 40])
    protocol, here = packet[at + 6], at + 40
    part, offset, number = WHOLE, 0, b""
    for _ in range(_MOST_EXTENSIONS):
        if protocol not in _SKIPPED and protocol not in (_ROUTING, _FRAGMENT):
            break
        if here + 8 > len(packet):
            return Refusal(source, target, "headers cut short")
        if protocol == _FRAGMENT:
            if part != WHOLE:
                return Refusal(source, target, "a fragment of a fragment")
            offset = (packet[here + 2] << 8 | packet[here + 3]) >> 3
            part = LATER if offset else FIRST  # one that is all of a packet is a first one as well
            number = bytes(packet[here + 4 : here + 8])
            protocol, here = packet[here], here + 8
            if offset:
                break
            continue
        if protocol == _ROUTING and packet[here + 3]:
            return Refusal(source, target, "a source route")
        protocol, here = packet[here], here + 8 * (packet[here + 1] + 1)
    else:
        return Refusal(source, target, "too many headers")
    return _transport(packet, Inner(source, target, protocol, here, part, number=number), offset, cut)


def _transport(packet: View, found: Inner, offset: int, cut: bool) -> Inner | Refusal:
    if found.part == LATER:
        if offset * 8 < _LEAST[TCP]:  # it would write over what the first one was judged by
            return Refusal(found.source, found.target, "a fragment that overlaps")
        return found
    at, protocol = found.transport, found.protocol
    if protocol not in _LEAST:
        return found
    if len(packet) < at + (8 if cut else _LEAST[protocol]):
        return Refusal(found.source, found.target, "headers cut short")
    if protocol in (TCP, UDP):
        return found._replace(ports=bytes(packet[at : at + 4]))
    kind = _ECHOES.get((protocol, packet[at]), PLAIN)
    if kind != PLAIN:
        return found._replace(kind=kind, ports=bytes(packet[at + 4 : at + 6]))
    return found._replace(kind=ERROR) if packet[at] in _ERRORS[protocol] else found
