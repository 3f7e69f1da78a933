"""
A UDP socket behind a router, with a port outside that it asks the router for. A process in a node of a box.

    python -m tests.lab.mapped_socket DEVICE PORT

Asks the gateway of the uplink DEVICE. Prints a JSON line for what happens: {"mapped": [host, port]}, {"unmapped":
reason}, {"came": text, "source": [host, port]}, {"done": true}. Each line on stdin is an input: start, stop,
network_changed.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineReceiver

from morphnet.host.uplinks import UplinkScan
from morphnet.net.pcp import RouterDoor
from morphnet.rendezvous.mappedport import MappedPort
from morphnet.rendezvous.portmapping import Wish

reactor: Any = installed


def tell(**words: object) -> None:
    """One line."""
    print(json.dumps(words), flush=True)


class Listener:
    """Tells."""

    def mapped(self, host: str, port: int) -> None:
        tell(mapped=[host, port])

    def unmapped(self, reason: str) -> None:
        tell(unmapped=reason)


class Door(RouterDoor):
    """Tells when it is done."""

    def done(self) -> None:
        """Close, then tell that it is done, and how many datagrams came from strangers."""
        super().done()
        tell(done=True, strangers=self.strangers)


class Arrivals(DatagramProtocol):
    """Tells what comes, and sends it back."""

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        tell(came=datagram.decode(), source=addr)
        assert self.transport is not None
        self.transport.write(datagram, addr)


class Orders(LineReceiver):
    """Reads stdin."""

    delimiter = b"\n"

    def __init__(self, port: MappedPort, door: Door) -> None:
        self._port, self._door = port, door

    def lineReceived(self, line: bytes) -> None:
        if line == b"start":
            self._door.open()
        getattr(self._port, line.decode())()

    def connectionLost(self, reason: object = None) -> None:
        if reactor.running:
            reactor.stop()


def main(device: str, port: int) -> None:
    """Until stdin ends."""
    (uplink,) = UplinkScan([device])()
    assert uplink.gateway4, uplink
    host = uplink.addresses4[0]
    door = Door(reactor, lambda datagram: mapped.received(datagram), host=host, device=device, gateway=uplink.gateway4)
    mapped = MappedPort(door, Listener(), reactor, lambda: 0.5, Wish(host, port, os.urandom(12)))
    reactor.listenUDP(port, Arrivals(), interface=host)
    StandardIO(Orders(mapped, door))
    tell(ready=True)
    reactor.run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
