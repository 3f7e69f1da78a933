"""
Asking a router at home for a port: MAP requests of PCP and of NAT-PMP, and their answers. IPv4 only.

Source: RFC 6887 sections 7 and 11 (PCP), RFC 6886 section 3 (NAT-PMP).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from morphnet.errors import BugError, MalformedFrame

ROUTER_PORT = 5351  # UDP, of both protocols
UDP, TCP = 17, 6  # protocol numbers
NONCE = 12  # bytes
SUCCESS, UNSUPPORTED_VERSION = 0, 1  # result codes of both protocols
PMP_ADDRESS_REQUEST = b"\0\0"
PCP_RESULTS = {
    2: "not authorized",
    3: "malformed request",
    4: "unsupported opcode",
    5: "unsupported option",
    6: "malformed option",
    7: "the router has no way out",
    8: "no resources",
    9: "unsupported protocol",
    10: "over the quota",
    11: "cannot provide the address or port asked for",
    12: "another NAT stands between",
    13: "too many peers",
}
PMP_RESULTS = {
    2: "not authorized",
    3: "the router has no way out",
    4: "no resources",
    5: "unsupported opcode",
}

_PCP, _PMP = 2, 0  # versions
_MAP, _ANSWER = 1, 0x80
_PMP_OPCODES = {UDP: 1, TCP: 2}
_PMP_PROTOCOLS = {opcode: protocol for protocol, opcode in _PMP_OPCODES.items()}
_MAPPED = bytes(10) + b"\xff\xff"  # what stands before an IPv4 address in 16 bytes
_PCP_REQUEST = struct.Struct("!BBxxI16s")  # version, opcode, lifetime, our address: 24 bytes
_PCP_ANSWER = struct.Struct("!BBxBII12x")  # version, opcode, result, lifetime, epoch: 24 bytes
_PCP_MAP = struct.Struct("!12sBxxxHH16s")  # nonce, protocol, inside port, outside port and address: 36 bytes
_PCP_LONGEST = 1100  # bytes
_PMP_MAP = struct.Struct("!BBxxHHI")  # version, opcode, inside port, outside port, lifetime: 12 bytes
_PMP_HEAD = struct.Struct("!BBHI")  # version, opcode, result, epoch: 8 bytes
_PMP_MAPPED = struct.Struct("!HHI")  # inside port, outside port, lifetime


@dataclass(frozen=True, slots=True)
class MapRequest:
    """Let the outside reach this port of ours."""

    host: str  # our own address, as the router sees it; NAT-PMP goes by the source of the datagram
    nonce: bytes  # 12 bytes, the same for every request about one mapping; not in NAT-PMP
    protocol: int  # UDP, TCP; PCP takes any
    inside_port: int
    lifetime: int  # seconds, u32; 0 gives the mapping back
    outside_host: str = "0.0.0.0"  # what we should like to have; not in NAT-PMP
    outside_port: int = 0


@dataclass(frozen=True, slots=True)
class PcpMapping:
    """A router's answer to a MAP request of PCP."""

    result: int  # SUCCESS, one of PCP_RESULTS, or a code that we do not know
    lifetime: int  # seconds, u32: of the mapping, or how long the refusal is likely to hold
    epoch: int  # seconds since the router lost its mappings, u32
    nonce: bytes
    protocol: int
    inside_port: int
    host: str  # outside; "" in a refusal without an IPv4 address
    port: int  # outside


@dataclass(frozen=True, slots=True)
class PmpAddress:
    """A router's answer to PMP_ADDRESS_REQUEST."""

    result: int  # SUCCESS, one of PMP_RESULTS, or a code that we do not know
    epoch: int  # seconds since the router lost its mappings, u32
    host: str  # outside; "0.0.0.0" for none, and in a refusal


@dataclass(frozen=True, slots=True)
class PmpMapping:
    """A router's answer to a mapping request of NAT-PMP; in a refusal everything behind `protocol` may be 0."""

    result: int  # SUCCESS, one of PMP_RESULTS, or a code that we do not know
    epoch: int  # seconds since the router lost its mappings, u32
    protocol: int
    inside_port: int
    port: int  # outside
    lifetime: int  # seconds, u32


@dataclass(frozen=True, slots=True)
class WrongVersion:
    """The router does not speak the version that it was asked in."""

    version: int  # that it speaks instead: 0 is NAT-PMP


