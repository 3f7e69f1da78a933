"""
Ports of loopback for programs that must be told theirs before they start.

A port that was bound to 0 and let go belongs to nobody until the program has it, and whoever binds to 0 meanwhile may
get it. These come from below the range that the kernel gives out, and each is kept for this process until it ends.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

LOWEST = 20_000
HOSTS = ("127.0.0.1", "127.0.0.2", "::1")
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_kept: list[socket.socket] = []  # a name of a port each; they end with the process


def free_port() -> int:
    """
    One that nobody has by TCP or UDP, on none of HOSTS, and that nobody else is given by this function.

    :raises RuntimeError: there is none.
    """
    highest = int(_RANGE.read_text().split()[0])
    for port in random.sample(range(LOWEST, highest), highest - LOWEST):
        if _keep(port) and _is_free(port):
            return port
    raise RuntimeError(f"no port is free between {LOWEST} and {highest}")


def _keep(port: int) -> bool:
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind(f"\0morphnet-tests-port-{port}")
    except OSError:
        name.close()
        return False
    _kept.append(name)
    return True


def _is_free(port: int) -> bool:
    for host in HOSTS:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as door:
                try:
                    door.bind((host, port))
                except OSError:
                    return False
    return True
