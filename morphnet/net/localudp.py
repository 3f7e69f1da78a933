"""A UDP socket towards somebody else's program: the port where it hands in datagrams, or one towards a service."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import cast

from twisted.internet.interfaces import IDelayedCall, IReactorFDSet, IReactorTime, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.errors import HostError
from morphnet.net.inbox import Inboxes
from morphnet.net.portions import Portions
from morphnet.net.sockaddr import Address, sockaddr
from morphnet.net.udpsocket import IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, UDP_SEGMENT, enlarge
from morphnet.wire.batch import MAX_BATCH, MAX_SEGMENTS
from morphnet.wire.carried import even

READS = 64  # most datagrams of one wake-up
FULL = 62_000  # bytes after which it ends: what is sent on as one run has no room for another full packet of WireGuard
SLOT = 65536  # bytes
KNOWN = 256  # most programs of whose buffers is known
BUFFER = 1 << 20  # bytes of the kernel's buffers, each
BUSY, SPELL = 16, 0.01  # so many datagrams in so many seconds: whoever sends them is busy
PAUSE = 0.001  # seconds without a look then: what comes meanwhile goes together, for a fraction of the work
_MAY_FRAGMENT = 0  # IP_PMTUDISC_DONT: a service need not be on this machine, and must never be a black hole

_CANNOT = frozenset({errno.EIO, errno.ENOPROTOOPT, errno.EOPNOTSUPP})  # a kernel without UDP GSO
_UDP = int(socket.IPPROTO_UDP)
_PORTION = struct.Struct("=H")

Received = Callable[[Sequence[tuple[bytes, Address]]], None]  # a batch, each with who sent it


def make_socket(host: str) -> socket.socket:
    """
    A fresh one of the right family.

    :raises HostError: no file is left.
    """
    six = ":" in host
    try:
        opened = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    except OSError as problem:
        raise HostError(f"cannot open a UDP socket: {problem.strerror}") from problem
    opened.setblocking(False)
    enlarge(opened, BUFFER)
    level, number = (socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER) if six else (socket.IPPROTO_IP, IP_MTU_DISCOVER)
    with suppress(OSError):
        opened.setsockopt(level, number, _MAY_FRAGMENT)
    return opened


@implementer(IReadDescriptor)
class LocalUdp:
    """Non-blocking; what the kernel refuses is counted, never raised."""

    def __init__(
        self,
        reactor: IReactorFDSet,
        received: Received,
        inboxes: Inboxes,
        make: Callable[[str], socket.socket] = make_socket,
    ) -> None:
        """
        :param inboxes: for all of the process.
        :param make: a socket for a host.
        """
        self._reactor, self._received, self._make = reactor, received, make
        self._clock = cast(IReactorTime, reactor)  # any reactor is that too
        self._socket: socket.socket | None = None
        self._peer: Address | None = None  # who it is connected to: to ask each time costs a third of a receive
        self._gso = True  # no refusal yet
        self._spell_at, self._came = float("-inf"), 0  # when that began, and datagrams since
        self._pause: IDelayedCall | None = None
        self._full = self._full_before = False  # whether the last look, and the one before, left something behind
        self._inboxes = inboxes
        self._portions = dict[Address | None, Portions | None]()  # None for what is on another machine
        self.refused = 0  # datagrams that the kernel did not take, or had no taker for

    def listen(self, host: str, port: int) -> None:
        """
        Be there for whoever sends to this address.

        :raises HostError: the machine refuses it.
        """
        self._open(host, port, lambda opened, here: opened.bind(here), "cannot carry what is sent to")

    def connect(self, host: str, port: int) -> None:
        """
        Send to this address alone, and hear nobody else.

        :raises HostError: the machine refuses it.
        """
        self._open(host, port, lambda opened, there: opened.connect(there), "cannot send to")
        self._peer = sockaddr(host, port)

    def _open(self, host: str, port: int, settle: Callable[[socket.socket, Address], None], failing: str) -> None:
        opened = self._make(host)
        try:
            settle(opened, sockaddr(host, port))
        except OSError as problem:
            opened.close()
            raise HostError(f"{failing} UDP port {port} of {host}: {problem.strerror}") from problem
        self._socket = opened
        self._reactor.addReader(self)

    def send(self, data: bytes, to: Address | None = None) -> None:
        """:param to: None for who it is connected to."""
        if self._socket is None:
            return
        try:
            if to is None:
                self._socket.send(data)
            else:
                self._socket.sendto(data, to)
        except OSError:  # a full buffer, or nobody there: UDP promises nothing
            self.refused += 1

    def send_all(self, batch: Sequence[bytes], to: Address | None = None) -> None:
        """
        Several for the same one, in their order, as fast as it takes them if it is on this machine.

        :param to: as in `send`.
        """
        try:
            portions = self._portions[to]
        except KeyError:
            portions = self._meet(to)
        if portions is None:
            self._send_now(batch, to)
        else:
            self.refused += portions.put(batch)

    def _meet(self, to: Address | None) -> Portions | None:
        """One that is on this machine has the address that is ours on the way to it; None for any other."""
        if len(self._portions) >= KNOWN:
            self._portions = {address: each for address, each in self._portions.items() if each}
        there = to or self._peer
        if self._socket is None or there is None:
            return None
        here = self._socket.getsockname()
        found = None
        if here[0] == there[0]:
            taken = partial(self._inboxes.taken, here, there)
            found = Portions(self._clock, lambda run: self._send_now(run, to), self._inboxes, taken)
        self._portions[to] = found
        return found

    def _send_now(self, batch: Sequence[bytes], to: Address | None) -> None:
        """Those of one length with one call."""
        sizes = list(map(len, batch))
        if 1 < len(sizes) <= MAX_SEGMENTS and sum(sizes) <= MAX_BATCH and sizes[-1] and even(sizes):
            self._send_run(batch, to)
            return
        start, total = 0, 0
        for place, data in enumerate(batch):
            size = len(batch[start])
            full = place - start >= MAX_SEGMENTS or total + len(data) > MAX_BATCH
            if place > start and (full or not data or len(data) > size or len(batch[place - 1]) < size):
                self._send_run(batch[start:place], to)
                start, total = place, 0
            total += len(data)
        if batch:
            self._send_run(batch[start:], to)

    def _send_run(self, run: Sequence[bytes], to: Address | None) -> None:
        """Datagrams of one length but the last, which may be shorter."""
        if self._socket is None:
            return
        if len(run) > 1 and self._gso:
            portion = [(_UDP, UDP_SEGMENT, _PORTION.pack(len(run[0])))]
            try:
                self._socket.sendmsg(run, portion, 0, *(() if to is None else (to,)))
                return
            except BlockingIOError:
                self.refused += len(run)
                return
            except OSError as problem:  # of one sent before; or the kernel cannot do that, or not at that length
                self._gso = problem.errno not in _CANNOT
        for data in run:
            self.send(data, to)

    def close(self) -> None:
        """Closing twice does nothing."""
        if self._socket is not None:
            if self._pause is not None:
                self._pause.cancel()
                self._pause = None
            else:
                self._reactor.removeReader(self)
            for each in self._portions.values():
                if each is not None:
                    each.close()
            self._portions.clear()
            self._socket.close()
            self._socket = None

    # -- what the reactor calls ----------------------------------------------------------------------------------------

    def doRead(self) -> None:
        """Hand on what has come."""
        batch = self._receive()
        if self._pause is None and self._is_busy(len(batch)):
            self._reactor.removeReader(self)
            self._pause = self._clock.callLater(PAUSE, self._look_again)
        if batch:
            self._received(batch)

    def _look_again(self) -> None:
        """
        By the clock alone, as long as it is worth while.

        To have the reactor wait for it in between costs a turn of the loop and two system calls each time.
        """
        self._pause, batch = None, self._receive()
        if self._is_busy(len(batch)):
            self._pause = self._clock.callLater(PAUSE, self._look_again)
        else:
            self._reactor.addReader(self)
        if batch:
            self._received(batch)

    def _receive(self) -> list[tuple[bytes, Address]]:
        opened, peer, batch, left = self._socket, self._peer, list[tuple[bytes, Address]](), FULL
        if opened is None:
            return batch
        self._full_before, self._full = self._full, True
        for _ in range(READS):
            try:
                came = opened.recvfrom(SLOT) if peer is None else (opened.recv(SLOT), peer)
            except BlockingIOError:
                self._full = False
                break
            except OSError:  # an ICMP error for something that was sent: a service that is not there, or not yet
                self.refused += 1
                continue
            batch.append(came)
            left -= len(came[0])
            if left <= 0:
                break
        return batch

    def _is_busy(self, count: int) -> bool:
        """
        Whether more come together if it is left alone for a moment. Not if more than one run holds was there twice:
        then what is left behind would grow.
        """
        if not count:
            return False
        now = self._clock.seconds()
        if now - self._spell_at >= SPELL:
            self._spell_at, self._came = now, 0
        self._came += count
        return self._came >= BUSY and not (self._full and self._full_before)

    def fileno(self) -> int:
        """-1 once closed."""
        return self._socket.fileno() if self._socket is not None else -1

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor gave us up, for an error that waited on the socket or because `received` raised: go on.

        A service that is not there yet is such an error, and nobody would open another socket for who asks for it.
        Reading SO_ERROR clears it. At shutdown nobody waits any more.
        """
        if self._socket is None:
            return
        if self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.refused += 1
        self._reactor.addReader(self)

    def logPrefix(self) -> str:
        """For the reactor's own log lines."""
        return "carried"
