"""The door to the router at home that gives out ports: PCP and NAT-PMP."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IReactorFDSet

from morphnet.net.udp import UdpDoor
from morphnet.wire.batch import Arrival, Departure, Endpoint
from morphnet.wire.pcp import ROUTER_PORT


class RouterDoor:
    """
    A `Router` of rendezvous/portmapping: asks the gateway of one uplink, and hears nobody else.

    The router gives ports to the address that asks, so both the address and the device are bound.
    """

    def __init__(
        self,
        reactor: IReactorFDSet,
        received: Callable[[bytes], None],
        *,
        host: str,
        device: str,
        gateway: str,
    ) -> None:
        """
        :param host: our own IPv4 address on the uplink.
        :param device: the uplink, "" for any.
        :param gateway: IPv4 address of its router, see `Uplink.gateway4`.
        """
        self._received, self._gateway = received, Endpoint(gateway, ROUTER_PORT)
        self.udp = UdpDoor(reactor, 0, self._arrived, host=host, device=device)
        self.udp.buffer = 1 << 16  # bytes; answers are few and short
        self.strangers = 0  # datagrams from elsewhere

    def open(self) -> None:
        """
        Bind and start receiving.

        :raises HostError: the machine refuses the device or the address.
        """
        self.udp.open()

    def ask(self, request: bytes) -> None:
        """Send it; what the kernel refuses is counted in `udp`, and the next try comes by itself."""
        self.udp.send([Departure(0, self._gateway, request, len(request))])

    def done(self) -> None:
        """Close."""
        self.udp.close()

    def _arrived(self, arrivals: Sequence[Arrival]) -> None:
        for arrival in arrivals:
            datagrams = [
                bytes(arrival.data[at : at + arrival.size]) for at in range(0, len(arrival.data), arrival.size)
            ]
            if (arrival.source.host, arrival.source.port) != (self._gateway.host, self._gateway.port):
                self.strangers += len(datagrams)
                continue
            for datagram in datagrams:
                self._received(datagram)
