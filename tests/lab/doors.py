"""
The doors on a real kernel, in a network namespace of their own: run by test_doors.py as a script.

`python -m tests.lab.doors CASE` prints what the case observed as one line of JSON.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.interfaces import IReactorFDSet

from morphnet.net.tun import IFF_VNET_HDR, TUN_F_TSO4, TUN_F_USO4, TUNSETIFF, TUNSETOFFLOAD, Tun
from morphnet.net.udp import UdpDoor
from morphnet.wire.batch import Arrival, Departure, Endpoint
from morphnet.wire.virtio import NEEDS_CSUM, VNET, complete_checksum

reactor = cast(Any, _reactor)
fds = cast(IReactorFDSet, _reactor)
PATIENCE = 20.0  # seconds until a case is given up
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

Result = dict[str, object]


def shell(commands: str) -> None:
    """Run `ip` commands, one a line."""
    for line in commands.strip().splitlines():
        subprocess.run(["ip", *line.split()], check=True)


class Inbox:
    """Keeps copies of what a door received, and stops the reactor once enough bytes came."""

    def __init__(self) -> None:
        self.arrivals: list[tuple[Endpoint, bytes, int]] = []
        self.enough = 0

    def __call__(self, arrivals: Sequence[Arrival]) -> None:
        self.arrivals.extend((each.source, bytes(each.data), each.size) for each in arrivals)
        if self.enough and sum(len(data) for _, data, _ in self.arrivals) >= self.enough:
            reactor.stop()

    def datagrams(self) -> list[bytes]:
        return [data[at : at + size] for _, data, size in self.arrivals for at in range(0, len(data), size)]


def run() -> None:
    """Let the reactor work until something stops it."""
    late = reactor.callLater(PATIENCE, reactor.stop)
    reactor.run()
    if late.active():
        late.cancel()


# -- UDP --------------------------------------------------------------------------------------------------------------


def gso(host: str, segments: bool = True) -> Result:
    """Forty datagrams of 1200 bytes, the last one shorter, from one door to another."""
    inbox = Inbox()
    there = UdpDoor(fds, 1, inbox, host=host)
    here = UdpDoor(fds, 2, inbox, host=host)
    if not segments:
        here.make_socket = lambda: cast(socket.socket, Stubborn(there.make_socket()))  # type: ignore[method-assign]
    there.open()
    here.open()
    sent = [bytes([index]) * 1200 for index in range(39)] + [b"end"]
    inbox.enough = sum(map(len, sent))
    here.send([Departure(2, Endpoint(*there.local), b"".join(sent), 1200)])
    run()
    return {
        "same": inbox.datagrams() == sent,
        "receives": len(inbox.arrivals),
        "send_calls": here.send_calls,
        "offloads": here.offloads(),
        "refused": here.refused,
    }


class Stubborn:
    """A real socket in a kernel that knows no UDP GSO."""

    def __init__(self, real: socket.socket) -> None:
        self._real = real

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def sendmsg(self, parts: Any, ancillary: Sequence[tuple[int, int, bytes]], flags: int, address: Any) -> int:
        if any((level, kind) == (17, 103) for level, kind, _ in ancillary):
            raise OSError(errno.EINVAL, "no GSO")
        return self._real.sendmsg(parts, ancillary, flags, address)


def late(host: str, seconds: float) -> Result:
    """A door is not read for so long, until a datagram says so: the kernel takes a while to begin with stamps."""
    waits: list[float] = []
    (there := UdpDoor(fds, 1, lambda arrivals: waits.extend([each.late for each in arrivals]), host=host)).open()
    for _ in range(50):
        there.send([Departure(1, Endpoint(*there.local), b"early", 5)])
        time.sleep(seconds)
        there.send([Departure(1, Endpoint(*there.local), b"now", 3)])
        there.doRead()
        if waits[-2] >= seconds:
            break
    return {"waits": waits[-2:], "truncated": there.truncated}


def multihomed(host: str, asked: str, asker: str) -> Result:
    """A door on a wildcard is asked on its second address, and answers."""
    door = UdpDoor(fds, 1, lambda arrivals: answer(arrivals), host=host)
    told: list[Endpoint] = []

    def answer(arrivals: Sequence[Arrival]) -> None:
        for each in arrivals:
            told.append(each.source)
            door.send([Departure(1, each.source, b"answer" * 500, 1000)])
        reactor.stop()

    door.open()
    client = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    client.bind((asker, 0))
    client.settimeout(PATIENCE)
    client.sendto(b"question", (asked, door.local[1]))
    run()
    answers = [client.recvfrom(4096) for _ in range(3)]
    return {
        "local": told[0].local,
        "from": sorted({address[0] for _, address in answers}),
        "sizes": [len(data) for data, _ in answers],
    }


def too_big() -> Result:
    """Datagrams longer than the device's MTU: told, never fragmented; shorter ones still leave by GSO."""
    shell("link set lo mtu 1300")
    inbox = Inbox()
    there = UdpDoor(fds, 1, inbox, host="127.0.0.1")
    here = UdpDoor(fds, 2, inbox, host="127.0.0.1")
    told: list[int] = []
    here.too_big = lambda departure: told.append(departure.size)
    there.open()
    here.open()
    to = Endpoint(*there.local)
    here.send([Departure(2, to, bytes(12720), 1273), Departure(2, to, bytes(1273), 1273)])
    inbox.enough = 12720 - 9 * 1273 + 12720
    here.send([Departure(2, to, bytes(12720), 1272)])
    run()
    sizes = [len(each) for each in inbox.datagrams()]
    return {"told": told, "sizes": sizes, "refused": here.refused, "offloads": here.offloads()}


