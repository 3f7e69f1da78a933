"""One UDP socket, in batches: UDP GSO out, UDP GRO in, answers from the address that was asked."""

from __future__ import annotations

import errno
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor, IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.net.joining import joined
from morphnet.net.ring import ring
from morphnet.net.sockaddr import PKTINFO_SPACE, Address, Ancillary, endpoint, sockaddr, source
from morphnet.net.stamps import SCM_TIMESTAMPNS, STAMP_SPACE, Stamps, ask_for_stamps
from morphnet.net.udpsocket import UDP_GRO, UDP_SEGMENT, bind, settle
from morphnet.wire.batch import MAX_BATCH, MAX_SEGMENTS, Arrival, Departure, Endpoint

SLOT = 65536  # bytes of one receive; the longest UDP payload is 65527
READS = 64  # most receives in one wake-up
BUDGET = 1_000_000  # bytes after which a wake-up ends, so that receiving does not starve sending
BACKLOG = 256 << 10  # most bytes that wait for a writable socket
KNOWN = 4096  # most addresses remembered in either direction

# What a kernel or a device says that cannot do UDP GSO, or not with segments that long.
_GSO_REFUSALS = frozenset({errno.EINVAL, errno.EIO, errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.EMSGSIZE})

_CUT = int(socket.MSG_TRUNC | socket.MSG_CTRUNC)  # as an enum, its `|` costs a microsecond a receive
_UDP, _SOCKET = int(socket.IPPROTO_UDP), int(socket.SOL_SOCKET)
_INT = struct.Struct("=i")
_PORTION = struct.Struct("=H")


@dataclass(slots=True)
class _Route:
    """An Endpoint as system calls want it."""

    address: Address
    source: tuple[Ancillary, ...]  # empty, or the control message with the address to send from
    gso: bool = True  # false once the kernel refused it on this way (its device, or IPsec on it)


class _Waiting(NamedTuple):
    """What a full socket buffer left over."""

    route: _Route
    departure: Departure


