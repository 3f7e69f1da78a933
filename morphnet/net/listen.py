"""Listening on one address for TCP."""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from morphnet.errors import HostError
from morphnet.net.ondevice import bind_to_device

BACKLOG = 512  # connections that the kernel keeps for us
NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def listen_tcp(
    reactor: Any, host: str, port: int, factory: IProtocolFactory, *, optional: bool = False
) -> IListeningPort | None:
    """
    Listen there. Twisted's listenTCP("::") takes IPv4 as well, so that no other listener can: the socket is made here.

    :param optional: a machine without IPv6 is no reason to fail; then the answer is None.
    :raises HostError: the machine refuses the address or the port.
    """
    return _listen(reactor, host, port, factory, optional=optional)


def listen_shared(
    reactor: Any, host: str, port: int, factory: IProtocolFactory, device: str = "", *, optional: bool = False
) -> IListeningPort | None:
    """
    The same on one device; and other sockets, of this process or of others of the same user, may have that port as
    well: to be dealt out callers among them, or to call from it.

    :param device: "" for any.
    :raises HostError: the machine refuses the address, the port or the device.
    """
    return _listen(reactor, host, port, factory, device, optional=optional)


def _listen(
    reactor: Any, host: str, port: int, factory: IProtocolFactory, device: str | None = None, *, optional: bool = False
) -> IListeningPort | None:
    """:param device: None for a socket that is not shared."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as opened:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if device is not None:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                bind_to_device(opened, device)
            if family == socket.AF_INET6:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            opened.bind((host, port))
            opened.listen(BACKLOG)
            opened.setblocking(False)
            listening: IListeningPort = reactor.adoptStreamPort(opened.fileno(), family, factory)
    except OSError as problem:
        if optional and problem.errno in NO_IPV6:
            return None
        raise HostError(f"cannot serve on {host} TCP port {port}: {problem.strerror}") from None
    return listening