def dead_device() -> Result:
    """A door bound to a device that goes down, comes back and is deleted."""
    shell(
        """
        link add up0 type veth peer name far0
        addr add 10.1.0.1/24 dev up0
        link set up0 up
        link set far0 up
        neigh add 10.1.0.2 lladdr 02:00:00:00:00:02 dev up0
        """
    )
    door = UdpDoor(fds, 1, lambda arrivals: None, host="10.1.0.1", device="up0")
    door.open()
    sent: list[int] = []
    run_of = [Departure(1, Endpoint("10.1.0.2", 9), bytes(3000), 1000)]
    for change in ("", "link set up0 down", "link set up0 up", "link del up0"):
        if change:
            shell(change)
        if change.endswith(" up"):
            shell("neigh replace 10.1.0.2 lladdr 02:00:00:00:00:02 dev up0")
        door.send(run_of)
        door.doRead()
        sent.append(door.sent)
    reactor.callLater(0.2, reactor.stop)
    run()
    return {"sent": sent, "refused": door.refused, "errors": sorted(door.errors)}


# -- TUN --------------------------------------------------------------------------------------------------------------


class Kernel(Tun):
    """A TUN in a kernel that can do less than this one."""

    lacks: tuple[int, int] = (0, 0)  # request, bit

    def ioctl(self, descriptor: int, request: int, argument: bytes | int) -> bytes | int:
        bits = int.from_bytes(argument[16:18], "little") if isinstance(argument, bytes) else argument
        if request == self.lacks[0] and bits & self.lacks[1]:
            raise OSError(errno.EINVAL, "not here")
        return super().ioctl(descriptor, request, argument)


LACKS = {
    "nothing": (0, 0),
    "uso": (TUNSETOFFLOAD, TUN_F_USO4),
    "tso": (TUNSETOFFLOAD, TUN_F_TSO4),
    "vnet": (TUNSETIFF, IFF_VNET_HDR),
}


class Pipe:
    """Two TUNs in two namespaces, each one's packets written to the other."""

    def __init__(self, lacks: str, complete: bool = False) -> None:
        """:param complete: finish the checksums of all packets but super packets on the way."""
        self.complete = complete
        self.longest = self.completed = 0
        self.near, self.far = Kernel(fds, "near%d", self.there), Kernel(fds, "far%d", self.back)
        self.near.lacks = self.far.lacks = LACKS[lacks]
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.near.open()
        self.raise_up(self.near, 1)
        self.enter_far(new=True)
        self.far.open()
        self.raise_up(self.far, 2)

    def raise_up(self, tun: Tun, number: int) -> None:
        shell(
            f"""
            link set lo up
            addr add 10.9.0.{number}/24 dev {tun.name}
            addr add fd09::{number}/64 dev {tun.name} nodad
            link set {tun.name} mtu 1400 up
            """
        )

    def enter_far(self, new: bool = False) -> None:
        """Sockets made from now on are in the other namespace."""
        if new:
            assert _libc.unshare(CLONE_NEWNET) == 0
            self.away = os.open("/proc/self/ns/net", os.O_RDONLY)
        assert _libc.setns(self.away, 0) == 0

    def enter_near(self) -> None:
        assert _libc.setns(self.home, 0) == 0

    def there(self, packets: Sequence[memoryview]) -> None:
        self.far.write(self.passing(packets))

    def back(self, packets: Sequence[memoryview]) -> None:
        self.near.write(self.passing(packets))

    def passing(self, packets: Sequence[memoryview]) -> Sequence[memoryview]:
        for packet in packets:
            self.longest = max(self.longest, len(packet))
            flags, gso_type, *_ = VNET.unpack_from(packet)
            if self.complete and flags & NEEDS_CSUM and not gso_type:
                complete_checksum(packet)
                self.completed += 1
        return packets

    def result(self) -> Result:
        dropped = {**self.near.dropped, **self.far.dropped}
        return {
            "offloads": self.near.offloads,
            "longest": self.longest,
            "dropped": dropped,
            "completed": self.completed,
        }


