"""
Kernel MPTCP over the wires of a box, to compare with.

Its data take 1428 of 1500 bytes: 20 IP, 20 TCP, 12 timestamps, 20 for its own option (DSS). The client makes every
subflow, since NATs let nobody in. Source: RFC 8684; ip-mptcp(8).
"""

from __future__ import annotations

import shutil
import socket

from morphnet.lab.streams import MPTCP
from morphnet.lab.topologies import SERVER
from tests.lab.bonded import Bonded

SHARE = 1428 / 1500  # of the rates: the most that its payload can get


def absent() -> str | None:
    """Why it cannot be measured here, or None."""
    if shutil.which("ip") is None:
        return "no iproute2 here (Debian package iproute2): it tells the kernel which subflows to make"
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, MPTCP).close()
    except OSError as error:
        return f"this kernel has no MPTCP: {error.strerror}"
    return None


def prepare(tunnel: Bonded) -> None:
    """Let the client have a subflow over each uplink besides the first."""
    for name in ("client", "server"):
        tunnel.box.node(name).run(["ip", "mptcp", "limits", "set", "subflow", "4"], check=True)
    for number in range(2, tunnel.count + 1):
        words = ["endpoint", "add", f"192.168.{number}.2", "dev", f"wan{number - 1}", "subflow"]
        tunnel.box.node("client").run(["ip", "mptcp", *words], check=True)


def measure(tunnel: Bonded, direction: str, seconds: float, streams: int) -> list[float]:
    """Mbit/s as of `Bonded.tcp`, to the server's public address."""
    return tunnel.streams(direction, seconds, streams, SERVER, "--mptcp")
