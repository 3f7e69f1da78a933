"""
Many clients in one process: each has its own certificate, address, control link, session and socket, as a machine of
its own would, from the same code. Only the host and its TUN are left out: packets come from here and are counted here.

    python -m tests.bench.crowd PKI_DIR SERVER COUNT

Reads a line for what to do and answers with a line of JSON each:

    connect         everybody calls, AT_ONCE at a time: seconds, and how many have an active path
    again           waits until the server was lost, and everybody is with it again: the same
    send SECONDS    everybody sends super packets of UDP to the server's inner address, in turn, as fast as they go
    rest SECONDS    only what an idle session does
"""

from __future__ import annotations

import json
import os
import random
import struct
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from twisted.internet import reactor as _reactor
from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineReceiver

from morphnet.config.roles import ClientConfig
from morphnet.host.host import Host
from morphnet.host.uplinks import Uplink
from morphnet.net.dial import Destination
from morphnet.net.ondevice import Source
from morphnet.net.pump import Pump, since_boot
from morphnet.net.tls import ClientTls, Identity
from morphnet.net.tun import Tun
from morphnet.pki.authority import Authority, as_pem
from morphnet.pki.files import load_authority
from morphnet.rendezvous.reconnect import reconnect
from morphnet.roles.client.certified_node import Certificates
from morphnet.roles.client.node import ClientNode, Parts
from morphnet.roles.client.uplink_paths import UplinkPaths
from morphnet.roles.signalling.control_client import ControlClient, Link, Pushed
from morphnet.tunnel.events import Event
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.ip import UDP
from morphnet.wire.messages.control import Hello, Welcome
from morphnet.wire.virtio import GSO_UDP_L4, NEEDS_CSUM

reactor = cast(Any, _reactor)
CROWD = "198.18.0.0/16"  # addresses of the crowd, all of them this machine's (RFC 2544)
AT_ONCE = 16
PATIENCE = 60.0  # seconds until whoever has no path is given up
SEGMENT_SIZE, SEGMENTS = 1372, 44
PORT = 5000
TURN = 0.001  # seconds between two looks whether to send again
BURST = 16  # super packets that all of them send in a turn at least


def super_packet(source: str, destination: str) -> bytes:
    """UDP of SEGMENTS full packets, as a TUN with virtio headers gives it."""
    payload = bytes(SEGMENT_SIZE * SEGMENTS)
    udp = struct.pack("!HHHH", PORT, PORT, 8 + len(payload), 0)
    ends = b"".join(bytes(map(int, address.split("."))) for address in (source, destination))
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(payload), 1, 0x4000, 64, UDP, 0) + ends
    return struct.pack("=BBHHHH", NEEDS_CSUM, GSO_UDP_L4, 28, SEGMENT_SIZE, 20, 6) + ip + udp + payload


class NoHost:
    """Is asked to change nothing."""

    networks = ()

    def client_up(self, network: object) -> None:
        """Nothing."""

    def set_uplinks(self, uplinks: object) -> None:
        """Nothing."""

    def keep_outside(self) -> None:
        """Nothing."""


class Counter:
    """What would be a TUN: counts the packets that come out."""

    name, offloads = "none", ()

    def __init__(self) -> None:
        self.packets = 0

    def write(self, packets: Sequence[object]) -> None:
        """They came."""
        self.packets += len(packets)

    def doRead(self) -> None:
        """Nobody answers."""

    def counters(self) -> dict[str, int]:
        """For its node."""
        return {"read": self.packets}