Answer = PcpMapping | PmpAddress | PmpMapping | WrongVersion


def _address(host: str) -> bytes:
    return _MAPPED + IPv4Address(host).packed


def encode_pcp(request: MapRequest) -> bytes:
    """
    A MAP request of PCP, 60 bytes.

    Source: RFC 6887 sections 7.1 and 11.1.
    """
    if len(request.nonce) != NONCE:
        raise BugError(f"a nonce of {len(request.nonce)} bytes")
    wanted = _address(request.outside_host)
    head = _PCP_REQUEST.pack(_PCP, _MAP, request.lifetime, _address(request.host))
    return head + _PCP_MAP.pack(request.nonce, request.protocol, request.inside_port, request.outside_port, wanted)


def encode_pmp(request: MapRequest) -> bytes:
    """
    A mapping request of NAT-PMP, 12 bytes.

    Source: RFC 6886 section 3.3.
    """
    if request.protocol not in _PMP_OPCODES:
        raise BugError(f"NAT-PMP cannot map protocol {request.protocol}")
    opcode = _PMP_OPCODES[request.protocol]
    return _PMP_MAP.pack(_PMP, opcode, request.inside_port, request.outside_port, request.lifetime)


def decode_answer(datagram: bytes) -> Answer:
    """
    Parse what a router answered, in either protocol.

    :raises MalformedFrame: it is no answer to any request of ours.

    Source: RFC 6887 sections 7.2, 9 and 11.1; RFC 6886 sections 3.2, 3.3 and 3.5. The result of both protocols ends
    with the fourth byte, so that the answer in the wrong version is understood by who asked in another.
    """
    if not _PMP_HEAD.size <= len(datagram) <= _PCP_LONGEST:
        raise MalformedFrame(f"answer of {len(datagram)} bytes")
    version, opcode = datagram[0], datagram[1]
    if datagram[3] == UNSUPPORTED_VERSION and not datagram[2]:
        return WrongVersion(version)
    if not opcode & _ANSWER:
        raise MalformedFrame("a request where an answer was expected")
    if version == _PCP:
        return _pcp(datagram, opcode & ~_ANSWER)
    if version == _PMP:
        return _pmp(datagram, opcode & ~_ANSWER)
    raise MalformedFrame(f"answer of version {version}")


def _pcp(datagram: bytes, opcode: int) -> PcpMapping:
    # Options, and what a later version puts behind, are none of our business.
    if opcode != _MAP or len(datagram) < _PCP_ANSWER.size + _PCP_MAP.size or len(datagram) % 4:
        raise MalformedFrame(f"PCP answer of {len(datagram)} bytes to opcode {opcode}")
    _, _, result, lifetime, epoch = _PCP_ANSWER.unpack_from(datagram)
    nonce, protocol, inside, outside, packed = _PCP_MAP.unpack_from(datagram, _PCP_ANSWER.size)
    four = IPv6Address(packed).ipv4_mapped
    if four is None and result == SUCCESS:
        raise MalformedFrame("a mapping to no IPv4 address")
    return PcpMapping(result, lifetime, epoch, nonce, protocol, inside, str(four or ""), outside)


def _pmp(datagram: bytes, opcode: int) -> PmpAddress | PmpMapping:
    _, _, result, epoch = _PMP_HEAD.unpack_from(datagram)
    body = datagram[_PMP_HEAD.size :]
    if result != SUCCESS:
        body = body.ljust(_PMP_MAPPED.size, b"\0")  # some routers end a refusal here
    if opcode == 0 and len(body) >= 4:
        return PmpAddress(result, epoch, str(IPv4Address(body[:4])))
    if opcode in _PMP_PROTOCOLS and len(body) >= _PMP_MAPPED.size:
        return PmpMapping(result, epoch, _PMP_PROTOCOLS[opcode], *_PMP_MAPPED.unpack_from(body))
    raise MalformedFrame(f"NAT-PMP answer of {len(datagram)} bytes to opcode {opcode}")


def refusal(answer: PcpMapping | PmpAddress | PmpMapping) -> str:
    """What a result other than SUCCESS means, for people."""
    known = PCP_RESULTS if isinstance(answer, PcpMapping) else PMP_RESULTS
    return known.get(answer.result, f"result {answer.result}")
