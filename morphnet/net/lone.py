"""One datagram from a port that nothing was ever sent from: who is behind a NAT gets it only by an open port."""

from __future__ import annotations

import socket

from morphnet.net.sockaddr import sockaddr


def send_lone(local: str, to: str, port: int, datagram: bytes) -> bool:
    """
    Send it, once.

    :param local: our numeric address to send from; `to` is of the same family.
    :returns: whether the kernel has taken it.
    """
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as door:
            door.bind(sockaddr(local, 0))
            return door.sendto(datagram, sockaddr(to, port)) == len(datagram)
    except (OSError, ValueError):
        return False
