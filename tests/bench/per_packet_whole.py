"""
The product's own data plane, fed one packet per callback: what the same work costs without batches.

A plain TUN read packet by packet, one Twisted DatagramProtocol callback per datagram, one write per packet; between
them the same `Tunnel` and `Pump` that the daemons have: replay windows, scheduler, reordering, acknowledgements.
`per_packet_tunnel` runs it; keys and ids come from a common seed, since nobody shakes hands here.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence
from typing import Any, cast

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import DatagramProtocol

from morphnet.config.roles import Tuning
from morphnet.net.pump import Pump
from morphnet.tunnel.events import Effects
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import VNET_HDR, Arrival, Departure, Endpoint

NAME = b"S" * 16
EPOCH = 64
CLIENT4 = bytes((10, 9, 0, 1))
_EMPTY = bytes(VNET_HDR)


def ends() -> tuple[Tunnel, Tunnel]:
    """Client and server that know each other, the same in every process."""
    chance = random.Random(1)
    client = Tunnel(server=False, entropy=chance.randbytes)
    server = Tunnel(server=True, entropy=chance.randbytes)
    secrets, now = (chance.randbytes(32), chance.randbytes(32)), time.monotonic()
    ours = server.add_session("laptop", NAME, Tuning(), (CLIENT4,))
    ids = server.issue_ids(ours, 8)
    theirs = client.add_session("gateway", NAME, Tuning())
    ours.install(*secrets, EPOCH, now)
    theirs.install(*secrets, EPOCH, now)
    client.learn_ids(theirs, ids)
    theirs.add_ids(ids)
    return client, server


class Whole(DatagramProtocol):
    """One end; it is all of the pump's doors."""

    def __init__(self, reactor: IReactorTime, descriptor: int, number: int, port: int) -> None:
        self._descriptor, self._port, self._peer = descriptor, port, f"10.1.0.{3 - number}"
        self.opened = 0  # packets that were opened and written
        self._client = number == 1
        self._pump = Pump(reactor, ends()[number - 1], time.monotonic)
        self.number = self._pump.new_number()
        self._pump.attach(self)
        self._pump.tun = self

    def startProtocol(self) -> None:
        if not self._client:
            return
        effects, now = Effects(), time.monotonic()
        session = self._pump.tunnel.sessions["gateway"]
        session.greet(now, effects)
        session.open_path(self.number, Endpoint(self._peer, self._port), "e1", now, effects)
        self._pump.carry_out(effects)
        self._pump.tunnel.poke(session, now)

    def packet_read(self, packet: bytes) -> None:
        """One from the TUN."""
        self._pump.from_tun([memoryview(_EMPTY + packet)])

    def doRead(self) -> None:
        """Only the reactor reads."""

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self._pump.from_door([Arrival(self.number, Endpoint(addr[0], addr[1]), memoryview(datagram), len(datagram))])

    def counters(self) -> dict[str, int]:
        """Nothing is counted."""
        return {}

    def send(self, departures: Sequence[Departure]) -> None:
        """Each datagram on its own."""
        write = cast(Any, self.transport).write
        for departure in departures:
            for at in range(0, len(departure.data), departure.size):
                try:
                    write(departure.data[at : at + departure.size], (departure.to.host, departure.to.port))
                except BlockingIOError:
                    continue

    def write(self, packets: Sequence[bytes | bytearray | memoryview]) -> None:
        """Each packet on its own."""
        for packet in packets:
            self.opened += 1
            try:
                os.write(self._descriptor, memoryview(packet)[VNET_HDR:])
            except OSError:
                continue
