"""
The way not taken, whole: a tunnel that reads, seals, sends, receives, opens and writes one packet at a time.

Plain TUN, one Twisted DatagramProtocol callback per datagram, AES-256-GCM, and either nothing else (`bare`: no replay
window, no scheduler), or all that the product does (`whole`, see per_packet_whole). Two namespaces, one process a side,
one TCP stream. `python -m tests.bench.per_packet_tunnel [SECONDS]` prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import Any, Literal, cast

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import DatagramProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.net.tun import IFF_VNET_HDR, TUNSETIFF, Tun
from tests.bench.per_packet_whole import Whole

KEY = bytes(range(32))
HEAD = bytes(38)  # ClientID and header
MTU = 1400  # of the TUN
PORT, SINK = 7000, 5000
SETTLE = 1.0  # seconds before counting starts
ME = [sys.executable, "-m", "tests.bench.per_packet_tunnel"]
Kind = Literal["bare", "whole"]
ISOLATED = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]


class PlainTun(Tun):
    """A TUN without virtio headers: packets only."""

    def ioctl(self, descriptor: int, request: int, argument: bytes | int) -> bytes | int:
        if (
            request == TUNSETIFF
            and isinstance(argument, bytes)
            and int.from_bytes(argument[16:18], "little") & IFF_VNET_HDR
        ):
            raise OSError(22, "not asked for")
        return super().ioctl(descriptor, request, argument)


@implementer(IReadDescriptor)
class PacketReader:
    """Reads one packet per wake-up of the TUN, as a FileDescriptor would."""

    def __init__(self, descriptor: int, protocol: Tunnel | Whole) -> None:
        self._descriptor, self._protocol = descriptor, protocol

    def fileno(self) -> int:
        return self._descriptor

    def logPrefix(self) -> str:
        return "tun"

    def connectionLost(self, reason: Failure) -> None:
        pass

    def doRead(self) -> None:
        for _ in range(32):
            try:
                packet = os.read(self._descriptor, 2048)
            except BlockingIOError:
                return
            self._protocol.packet_read(packet)


class Tunnel(DatagramProtocol):
    """Both directions, packet by packet."""

    def __init__(self, descriptor: int, peer: str) -> None:
        self._descriptor, self._peer = descriptor, (peer, PORT)
        self._cipher, self._counter = AESGCM(KEY), 0
        self.opened = 0

    def packet_read(self, packet: bytes) -> None:
        self._counter += 1
        nonce = self._counter.to_bytes(12, "big")
        try:
            cast(Any, self.transport).write(HEAD + nonce + self._cipher.encrypt(nonce, packet, HEAD), self._peer)
        except BlockingIOError:
            pass

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        packet = self._cipher.decrypt(datagram[38:50], datagram[50:], datagram[:38])
        self.opened += 1
        try:
            os.write(self._descriptor, packet)
        except OSError:
            pass


def node(number: int, seconds: float, kind: str) -> None:
    """One side; number 2 prints the packets per second that it opened and wrote."""
    from twisted.internet import reactor as installed

    reactor = cast(Any, installed)
    sys.stdin.readline()  # the wire is there
    tun = PlainTun(reactor, "t0", lambda packets: None)
    tun.open()
    tun.pause()
    for line in (
        f"addr add 10.1.0.{number}/24 dev e{number}",
        f"link set e{number} up",
        f"addr add 10.9.0.{number}/24 dev t0",
        f"link set t0 mtu {MTU} up",
    ):
        subprocess.run(["ip", *line.split()], check=True)
    bare, peer = kind == "bare", f"10.1.0.{3 - number}"
    tunnel = Tunnel(tun.fileno(), peer) if bare else Whole(reactor, tun.fileno(), number, PORT)
    reactor.listenUDP(PORT, tunnel, interface=f"10.1.0.{number}", maxPacketSize=2048)
    reactor.addReader(PacketReader(tun.fileno(), tunnel))
    command = [*ME, "sink"] if number == 2 else [*ME, "source"]
    print("ready", flush=True)
    marks: list[tuple[float, int]] = []
    with subprocess.Popen(command) as traffic:
        for at in (SETTLE, SETTLE + seconds):
            reactor.callLater(at, lambda: marks.append((reactor.seconds(), tunnel.opened)))
        reactor.callLater(SETTLE + seconds + 0.1, reactor.stop)
        reactor.run()
        traffic.kill()
    (began, before), (ended, after) = marks
    print((after - before) / (ended - began), flush=True)


def sink() -> None:
    """Takes one TCP stream."""
    taken = socket.create_server(("10.9.0.2", SINK)).accept()[0]
    while taken.recv(1 << 20):
        pass


def source() -> None:
    """Gives one TCP stream."""
    while True:
        try:
            out = socket.create_connection(("10.9.0.2", SINK), 1.0)
            break
        except OSError:
            continue
    out.settimeout(None)
    while True:
        out.sendall(bytes(1 << 20))


def inside(seconds: float, kind: str) -> None:
    """In a namespace of its own: lays the wire, starts both sides, prints the far one's rate."""
    subprocess.run(["ip", "link", "add", "e1", "type", "veth", "peer", "name", "e2"], check=True)
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    with (
        subprocess.Popen(["unshare", "--net", *ME, "node", "2", str(seconds), kind], **pipes) as far,
        subprocess.Popen([*ME, "node", "1", str(seconds), kind], **pipes) as near,
    ):
        while os.readlink(f"/proc/{far.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            pass  # until unshare did its work
        subprocess.run(["ip", "link", "set", "e2", "netns", str(far.pid)], check=True)
        for side in (far, near):
            assert side.stdin is not None and side.stdout is not None
            side.stdin.write("go\n")
            side.stdout.readline()
        assert far.stdout is not None and near.stdout is not None
        print(far.stdout.readline().strip(), flush=True)
        near.stdout.readline()


def run(seconds: float, kind: Kind) -> float:
    """Packets per second of one TCP stream through the tunnel, counted where they are opened and written."""
    ended = subprocess.run(
        [*ISOLATED, *ME, "inside", str(seconds), kind], stdout=subprocess.PIPE, text=True, check=True
    )
    return float(ended.stdout)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["inside", seconds, kind]:
            inside(float(seconds), kind)
        case ["node", number, seconds, kind]:
            node(int(number), float(seconds), kind)
        case ["sink"]:
            sink()
        case ["source"]:
            source()
        case arguments:
            rates = {kind: round(run(float((arguments or ["3"])[0]), kind)) for kind in ("bare", "whole")}
            print(json.dumps({"bench": "per_packet_tunnel", "mtu": MTU, "packets_per_second": rates}))
