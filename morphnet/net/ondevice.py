"""
Sockets that are bound to one network device, for what Twisted opens.

Two uplinks may have the same address, and a device several: only the device says by which of them a socket leaves. The
address is left to the kernel then, which knows what the route to that very destination is sent from.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any, NamedTuple, cast

from twisted.internet import tcp, udp
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IConnector, IListeningPort
from twisted.internet.protocol import ClientFactory, DatagramProtocol

_ANY_PORT = 9  # discard; nothing is ever sent to it
SO_MARK = 36  # asm-generic/socket.h
MARK = 0x6D6F7270  # of packets from a socket of ours that is bound to a device: a kill switch knows them by it


class Source(NamedTuple):
    """Where a socket of ours begins."""

    device: str  # "" for any
    address: str  # of that device; the one to bind to where the machine does not let us bind to the device


def bind_to_device(opened: socket.socket, device: str) -> bool:
    """
    Whether it could be bound: until Linux 5.7 that needs CAP_NET_RAW. Its packets carry MARK, with CAP_NET_ADMIN.

    :param device: "" for none, and then the answer is False.
    :raises OSError: there is no such device.
    """
    if not device:
        return False
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0")
    except PermissionError:
        return False
    with suppress(PermissionError):
        opened.setsockopt(socket.SOL_SOCKET, SO_MARK, MARK)
    return True


def source_towards(device: str, host: str) -> str:
    """
    The address that a socket on `device` would send to `host` from; "" if there is no way, or we may not know.

    The kernel is asked by a UDP socket that is connected and closed again: nothing is sent.

    :param host: numeric.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            if not bind_to_device(asking, device):
                return ""
            asking.connect((host, _ANY_PORT))
            return str(asking.getsockname()[0])
    except OSError:
        return ""


def connect_by(device: str, host: str, port: int, timeout: float) -> socket.socket:
    """
    A TCP connection that leaves by `device`, whatever the routes say; blocking.

    :raises OSError: nobody answers.
    """
    trouble = OSError(f"{host} has no address")
    for family, kind, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        opened = socket.socket(family, kind)
        try:
            opened.settimeout(timeout)
            if not bind_to_device(opened, device):
                raise PermissionError(f"cannot bind to {device}")
            opened.connect(address)
        except OSError as problem:
            opened.close()
            trouble = problem
        else:
            return opened
    raise trouble


class OnDevice:
    """
    A reactor's `connectTCP` and `listenUDP`, on one device. Where the machine does not let us, the address has to do.

    :param reactor: the one that Twisted's own transports want.
    """

    def __init__(self, reactor: Any, device: str) -> None:
        self._reactor, self._device = reactor, device

    def connectTCP(
        self, host: str, port: int, factory: ClientFactory, timeout: float = 30, bindAddress: Any = None
    ) -> IConnector:
        """Call from the device, as IReactorTCP says."""
        connector = _Connector(host, port, factory, timeout, bindAddress, self._reactor)
        connector.device = self._device
        connector.connect()
        return cast(IConnector, connector)

    def listenUDP(
        self, port: int, protocol: DatagramProtocol, interface: str = "", maxPacketSize: int = 8192
    ) -> IListeningPort:
        """:raises CannotListenError: the device or the address is not there."""
        opened = _Port(port, protocol, interface, maxPacketSize, self._reactor)
        opened.device = self._device
        opened.startListening()
        return cast(IListeningPort, opened)


class _Client(tcp.Client):
    def createInternetSocket(self) -> socket.socket:
        opened: socket.socket = super().createInternetSocket()
        try:
            bind_to_device(opened, self.connector.device)
        except OSError:
            opened.close()
            raise
        return opened


class _Connector(tcp.Connector):
    device = ""

    def _makeTransport(self) -> tcp.Client:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            try:
                bound = bind_to_device(asking, self.device)
            except OSError:
                bound = False  # it is said when the socket itself is made
        return _Client(self.host, self.port, None if bound else self.bindAddress, self, self.reactor)


class _Port(udp.Port):
    device = ""

    def createInternetSocket(self) -> socket.socket:
        opened: socket.socket = super().createInternetSocket()
        try:
            if bind_to_device(opened, self.device):
                self.interface = "::" if self.addressFamily == socket.AF_INET6 else ""
        except OSError as problem:
            opened.close()
            raise CannotListenError(self.interface, self.port, problem) from None
        return opened