class Member:
    """One client; its control link's listener."""

    def __init__(self, number: int, server: str, tls: ClientTls, name: str, answered: Callable[[Member], None]) -> None:
        self._answered, source = answered, f"198.18.{number // 250}.{number % 250 + 1}"
        config = ClientConfig(server=server, server_name="gw.example", name=name, dns=False)
        self.pump = Pump(reactor, Tunnel(server=False, entropy=os.urandom), since_boot)
        self.pump.follow(self._heard)
        self.pump.tun = self.out = Counter()
        ways = UplinkPaths(reactor, self.pump, lambda kind, text: None)
        parts = Parts(cast(Host, NoHost()), cast(Tun, self.out), ways, Certificates())
        self.node = ClientNode(config, self.pump, parts)
        self.node.uplinks_are([Uplink("wan0", 2, True, (source,), (), "", None, 1500, 100)])
        self.client = ControlClient(reactor, tls, Destination(server, 8443, lambda: [Source("", source)]), self)
        self.machine = reconnect(self, reactor, random.random)
        self.welcomes = 0  # by the server
        self.packet = b""

    def hello(self) -> Hello:
        """What the node says of itself."""
        return self.node.hello()

    def welcomed(self, welcome: Welcome, link: Link) -> None:
        self.packet = super_packet(welcome.inner4.partition("/")[0], "10.73.0.1")
        self.node.welcomed(welcome, link)
        self.machine.opened()
        self.welcomes += 1
        self._answered(self)

    def refused(self, reason: str, retry_after: float | None) -> None:
        print(reason, file=sys.stderr)
        self.machine.refused(reason, retry_after)
        self._answered(self)

    def failed(self, reason: str) -> None:
        self.machine.failed(reason)
        self._answered(self)

    def signal(self, signal: Pushed) -> None:
        self.node.signal(signal)

    def lost(self, reason: str) -> None:
        self.node.link_lost(reason)
        self.machine.lost(reason)

    # what its machine asks for

    def dial(self) -> None:
        """Call the server."""
        self.client.connect()

    def hang_up(self) -> None:
        """Give up the call, or end the link: then it is the next one's turn."""
        self.client.close()
        self._answered(self)

    def entered(self, state: str) -> None:
        """Nobody looks."""

    def _heard(self, event: Event) -> None:
        self.node.heard(event)

    def is_active(self) -> bool:
        """Whether it has a path that works."""
        session = next(iter(self.pump.tunnel.sessions.values()), None)
        return session is not None and bool(session.outbound.usable_paths())


class Crowd(LineReceiver):
    """Does what the lines on stdin say."""

    delimiter = b"\n"

    def __init__(self, pki_dir: Path, server: str, count: int) -> None:
        authority, now = load_authority(pki_dir), time.time()
        ca = as_pem(authority.certificate)
        self.members = [Member(n, server, self._tls(authority, ca, n, now), f"m{n}", self._next) for n in range(count)]
        self._waiting = list(self.members)

    @staticmethod
    def _tls(authority: Authority, ca: bytes, number: int, now: float) -> ClientTls:
        key = generate_private_key(SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        certificate = as_pem(authority.client(key.public_key(), f"m{number}", now=now))
        return ClientTls(Identity(certificate, pem, ca), "gw.example")

    def connectionMade(self) -> None:
        self.say(ready=len(self.members))

    def lineReceived(self, line: bytes) -> None:
        word, *rest = line.decode().split()
        if word in ("connect", "again"):
            self._began, self._wanted = time.monotonic(), 1 if word == "connect" else 2
            if word == "connect":
                for _ in range(AT_ONCE):
                    self._next(None)
            self._look()
        else:
            self._ends = time.monotonic() + float(rest[0])
            self._sent = 0
            (self._send if word == "send" else self._rest)()

    def connectionLost(self, reason: object = None) -> None:
        reactor.stop()

    def say(self, **words: object) -> None:
        """A line of JSON."""
        self.sendLine(json.dumps(words).encode())

    def _next(self, member: Member | None) -> None:
        if self._waiting:
            self._waiting.pop().machine.start()

    def _look(self) -> None:
        there = (member.welcomes >= self._wanted and member.is_active() for member in self.members)
        active, passed = sum(there), time.monotonic() - self._began
        if active == len(self.members) or passed > PATIENCE:
            self.say(active=active, of=len(self.members), seconds=round(passed, 3))
        else:
            reactor.callLater(0.02, self._look)

    def _send(self) -> None:
        """Each member whose path has room sends; then look at the network."""
        now, each = time.monotonic(), max(1, BURST // len(self.members))
        for member in self.members:
            session = next(iter(member.pump.tunnel.sessions.values()), None)
            if session is not None and not session.outbound.waiting:
                member.pump.from_tun([memoryview(member.packet)] * each)
                self._sent += SEGMENTS * each
        if now < self._ends:
            reactor.callLater(TURN, self._send)
        else:
            self.say(sent=self._sent)

    def _rest(self) -> None:
        reactor.callLater(max(0.0, self._ends - time.monotonic()), self.say, rested=True)


if __name__ == "__main__":
    StandardIO(Crowd(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
    reactor.run()
