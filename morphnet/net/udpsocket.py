"""Making a UDP socket fit for the data plane: options in the right order, refusals in the operator's words."""

from __future__ import annotations

import errno
import socket

from morphnet.errors import HostError
from morphnet.net.ondevice import bind_to_device
from morphnet.net.sockaddr import IP_PKTINFO, sockaddr

# Numbers that Python's socket module does not name; linux/in.h, linux/in6.h, linux/udp.h, asm-generic/socket.h.
UDP_SEGMENT = 103
UDP_GRO = 104
IP_MTU_DISCOVER = 10
IPV6_MTU_DISCOVER = 23
PMTUDISC_PROBE = 3  # never fragment, never believe a cached path MTU: discovery is ours
SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33


def enlarge(opened: socket.socket, buffer: int) -> None:
    """:param buffer: bytes of receive and send buffer, each."""
    for forced, asked in ((SO_RCVBUFFORCE, socket.SO_RCVBUF), (SO_SNDBUFFORCE, socket.SO_SNDBUF)):
        try:
            opened.setsockopt(socket.SOL_SOCKET, forced, buffer)
        except OSError:  # needs CAP_NET_ADMIN; the plain one is cut at net.core.rmem_max and wmem_max
            opened.setsockopt(socket.SOL_SOCKET, asked, buffer)


def settle(opened: socket.socket, wildcard: bool, buffer: int) -> bool:
    """
    Set every option that must precede bind; whether the kernel joins what arrives (GRO).

    :param wildcard: tell which address each datagram was sent to.
    :param buffer: bytes of receive and send buffer.
    """
    opened.setblocking(False)
    enlarge(opened, buffer)
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE)
        if wildcard:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        opened.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE)
        if wildcard:
            opened.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    try:
        opened.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
    except OSError:  # before Linux 5.0
        return False
    return True


def bind(opened: socket.socket, host: str, port: int, device: str) -> tuple[str, int]:
    """
    Bind to `device` ("" for any), then to the address; the (host, port) that the kernel settled on.

    :raises HostError: device, address or port refused.
    """
    try:
        bound = not device or bind_to_device(opened, device)
    except OSError as problem:
        raise HostError(f"cannot bind to {device}: {_said(problem)}") from problem
    if not bound:
        raise HostError(f"cannot bind to {device}: run as root or give CAP_NET_RAW")
    where = f"UDP port {port} of {host or '0.0.0.0'}"
    try:
        opened.bind(sockaddr(host, port))
    except PermissionError:
        raise HostError(f"cannot bind {where}: run as root, or choose a port above 1023") from None
    except OSError as problem:
        raise HostError(f"cannot bind {where}: {_said(problem)}") from problem
    except ValueError:
        raise HostError(f"cannot bind {where}: that is no numeric address of this machine") from None
    bound = opened.getsockname()
    return str(bound[0]), int(bound[1])


def _said(problem: OSError) -> str:
    """What went wrong, in words that say what to do where we know it."""
    said = {
        errno.EADDRINUSE: "another process uses it",
        errno.EADDRNOTAVAIL: "this machine has no such address",
        errno.ENODEV: "there is no such network device",
    }
    return said.get(problem.errno or 0, problem.strerror or str(problem))