def tcp(lacks: str, host: str, length: int, complete: bool = False) -> Result:
    """One TCP transfer between the two namespaces, over kernel sockets."""
    pipe = Pipe(lacks, complete)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.create_server((host, 5000), family=family)
    pipe.enter_near()
    client = socket.socket(family, socket.SOCK_STREAM)
    client.settimeout(PATIENCE)
    data = os.urandom(1 << 20) * (length >> 20)
    digests: list[bytes] = []

    def serve() -> None:
        taken, digest = server.accept()[0], hashlib.sha256()
        while part := taken.recv(1 << 20):
            digest.update(part)
        taken.sendall(digest.digest())
        taken.close()

    def ask() -> None:
        try:
            client.connect((host, 5000))
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            digests.append(client.recv(32))
        finally:
            reactor.callFromThread(reactor.stop)

    for work in (serve, ask):
        threading.Thread(target=work, daemon=True).start()
    run()
    return {"same": digests == [hashlib.sha256(data).digest()], **pipe.result()}


def ping() -> Result:
    """ICMP echo, there and back, with the kernel answering."""
    pipe = Pipe("nothing")
    pipe.enter_near()
    asker = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    asker.settimeout(PATIENCE)
    body = struct.pack("!BBHHH", 8, 0, 0, 77, 1) + bytes(56)
    checksum = 0xFFFF - int.from_bytes(body, "big") % 0xFFFF
    asker.sendto(body[:2] + checksum.to_bytes(2, "big") + body[4:], ("10.9.0.2", 0))
    answers: list[bytes] = []

    def listen() -> None:
        answers.append(asker.recv(2000)[20:28])
        reactor.callFromThread(reactor.stop)

    threading.Thread(target=listen, daemon=True).start()
    run()
    return {"type": answers[0][0], "id": int.from_bytes(answers[0][4:6], "big"), "dropped": pipe.result()["dropped"]}


def uso() -> Result:
    """A UDP GSO send crosses both TUNs as one super packet and arrives in its datagrams."""
    pipe = Pipe("nothing")
    inbox = Inbox()
    there = UdpDoor(fds, 1, inbox, host="10.9.0.2")
    there.open()
    pipe.enter_near()
    here = UdpDoor(fds, 2, inbox, host="10.9.0.1")
    here.open()
    sent = [bytes([index]) * 1200 for index in range(40)]
    inbox.enough = 48000
    here.send([Departure(2, Endpoint(*there.local), b"".join(sent), 1200)])
    run()
    return {"same": inbox.datagrams() == sent, **pipe.result()}


def deleted() -> Result:
    """Somebody deletes the TUN device while it is read; another takes its name; a third wants that name too."""
    told: list[str] = []
    tun = Tun(fds, "morph0", lambda packets: None)

    def lost(problem: Exception) -> None:
        told.append(str(problem))
        reactor.stop()

    tun.lost = lost
    tun.open()
    reactor.callLater(0.1, shell, "link del morph0")
    run()
    tun.write([bytes(40)])
    again, busy = Tun(fds, "morph0", lambda packets: None), []
    again.open()
    again.write([VNET.pack(0, 0, 0, 0, 0, 0) + b"\x45" + bytes(39)])
    for name in ("morph0", "lo"):
        try:
            Tun(fds, name, lambda packets: None).open()
        except Exception as problem:
            busy.append(f"{type(problem).__name__}: {problem}")
    return {"told": told, "dropped": tun.dropped, "down": again.dropped, "busy": busy}


CASES: dict[str, Callable[[], Result]] = {
    "gso4": lambda: gso("127.0.0.1"),
    "gso6": lambda: gso("::1"),
    "no_gso": lambda: gso("127.0.0.1", segments=False),
    "late": lambda: late("::1", 0.05),
    "multihomed4": lambda: multihomed("", "10.0.0.2", "10.0.0.3"),
    "multihomed6": lambda: multihomed("::", "fd00::2", "fd00::3"),
    "too_big": too_big,
    "dead_device": dead_device,
    "tcp4": lambda: tcp("nothing", "10.9.0.2", 10 << 20),
    "tcp6": lambda: tcp("nothing", "fd09::2", 10 << 20),
    "tcp_no_uso": lambda: tcp("uso", "10.9.0.2", 1 << 20),
    "tcp_no_tso": lambda: tcp("tso", "10.9.0.2", 1 << 20),
    "tcp_no_vnet": lambda: tcp("vnet", "10.9.0.2", 1 << 20),
    "tcp_completed": lambda: tcp("tso", "fd09::2", 1 << 20, complete=True),
    "ping": ping,
    "uso": uso,
    "deleted": deleted,
}


if __name__ == "__main__":
    shell("link set lo up")
    for number in (1, 2, 3):
        shell(f"addr add 10.0.0.{number}/32 dev lo\naddr add fd00::{number}/128 dev lo nodad")
    print(json.dumps(CASES[sys.argv[1]]()), flush=True)
    os._exit(0)  # threads of a failed case may still wait
