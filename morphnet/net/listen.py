"""Listening on one address, for TCP; and what a machine without IPv6 can do without."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.errors import HostError
from morphnet.net.blocks import Block
from morphnet.net.gate import Gate
from morphnet.net.ondevice import bind_to_device
from morphnet.net.screen import attach, program
from morphnet.net.udp import UdpDoor

BACKLOG = 512  # connections that the kernel keeps for us
AT_ONCE = 16  # of them taken in one turn of the loop
NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
NOTHING_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
REST = 0.1  # seconds without accepting when there is no file left for another
_HANG_UP = struct.pack("@ii", 1, 0)  # linger: end at once, with a RST, and keep nothing


@runtime_checkable
class Adopting(Protocol):
    """A factory with connections of a kind of its own."""

    def adopt(self, descriptor: int, family: int) -> None:
        """Talk to one that was accepted, with a copy of its descriptor."""
        ...


class _Arrived:
    """A connection that waits at the gate."""

    def __init__(self, listener: Listener, made: socket.socket, host: str) -> None:
        self._listener, self._socket, self.host = listener, made, host

    def admit(self) -> None:
        """Hand it to the factory."""
        self._listener.take(self._socket)

    def turn_away(self) -> None:
        """Close it, at the least cost."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _HANG_UP)
        self._socket.close()


@implementer(IReadDescriptor, IListeningPort)
class Listener:
    """
    A listening socket with a gate: Twisted's own would talk to everybody who comes, at once and at any cost.

    :param opened: listening, not blocking; it is ours from now on.
    """

    _log = Logger()

    def __init__(self, opened: socket.socket, factory: IProtocolFactory, gate: Gate) -> None:
        self._reactor, self._socket, self._factory, self._gate = gate.clock, opened, factory, gate
        self._adopting = factory if isinstance(factory, Adopting) else None  # asked once: it takes a while
        self._resting: Any = None  # the timer that ends a rest
        self._open = False

    def startListening(self) -> None:
        """From now on."""
        self._open = True
        self._factory.doStart()
        self._gate.opened(self)
        self._reactor.addReader(self)

    def stopListening(self) -> Deferred[None]:
        """Not any more."""
        if self._open:
            self._open = False
            self._reactor.removeReader(self)
            if self._resting is not None:
                self._resting.cancel()
            self._gate.closed(self)
            self._socket.close()
            self._factory.doStop()
        return succeed(None)

    def getHost(self) -> IPv4Address | IPv6Address:
        """Where it listens."""
        made = IPv6Address if self._socket.family == socket.AF_INET6 else IPv4Address
        return made("TCP", *self._socket.getsockname()[:2])

    def fileno(self) -> int:
        return self._socket.fileno()

    def logPrefix(self) -> str:
        return "listener"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gives it up, at its own end."""
        self.stopListening()

    def doRead(self) -> None:
        for _ in range(AT_ONCE):
            try:
                made, address = self._socket.accept()
            except OSError as problem:
                if problem.errno in NOTHING_LEFT:
                    self._out_of_files(problem)
                if problem.errno != errno.ECONNABORTED:  # that one has left again: the next
                    return
                continue
            made.setblocking(False)
            self._gate.arrived(_Arrived(self, made, str(address[0])))

    def take(self, made: socket.socket) -> None:
        """Have the factory talk to a connection that was let in."""
        try:
            with made:  # who talks to it works with a copy
                if self._adopting is not None:
                    self._adopting.adopt(made.fileno(), made.family)
                else:
                    self._reactor.adoptStreamConnection(made.fileno(), made.family, self._factory)
        except OSError as problem:  # it has left already, or:
            if problem.errno in NOTHING_LEFT:
                self._out_of_files(problem)

    def screen(self, screened: Mapping[Block, float]) -> None:
        """Have the kernel let only that share of these blocks' callers through."""
        try:
            attach(self._socket, program(6 if self._socket.family == socket.AF_INET6 else 4, screened))
        except OSError as problem:
            if screened:
                self._log.warn("the kernel takes no filter for a listening socket: {why}", why=str(problem))

    def _out_of_files(self, problem: OSError) -> None:
        """Make room, and leave the next callers to the kernel's queue for a moment."""
        self._gate.out_of_files(problem.strerror or str(problem))
        if self._resting is None and self._open:
            self._reactor.removeReader(self)
            self._resting = self._reactor.callLater(REST, self._rested)

    def _rested(self) -> None:
        self._resting = None
        self._reactor.addReader(self)


def dispensable(host: str, hosts: Sequence[str]) -> bool:
    """Whether a machine without IPv6 can do without listening there: it listens elsewhere too."""
    return host == "::" and len(hosts) > 1


def opens(door: UdpDoor, *, optional: bool) -> bool:
    """
    Whether it is open now.

    :param optional: a machine without IPv6 is no reason to fail.
    :raises HostError: the machine refuses the address or the port.
    """
    try:
        door.open()
    except HostError:
        if optional:
            return False
        raise
    return True


def listen_tcp(
    gate: Gate, host: str, port: int, factory: IProtocolFactory, *, optional: bool = False
) -> IListeningPort | None:
    """
    Listen there. Twisted's listenTCP("::") takes IPv4 as well, so that no other listener can: the socket is made here.

    :param gate: whom callers have to pass.
    :param optional: a machine without IPv6 is no reason to fail; then the answer is None.
    :raises HostError: the machine refuses the address or the port.
    """
    return _listen(gate, host, port, factory, optional=optional)


def listen_shared(
    gate: Gate, host: str, port: int, factory: IProtocolFactory, device: str = "", *, optional: bool = False
) -> IListeningPort | None:
    """
    The same on one device; and other sockets, of this process or of others of the same user, may have that port as
    well: to be dealt out callers among them, or to call from it.

    :param device: "" for any.
    :raises HostError: the machine refuses the address, the port or the device.
    """
    return _listen(gate, host, port, factory, device, optional=optional)


def _listen(
    gate: Gate, host: str, port: int, factory: IProtocolFactory, device: str | None = None, *, optional: bool = False
) -> IListeningPort | None:
    """:param device: None for a socket that is not shared."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = Listener(_listening(family, host, port, device), factory, gate)
    except OSError as problem:
        if optional and problem.errno in NO_IPV6:
            return None
        hint = "; ports below 1024 need root, or CAP_NET_BIND_SERVICE" if problem.errno == errno.EACCES else ""
        raise HostError(f"cannot serve on {host} TCP port {port}: {problem.strerror}{hint}") from None
    listener.startListening()
    return listener


def _listening(family: socket.AddressFamily, host: str, port: int, device: str | None) -> socket.socket:
    """:raises OSError: the machine refuses."""
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if device is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bind_to_device(opened, device)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((host, port))
        opened.listen(BACKLOG)
        opened.setblocking(False)
    except BaseException:
        opened.close()
        raise
    return opened
