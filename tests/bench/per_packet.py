"""
The way not taken: one Twisted DatagramProtocol callback per packet, each opened with AES-256-GCM on its own.

The baseline that the batches of net/udp and tunnel are measured against. `python -m tests.bench.per_packet [SECONDS]`
prints one line of JSON.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from typing import Any, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from twisted.internet.protocol import DatagramProtocol

PAYLOAD = 1400  # bytes of plaintext, one full inner packet
OVERHEAD = 66  # ClientID, header, nonce, tag
KEY = bytes(range(32))
SETTLE = 0.5  # seconds before counting starts
VARIETY = 512  # different datagrams sent, over and over


class Opener(DatagramProtocol):
    """Opens each datagram as it comes."""

    def __init__(self) -> None:
        self.opened = 0
        self._cipher = AESGCM(KEY)

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        try:
            self._cipher.decrypt(datagram[38:50], datagram[50:], datagram[:38])
        except InvalidTag:
            return
        self.opened += 1


def receive(seconds: float) -> None:
    """The receiving process: prints its port, then how many packets it received and opened, and in how many seconds."""
    from twisted.internet import reactor as installed

    reactor = cast(Any, installed)
    opener = Opener()
    port = reactor.listenUDP(0, opener, interface="127.0.0.1", maxPacketSize=2048)
    port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    print(port.getHost().port, flush=True)
    marks: list[tuple[float, int]] = []

    def mark() -> None:
        marks.append((reactor.seconds(), opener.opened))

    reactor.callLater(SETTLE, mark)
    reactor.callLater(SETTLE + seconds, mark)
    reactor.callLater(SETTLE + seconds, reactor.stop)
    reactor.run()
    (began, before), (ended, after) = marks
    print((after - before) / (ended - began), flush=True)


def send(port: int) -> None:
    """The sending process: as fast as it can, sealed beforehand, so that only the receiver is measured."""
    cipher, out = AESGCM(KEY), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams = []
    for counter in range(VARIETY):
        head, nonce = bytes(38), counter.to_bytes(12, "big")
        datagrams.append(head + nonce + cipher.encrypt(nonce, bytes(PAYLOAD), head))
    assert len(datagrams[0]) == PAYLOAD + OVERHEAD
    out.connect(("127.0.0.1", port))
    while True:
        for datagram in datagrams:
            try:
                out.send(datagram)
            except ConnectionRefusedError:  # the receiver is done
                return


def run(seconds: float) -> float:
    """Packets per second that one process received and opened, over loopback, from another that never waits."""
    itself = [sys.executable, "-m", "tests.bench.per_packet"]
    with subprocess.Popen([*itself, "receive", str(seconds)], stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout is not None
        with subprocess.Popen([*itself, "send", receiver.stdout.readline().strip()]) as sender:
            try:
                return float(receiver.stdout.readline())
            finally:
                sender.kill()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["receive", seconds]:
            receive(float(seconds))
        case ["send", port]:
            send(int(port))
        case arguments:
            rate = run(float((arguments or ["3"])[0]))
            print(json.dumps({"bench": "per_packet", "payload": PAYLOAD, "packets_per_second": round(rate)}))