@implementer(IReadDescriptor, IWriteDescriptor)
class UdpDoor:
    """
    A non-blocking UDP socket that receives and sends runs of datagrams.

    At most 64 receives at once are handed to `received`, in the order of arrival; their views are overwritten after it
    returns. An arrival's `local` is filled in when the door is bound to a wildcard, and "" when there is only one
    address that it can have been. Whatever goes wrong with single datagrams is counted, never raised.
    """

    quick = True  # see net/quickwait
    buffer = 4 << 20  # bytes of the kernel's receive and send buffers, each

    too_big: Callable[[Departure], None] | None = None
    """Told of a departure whose datagrams are longer than the device's MTU; nothing is ever fragmented."""

    def __init__(
        self,
        reactor: IReactorFDSet,
        number: int,
        received: Callable[[Sequence[Arrival]], None],
        *,
        host: str = "",
        port: int = 0,
        device: str = "",
    ) -> None:
        """
        :param number: this door's name in every Arrival and Departure.
        :param host: numeric address to bind; IPv6 if it has a colon; "" is the IPv4 wildcard.
        :param device: network device to bind to, "" for any.
        """
        self.number = number
        self.host, self.port, self.device = host, port, device
        self.local: tuple[str, int] = (host, port)  # as the kernel bound it, once open
        self.sent = self.received = 0  # datagrams
        self.sent_bytes = self.received_bytes = 0  # UDP payload
        self.send_calls = self.receive_calls = 0  # system calls
        self.refused = 0  # datagrams that the kernel would not take, or that found the backlog full
        self.truncated = 0  # receives thrown away because they were cut short
        self.empty = 0  # datagrams without a byte
        self.errors: dict[str, int] = {}  # system calls that failed, by name of the error
        self._reactor, self._received = reactor, received
        self._six = ":" in host
        self._socket: socket.socket | None = None
        self._wildcard = host in ("", "0.0.0.0", "::")
        self._gso = self._gro = True  # no refusal yet
        self._ring = ring(READS, SLOT)
        self._scatter = [[slot] for slot in self._ring]
        self._ancillary = socket.CMSG_SPACE(_INT.size) + PKTINFO_SPACE + STAMP_SPACE
        self._stamps = Stamps()
        self._sources: dict[tuple[object, bytes], Endpoint] = {}
        self._routes: dict[Endpoint, _Route] = {}
        self._segments: dict[int, Ancillary] = {}
        self._lonely = False  # one datagram came in the turn before, or none
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0

    # -- life ---------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """
        Bind and start receiving.

        :raises HostError: the machine refuses the device, the address or the port.
        """
        assert self._socket is None, "open already"
        opened = self.make_socket()
        try:
            self._gro = settle(opened, self._wildcard, self.buffer)
            ask_for_stamps(opened)
            self.local = bind(opened, self.host, self.port, self.device)
        except BaseException:
            opened.close()
            raise
        self._socket = opened
        self._reactor.addReader(self)

    def close(self) -> None:
        """Stop; what waits for a writable socket is dropped. Closing twice does nothing."""
        if self._socket is None:
            return
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)
        self._drop_waiting()
        self._socket.close()
        self._socket = None

    def make_socket(self) -> socket.socket:
        """A fresh socket of the right family."""
        return socket.socket(socket.AF_INET6 if self._six else socket.AF_INET, socket.SOCK_DGRAM)

    def offloads(self) -> tuple[str, ...]:
        """What the kernel does for us: ("gso", "gro"), each with "no " in front where it refused (on any way)."""
        return ("gso" if self._gso else "no gso", "gro" if self._gro else "no gro")

    def counters(self) -> dict[str, int]:
        """Everything counted since the start, by name; errors as `error_ENETUNREACH`."""
        counted = {
            "sent": self.sent,
            "received": self.received,
            "sent_bytes": self.sent_bytes,
            "received_bytes": self.received_bytes,
            "send_calls": self.send_calls,
            "receive_calls": self.receive_calls,
            "refused": self.refused,
            "truncated": self.truncated,
            "empty": self.empty,
            "waiting_bytes": self._waiting_bytes,
        }
        counted.update((f"error_{name}", times) for name, times in self.errors.items())
        return counted

    # -- receiving ----------------------------------------------------------------------------------------------------

    def doRead(self) -> None:
        """
        Receive what is there, within the budget, and hand it over at once.

        Where one datagram came alone, the next first one goes its way before we look whether another is behind it.
        """
        first = self._receive(1) if self._lonely else 0
        if first or not self._lonely:
            self._lonely = first + self._receive(READS) <= 1

    def _receive(self, most: int) -> int:
        """Hand over so many receives at most: how many there were."""
        came: list[tuple[Endpoint, memoryview, int]] = []
        stamps: list[bytes] = []
        taken, empty = 0, False
        for slot, scatter in zip(self._ring, self._scatter, strict=True):
            if self._socket is None or taken >= BUDGET or len(came) == most:
                break
            self.receive_calls += 1
            try:
                length, ancillary, flags, address = self._socket.recvmsg_into(scatter, self._ancillary)
            except BlockingIOError:
                empty = True
                break
            except OSError as problem:  # an ICMP error that waited on the socket; the datagrams behind it are fine
                self._count(problem)
                continue
            taken += length
            if flags & _CUT:
                self.truncated += 1
                continue
            size, asked, stamp = length, b"", b""
            for level, kind, value in ancillary:
                if kind == UDP_GRO and level == _UDP:
                    size = _INT.unpack(value)[0]
                elif kind == SCM_TIMESTAMPNS and level == _SOCKET:
                    stamp = value
                else:
                    asked = value
            if not size:  # an empty datagram: nothing of ours
                self.empty += 1
                continue
            came.append((self._sources.get((address, asked)) or self._remember(address, asked), slot[:length], size))
            stamps.append(stamp)
            self.received += -(-length // size)
        waits = self._stamps.waited(stamps, empty=empty)
        if came:
            self.received_bytes += taken
            self._received([Arrival(self.number, *each, late) for each, late in zip(came, waits, strict=True)])
        return len(came)

    def _remember(self, address: Address, asked: bytes) -> Endpoint:
        """The Endpoint of a peer seen for the first time."""
        if len(self._sources) >= KNOWN:
            self._sources.clear()
        found = self._sources[(address, asked)] = endpoint(address, asked)
        return found

    # -- sending ------------------------------------------------------------------------------------------------------

    def send(self, departures: Sequence[Departure]) -> None:
        """Send each run with as few system calls as the kernel allows; the data is free again on return."""
        for departure in departures if len(departures) == 1 else joined(departures):
            if self._socket is None:
                self.refused += _datagrams(departure)
                continue
            route = self._routes.get(departure.to) or self._resolve(departure.to)
            if route is None:
                self.refused += _datagrams(departure)
            elif self._waiting:
                self._wait(route, departure)
            else:
                rest = self._dispatch(route, departure)
                if rest is not None:
                    self._wait(route, rest)

    def doWrite(self) -> None:
        """The socket takes datagrams again: send what waited, in order."""
        while self._waiting:
            route, departure = self._waiting.popleft()
            self._waiting_bytes -= len(departure.data)
            rest = self._dispatch(route, departure)
            if rest is not None:
                self._waiting.appendleft(_Waiting(route, rest))
                self._waiting_bytes += len(rest.data)
                return
        self._reactor.removeWriter(self)

    def _dispatch(self, route: _Route, departure: Departure) -> Departure | None:
        """Send one run; what a full socket buffer left over."""
        length, size = len(departure.data), departure.size
        if length <= size or not route.gso:
            return self._dispatch_singly(route, departure)
        if length > MAX_BATCH or length > size * MAX_SEGMENTS:
            return self._dispatch_split(route, departure)
        # The size as a socket option is no faster: 7 microseconds for 40 datagrams either way, measured over loopback.
        portion = self._segments.get(size)
        if portion is None:
            portion = self._segments[size] = (_UDP, UDP_SEGMENT, _PORTION.pack(size))
        failed = self._write(route, departure.data, (portion, *route.source))
        if not failed:
            self.sent += -(-length // size)
        elif failed == errno.EAGAIN:
            return departure
        elif failed in _GSO_REFUSALS:
            return self._retry_singly(route, departure)
        else:
            self.refused += -(-length // size)
        return None

    def _dispatch_split(self, route: _Route, departure: Departure) -> Departure | None:
        """A run longer than one system call takes, in pieces."""
        step = departure.size * min(MAX_SEGMENTS, max(1, MAX_BATCH // departure.size))
        view = memoryview(departure.data)
        for at in range(0, len(view), step):
            piece = view[at : at + step]
            rest = self._dispatch(route, departure._replace(data=piece))
            if rest is not None:
                return departure._replace(data=view[at + len(piece) - len(rest.data) :])
        return None

    def _retry_singly(self, route: _Route, departure: Departure) -> Departure | None:
        """GSO was refused: for good if single datagrams of that size go through, else it was their size."""
        sent, too_long = self.sent, self.errors.get("EMSGSIZE")
        rest = self._dispatch_singly(route, departure)
        if self.sent > sent and self.errors.get("EMSGSIZE") == too_long:
            route.gso = self._gso = False
        return rest

    def _dispatch_singly(self, route: _Route, departure: Departure) -> Departure | None:
        """One system call per datagram; what a full socket buffer left over."""
        view, size = memoryview(departure.data), departure.size
        length, told = len(view), False
        for at in range(0, length, size) if length > size else (0,):
            datagram = view[at : at + size] if length > size else view
            if told and len(datagram) == size:
                self.refused += 1
                continue
            failed = self._write(route, datagram, route.source)
            if not failed:
                self.sent += 1
                continue
            if failed == errno.EAGAIN:
                return departure._replace(data=view[at:])
            self.refused += 1
            if failed == errno.EMSGSIZE and not told:
                told = True
                if self.too_big is not None:
                    self.too_big(departure)
        return None

    def _write(self, route: _Route, data: bytes | bytearray | memoryview, ancillary: tuple[Ancillary, ...]) -> int:
        """One system call: 0, or the error's number, which is counted unless it is EAGAIN."""
        if self._socket is None:  # closed by a callback in the middle of a run
            return errno.EBADF
        self.send_calls += 1
        try:
            if ancillary:
                self._socket.sendmsg((data,), ancillary, 0, route.address)
            else:
                self._socket.sendto(data, route.address)
        except BlockingIOError:
            return errno.EAGAIN
        except OSError as problem:
            self._count(problem)
            return problem.errno or errno.EIO
        self.sent_bytes += len(data)
        return 0

    def _wait(self, route: _Route, departure: Departure) -> None:
        """Keep a copy for the next writable event, or drop it if too much waits already."""
        length = len(departure.data)
        if self._waiting_bytes + length > BACKLOG:
            self.refused += _datagrams(departure)
            return
        if not self._waiting:
            self._reactor.addWriter(self)
        self._waiting.append(_Waiting(route, departure._replace(data=bytes(departure.data))))
        self._waiting_bytes += length

    def _drop_waiting(self) -> None:
        self.refused += sum(_datagrams(each.departure) for each in self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0

    def _resolve(self, to: Endpoint) -> _Route | None:
        """The route to a peer sent to for the first time; None if it is no address of this door's family."""
        try:
            address = sockaddr(to.host, to.port)
            if (len(address) > 2) != self._six:
                raise ValueError(to.host)
            origin = (source(to.local),) if to.local and self._wildcard else ()
        except ValueError:
            self.errors["EAFNOSUPPORT"] = self.errors.get("EAFNOSUPPORT", 0) + 1
            return None
        if len(self._routes) >= KNOWN:
            self._routes.clear()
        found = self._routes[to] = _Route(address, origin)
        return found

    # -- what the reactor asks ----------------------------------------------------------------------------------------

    def fileno(self) -> int:
        return self._socket.fileno() if self._socket is not None else -1

    def logPrefix(self) -> str:
        return f"udp door {self.number}"

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor gave us up, for an error that waited on the socket or because `received` raised: go on.

        Reading SO_ERROR clears it, so that the next wait does not end at once again. At shutdown nobody waits any more.
        """
        if self._socket is None:
            return
        waited = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if waited:
            self._count(OSError(waited, "waited on the socket"))
        self._reactor.addReader(self)
        if self._waiting:
            self._reactor.addWriter(self)

    def _count(self, problem: OSError) -> None:
        name = errno.errorcode.get(problem.errno or 0, "unknown")
        self.errors[name] = self.errors.get(name, 0) + 1


def _datagrams(departure: Departure) -> int:
    """How many datagrams a run holds."""
    return max(1, -(-len(departure.data) // max(1, departure.size)))
