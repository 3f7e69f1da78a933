"""
The flows that the kernel tracks: marks of ours for those that were there before us, and an end to those with one.

A flow by a dead uplink is forgotten, so that its next packet begins anew by another one. TCP cannot go on from another
address: what is this machine's own is reset at once, what is forwarded by its far end.

The kernel itself forgets what it has translated on a device that goes down, and nothing tells which flows those were:
who only listens would wait for ever. Their sockets are found as those that have no flow any more, though they were not
idle for so long that it would have ended by itself.

Source: linux/netfilter/nfnetlink_conntrack.h, linux/inet_diag.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import EOPNOTSUPP

from morphnet.errors import HostError
from morphnet.host.adopting import Ends
from morphnet.host.netlink import (
    F_ACK,
    F_REQUEST,
    NESTED,
    NETLINK_NETFILTER,
    NetlinkSocket,
    attribute,
    attributes,
    message,
)

MOST_SOCKETS = 4096  # that are reset at once
_SOCK_DIAG, _BY_FAMILY, _SOCK_DESTROY = 4, 20, 21  # netlink protocol; message types
_ESTABLISHED = 1 << 1  # of the states of a TCP socket
_INFO = 2  # attribute, and the bit that asks for it: struct tcp_info
_SOCKET_SIZE = 72  # bytes before the attributes
_QUIET = struct.Struct("=44xI4xII")  # of it: milliseconds since data was sent, since some came, and since an ACK did
_SOCKET = struct.Struct("!B3xHH16s16s")  # how one is told: family, ports and addresses of both ends
_MAPPED = bytes(10) + b"\xff\xff"  # before an IPv4 address in one of IPv6
_NEW, _GET, _DELETE = 1 << 8, 1 << 8 | 1, 1 << 8 | 2  # message types
_ORIGINAL, _REPLY, _MARK, _ZONE, _MARK_MASK = 1, 2, 8, 18, 21  # attributes
_AT_ONCE = 64  # messages in one datagram
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_ANY_STATE, _NO_COOKIE = 0xFFFFFFFF, b"\xff" * 8


@dataclass(frozen=True, slots=True)
class Flow:
    """One TCP flow, from who began it."""

    source: str
    source_port: int
    to: str
    to_port: int

    @property
    def ends(self) -> tuple[str, str]:
        """Both addresses."""
        return self.source, self.to


def _marked(family: int, mark: int) -> bytes:
    """Version 1 of the header makes the kernel heed the family when flows are forgotten."""
    head = struct.pack("!BBH", _FAMILIES[family], 1, 0)
    return head + attribute(_MARK, struct.pack("!I", mark)) + attribute(_MARK_MASK, b"\xff" * 4)


def tcp_flow(payload: bytes, mark: int) -> Flow | None:
    """What the kernel tells of one; None if it is not TCP, or has another mark."""
    values = attributes(payload[4:])
    ends = attributes(values.get(_ORIGINAL, b""))
    ports = attributes(ends.get(2, b""))
    if values.get(_MARK) != struct.pack("!I", mark) or ports.get(1) != b"\x06":
        return None
    source, to = _addresses(values.get(_ORIGINAL, b""))
    numbers = [ports.get(2, b""), ports.get(3, b"")]
    if not source or any(len(each) != 2 for each in numbers):
        return None
    first, second = (int.from_bytes(each, "big") for each in numbers)
    return Flow(source, first, to, second)


def socket_flow(payload: bytes) -> Flow | None:
    """The TCP socket that the kernel tells of, as a flow that it has begun; None if it is torn."""
    if len(payload) < _SOCKET.size:
        return None
    kind, port, to_port, source, to = _SOCKET.unpack_from(payload)
    if kind == socket.AF_INET6 and not to.startswith(_MAPPED):
        return Flow(socket.inet_ntop(kind, source), port, socket.inet_ntop(kind, to), to_port)
    at = 0 if kind == socket.AF_INET else len(_MAPPED)
    ends = [socket.inet_ntop(socket.AF_INET, each[at : at + 4]) for each in (source, to)]
    return Flow(ends[0], port, ends[1], to_port)


def idle_of(payload: bytes) -> float:
    """Seconds since that socket sent or heard something; infinite if the kernel does not tell."""
    told = attributes(payload[_SOCKET_SIZE:]).get(_INFO, b"")
    return min(_QUIET.unpack_from(told)) / 1000 if len(told) >= _QUIET.size else float("inf")


def looking_up(flow: Flow) -> bytes:
    """What makes the kernel tell of a flow by one of its directions, or that there is none."""
    kind, types = (socket.AF_INET6, (3, 4)) if ":" in flow.source else (socket.AF_INET, (1, 2))
    ends = [attribute(which, socket.inet_pton(kind, each)) for which, each in zip(types, flow.ends, strict=True)]
    ports = struct.pack("!H", flow.source_port), struct.pack("!H", flow.to_port)
    numbers = attribute(1, bytes([socket.IPPROTO_TCP])) + attribute(2, ports[0]) + attribute(3, ports[1])
    both = attribute(1 | NESTED, b"".join(ends)) + attribute(2 | NESTED, numbers)
    return message(_GET, F_REQUEST | F_ACK, 1, struct.pack("!BBH", kind, 0, 0) + attribute(_ORIGINAL | NESTED, both))


def marking(payload: bytes, mark_of: Callable[[Ends, int], int]) -> bytes:
    """What makes the kernel mark a flow as `mark_of` says; nothing if it has that mark, or is torn."""
    values = attributes(payload[4:])
    if _ORIGINAL not in values or _REPLY not in values or len(values.get(_MARK, bytes(4))) != 4:
        return b""
    before = int.from_bytes(values.get(_MARK, b""), "big")
    (source, to), (_, back) = (_addresses(values[each]) for each in (_ORIGINAL, _REPLY))
    mark = mark_of(Ends(source, to, back), before) if source and back else before
    if mark == before:
        return b""
    which = attribute(_ORIGINAL | NESTED, values[_ORIGINAL])
    which += attribute(_ZONE, values[_ZONE]) if _ZONE in values else b""
    head = struct.pack("!BBH", payload[0], 0, 0)
    return message(_NEW, F_REQUEST, 1, head + which + attribute(_MARK, struct.pack("!I", mark)))


def _addresses(ends: bytes) -> tuple[str, str]:
    """From and to, in one direction of a flow; "" if it is torn."""
    found = attributes(attributes(ends).get(1, b""))
    source, to = (found.get(four) or found.get(six, b"") for four, six in ((1, 3), (2, 4)))
    if len(source) != len(to) or len(source) not in (4, 16):
        return "", ""
    kind = socket.AF_INET if len(source) == 4 else socket.AF_INET6
    return socket.inet_ntop(kind, source), socket.inet_ntop(kind, to)


def destroying(flow: Flow) -> bytes:
    """What makes the kernel reset the socket of this machine that has begun a flow."""
    kind = socket.AF_INET6 if ":" in flow.source else socket.AF_INET
    ends = [socket.inet_pton(kind, each).ljust(16, b"\0") for each in (flow.source, flow.to)]
    place = struct.pack("!HH", flow.source_port, flow.to_port) + b"".join(ends) + bytes(4) + _NO_COOKIE
    head = struct.pack("=BBBBI", kind, socket.IPPROTO_TCP, 0, 0, _ANY_STATE)
    return message(_SOCK_DESTROY, F_REQUEST | F_ACK, 1, head + place)


class Flows:
    """The flows of this network namespace."""

    def reset(self, family: int, mark: int, own: Collection[str]) -> int:
        """
        Reset the TCP connections of one family with that mark that programs here have begun; answers with their number.

        :param own: addresses of this machine that they are from.
        :raises HostError: the kernel refuses.
        """
        with _asking("cannot reset the flows of an uplink") as asking:
            found = asking.dump(_GET, _marked(family, mark))
            flows = [each for each in (tcp_flow(payload, mark) for payload in found) if each is not None]
            return _reset([each for each in flows if each.source in own][:MOST_SOCKETS])

    def untracked(self, family: int, is_outside: Callable[[str], bool], kept: float) -> list[Flow]:
        """
        The TCP connections of this machine that have no flow, of one family.

        :param is_outside: whether an address of a far end matters.
        :param kept: seconds for which the kernel keeps the flow of one that is idle; who is so for longer is left out.
        :raises HostError: the kernel does not tell.
        """
        with _asking("cannot look at the connections of this machine", _SOCK_DIAG) as asking:
            kinds = (socket.AF_INET, socket.AF_INET6) if family == 4 else (socket.AF_INET6,)  # may speak IPv4 too
            told = [each for kind in kinds for each in asking.dump(_BY_FAMILY, _established(kind))]
            told = [each for each in told if idle_of(each) < kept]
        flows = [each for each in map(socket_flow, told) if each is not None and (":" in each.to) == (family == 6)]
        with _asking("cannot look up the flows of this machine") as asking:
            far = [each for each in flows if is_outside(each.to)][:MOST_SOCKETS]
            return [each for each in far if not _is_tracked(asking, each)]

    def end(self, flows: Iterable[Flow]) -> int:
        """
        Reset these connections of this machine; answers with how many there were.

        :raises HostError: the kernel refuses.
        """
        return _reset(flows)

    def mark(self, family: int, mark_of: Callable[[Ends, int], int]) -> int:
        """
        Mark all flows of one family anew; answers with the number of those that get another mark.

        :param mark_of: the mark of one, by its addresses and the mark that it has.
        :raises HostError: the kernel refuses.
        """
        with _asking("cannot mark the flows that are there") as asking:
            found = asking.dump(_GET, struct.pack("!BBH", _FAMILIES[family], 0, 0))
            changes = [each for each in (marking(payload, mark_of) for payload in found) if each]
            for at in range(0, len(changes), _AT_ONCE):
                asking.transact(changes[at : at + _AT_ONCE], expected=0)
                asking.drain()  # some may have ended meanwhile
            return len(changes)

    def forget(self, family: int, mark: int) -> None:
        """
        Forget all flows of one family with that mark.

        :raises HostError: the kernel refuses.
        """
        with _asking("cannot forget the flows of an uplink") as asking, suppress(FileNotFoundError):  # there is none
            asking.transact([message(_DELETE, F_REQUEST | F_ACK, 1, _marked(family, mark))], expected=1)


def _established(kind: int) -> bytes:
    return struct.pack("=BBBxI48x", kind, socket.IPPROTO_TCP, 1 << _INFO - 1, _ESTABLISHED)


def _is_tracked(asking: NetlinkSocket, flow: Flow) -> bool:
    try:
        asking.transact([looking_up(flow)], expected=1)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _asking(what: str, protocol: int = NETLINK_NETFILTER) -> Iterator[NetlinkSocket]:
    try:
        asking = NetlinkSocket(protocol)
        try:
            yield asking
        finally:
            asking.close()
    except OSError as error:
        raise HostError(f"{what}: {error.strerror or error}") from error


def _reset(flows: Iterable[Flow]) -> int:
    """A socket that has gone meanwhile is no trouble; a kernel that cannot leaves it to the far end."""
    asking, count = NetlinkSocket(_SOCK_DIAG), 0
    try:
        for flow in flows:
            try:
                asking.transact([destroying(flow)], expected=1)
                count += 1
            except OSError as error:
                if error.errno == EOPNOTSUPP:
                    break
    finally:
        asking.close()
    return count
