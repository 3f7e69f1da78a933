"""
Sockets on one of several uplinks, on a real kernel: `python -m tests.lab.devices CASE` prints what it saw.

To be run in a network namespace of its own, see test_devices. Two uplinks have the same address and the same gateway.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.protocol import ClientFactory, DatagramProtocol

from morphnet.net.ondevice import OnDevice, connect_by, source_towards

reactor: Any = _reactor
GATEWAY, SHARED, FAR = "192.168.8.1", "192.168.8.100", "203.0.113.9"
UPLINKS = """
link set lo up
link add wan0 type veth peer name p0
link add wan1 type veth peer name p1
link set p0 up
link set p1 up
link set wan0 up
link set wan1 up
addr add 10.7.7.7/24 dev wan0
addr add 192.168.8.100/24 dev wan0
addr add 192.168.8.100/24 dev wan1
addr add 192.168.8.101/24 dev wan1 label wan1:1
route add default via 192.168.8.1 dev wan0 metric 100
route add default via 192.168.8.1 dev wan1 src 192.168.8.101 metric 101
"""


def shell(commands: str) -> None:
    """Run `ip` commands, one a line."""
    for line in commands.strip().splitlines():
        subprocess.run(["ip", *line.split()], check=True)


def asked(call: Callable[[str], object]) -> dict[str, list[str]]:
    """By uplink: on which wire the gateway was asked for, and from which address, when `call` was made on it."""
    seen: dict[str, list[str]] = {}
    for device in ("wan0", "wan1"):
        wires = {far: _listening(far) for far in ("p0", "p1")}
        call(device)
        reactor.iterate(0.05)
        seen[device] = [f"{name} {asker}" for name, wire in wires.items() for asker in _askers(wire)]
    return seen


def _listening(far: str) -> socket.socket:
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
    wire.bind((far, 0x0806))
    wire.settimeout(0.3)
    return wire


def _askers(wire: socket.socket) -> list[str]:
    try:
        return [socket.inet_ntoa(wire.recv(100)[28:32])]
    except TimeoutError:
        return []
    finally:
        wire.close()


def tcp() -> object:
    """A call leaves by its device alone, from the address that the route there names."""

    def call(device: str) -> None:
        OnDevice(reactor, device).connectTCP(FAR, 443, ClientFactory(), bindAddress=(SHARED, 0))

    return asked(call)


def blocking() -> object:
    """So does one that is waited for."""

    def call(device: str) -> None:
        with suppress(OSError):
            connect_by(device, FAR, 443, 0.1)

    return asked(call)


def udp() -> object:
    """So does a datagram."""

    def ask(device: str) -> None:
        protocol = DatagramProtocol()
        OnDevice(reactor, device).listenUDP(0, protocol, interface=SHARED)
        protocol.transport.write(b"?", (FAR, 53))  # type: ignore[union-attr]

    return asked(ask)


def sources() -> object:
    """What each device sends from, also to a neighbour in the network of its alias; "" where there is no way."""
    ways = (("wan0", FAR), ("wan1", FAR), ("wan0", "10.7.7.9"), ("wan0", "2001:db8::1"), ("none", FAR))
    return [source_towards(*way) for way in ways]


if __name__ == "__main__":
    shell(UPLINKS)
    print(json.dumps({"tcp": tcp, "blocking": blocking, "udp": udp, "sources": sources}[sys.argv[1]]()), flush=True)
    os._exit(0)
