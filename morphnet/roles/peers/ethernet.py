"""
Layer 2 between the local networks of peers: a TAP device here, a switch, and VXLAN to each peer inside the tunnel.

What arrives has passed the peer's session: it can come from nobody's inner address but the peer's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol

from morphnet.errors import HostError, MalformedFrame
from morphnet.net.tapdevice import TapDevice
from morphnet.tunnel.switch import Switch
from morphnet.wire.ethernet import PORT, unwrap, wrap

NETWORK = 73  # the identifier of ours
MTU = 1500  # of the local networks; what is longer than the tunnel's is cut by the kernel and put together again


class EthernetLan(DatagramProtocol):
    """
    :param address: our inner address; the peers send to it.
    :param now: seconds.
    """

    noisy = False

    def __init__(self, reactor: Any, device: str, bridge: str, address: str, now: Callable[[], float]) -> None:
        self._reactor, self._address, self._now = reactor, address, now
        self._switch = Switch()
        self._device = TapDevice(reactor, device, self._from_local, mtu=MTU, bridge=bridge)
        self._peers: dict[str, str] = {}  # name -> inner address
        self._names: dict[str, str] = {}  # and back
        self._port: IListeningPort | None = None
        self._counts: Counter[str] = Counter()

    def open(self) -> None:
        """
        Make the device and listen.

        :raises HostError: the machine refuses either.
        """
        self._device.open()
        try:
            self._port = self._reactor.listenUDP(PORT, self, interface=self._address)
        except CannotListenError as problem:
            self._device.close()
            raise HostError(f"cannot listen on {self._address} UDP port {PORT}: {problem.socketError}") from None

    def close(self) -> None:
        """Let both go."""
        self._device.close()
        if self._port is not None:
            self._port.stopListening()
            self._port = None

    def peers_are(self, peers: dict[str, tuple[str, ...]]) -> None:
        """
        There are sessions with these.

        :param peers: name -> inner addresses.
        """
        six = ":" in self._address
        fitting = {name: next((each for each in inner if (":" in each) == six), "") for name, inner in peers.items()}
        for name in self._peers.keys() - fitting.keys():
            self._switch.forget(name)
        self._peers = {name: address for name, address in fitting.items() if address}
        self._names = {address: name for name, address in self._peers.items()}

    def counters(self) -> Counter[str]:
        """For the node's status."""
        return self._counts + self._switch.counts + self._device.counts + Counter(ethernet_addresses=len(self._switch))

    def _from_local(self, frame: bytes) -> None:
        targets = self._switch.from_local(frame, self._peers, self._now())
        datagram = wrap(frame, NETWORK) if targets else b""
        for peer in targets:
            try:
                assert self.transport is not None  # open
                self.transport.write(datagram, (self._peers[peer], PORT))
            except OSError:  # the kernel's queue is full, or the address is gone
                self._counts["frames_dropped"] += 1

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        peer = self._names.get(addr[0])
        try:
            frame = unwrap(datagram, NETWORK)
        except MalformedFrame:
            self._counts["frames_malformed"] += 1
            return
        if peer is None:
            self._counts["frames_of_strangers"] += 1
        elif self._switch.from_peer(frame, peer, self._now()):
            self._device.write(frame)
