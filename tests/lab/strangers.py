"""
Those whom a server does not know, and what they do to it: `python -m tests.lab.strangers ACT ...`, in a node of a box.

    flood HOST PORT      datagrams at the data port, from addresses that are not ours
    forge HOST PORT      the same with ids seen on the wire that we stand beside (on the isp)
    crowd HOST PORT      sockets that connect and then sit there
    knock HOST PORT      one connection after the other from one address, which ask for the name --name
    call HOST PORT       connections at a rate, each from another address: half a TLS handshake, or not a byte
    junk HOST PORT       conversations that are not TLS 1.3, stop halfway, or show no certificate (one asks for --name)

Each prints JSON lines; the last one sums up.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import json
import os
import random
import resource
import select
import socket
import ssl
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pyroute2 import IPRoute

from morphnet.wire.formats import COMPACT, SEED
from morphnet.wire.header import HANDSHAKE, ISSUED, TO_SERVER, Header

CROWD = "198.18.0.0/16"
_IP = struct.Struct("!BBHHHBBH4s4s")
_UDP = struct.Struct("!HHHH")
_ALL = 0x0300  # ETH_P_ALL, as the kernel wants it
_IP_HEADER, _ETHERNET = 20, 14


NUMBER_AT = 11  # in a datagram of the format `compact`


def say(**values: object) -> None:
    """One JSON line."""
    print(json.dumps(values), flush=True)


def be_the_crowd() -> None:
    """Let every address of CROWD be ours."""
    with IPRoute() as ip:
        ip.route("replace", dst=CROWD, oif=1, type="local", scope=254, table=255)


def somebody(chance: random.Random) -> str:
    """One address of CROWD."""
    return str(ipaddress.ip_network(CROWD)[chance.randrange(1, 1 << 16)])


# -- datagrams -------------------------------------------------------------------------------------------------------


def packet(source: str, host: str, ports: tuple[int, int], payload: bytes) -> bytes:
    """One IPv4 packet; the kernel fills in the checksum of its header, and none in UDP means that it has none."""
    ends = socket.inet_aton(source), socket.inet_aton(host)
    size = _IP_HEADER + _UDP.size + len(payload)
    return _IP.pack(0x45, 0, size, 0, 0, 64, socket.IPPROTO_UDP, 0, *ends) + _udp(ports, payload)


def _udp(ports: tuple[int, int], payload: bytes) -> bytes:
    return _UDP.pack(*ports, _UDP.size + len(payload), 0) + payload


def shaped(chance: random.Random, size: int) -> bytes:
    """A datagram of the right form, that only lacks an id that somebody knows and a key."""
    format = chance.choice((COMPACT, SEED))
    path, number = chance.randrange(4), chance.randrange(1 << 32)
    header = Header(chance.randbytes(ISSUED), HANDSHAKE, 0, 0, path, 128, 0, 0, 0, 0, TO_SERVER, number)
    packed = format.pack(header, size - format.overhead)
    return packed + chance.randbytes(size - len(packed))


def flood(options: argparse.Namespace) -> None:
    """At a rate, from all of CROWD; counts what is sent back to any of them."""
    chance = random.Random(7)
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    ear = listen_all()
    variety = [
        packet(somebody(chance), options.host, (chance.randrange(1024, 65536), options.port), payload)
        for payload in (
            shaped(chance, chance.randrange(SEED.overhead, 1400))
            if i % 2
            else chance.randbytes(chance.randrange(1, 1400))
            for i in range(2000)
        )
    ]
    begun, sent = time.monotonic(), 0
    while (passed := time.monotonic() - begun) < options.seconds:
        for _ in range(int(passed * options.rate) - sent):
            try:
                raw.sendto(variety[sent % len(variety)], (options.host, 0))
            except OSError:
                pass  # the device's queue is full
            sent += 1
        time.sleep(0.002)
    time.sleep(0.3)
    crowd = ipaddress.ip_network(CROWD)
    answers = [frame for frame in heard(ear) if from_host(frame, options.host) and to_one_of(frame, crowd)]
    say(sent=sent, per_second=sent / options.seconds, answers=len(answers))


def listen_all() -> socket.socket:
    """Every frame that comes or goes, from now on."""
    ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 20)
    ear.setblocking(False)
    return ear


def heard(ear: socket.socket) -> Iterator[bytes]:
    """What has come so far, without what we sent ourselves."""
    while True:
        try:
            frame, address = ear.recvfrom(2048)
        except BlockingIOError:
            return
        if address[2] != socket.PACKET_OUTGOING:  # type: ignore[attr-defined, unused-ignore]
            yield frame


def from_host(frame: bytes, host: str) -> bool:
    """Whether an IPv4 frame comes from `host`."""
    return frame[12:14] == b"\x08\0" and frame[26:30] == socket.inet_aton(host)


def to_one_of(frame: bytes, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    """Whether an IPv4 frame goes to an address of `network`."""
    return ipaddress.IPv4Address(frame[30:34]) in network


def forge(options: argparse.Namespace) -> None:
    """Take datagrams of a client on their way, and send them again with the number raised and the rest made up."""
    chance, ear = random.Random(8), listen_all()
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    seen: bytes = b""
    ends_at = time.monotonic() + 10.0
    while not seen and time.monotonic() < ends_at:
        select.select([ear], [], [], 0.1)
        for frame in heard(ear):
            to_port = int.from_bytes(frame[36:38], "big")
            if frame[23:24] == b"\x11" and frame[30:34] == socket.inet_aton(options.host) and to_port == options.port:
                seen = frame
    source, ports = socket.inet_ntoa(seen[26:30]), (int.from_bytes(seen[34:36], "big"), options.port)
    datagram = seen[_ETHERNET + _IP_HEADER + _UDP.size :]
    number = int.from_bytes(datagram[NUMBER_AT : NUMBER_AT + 4], "big")
    for i in range(options.count):
        rest = datagram[NUMBER_AT + 4 : COMPACT.header] + chance.randbytes(len(datagram) - COMPACT.header)
        made = datagram[:NUMBER_AT] + (number + 1 + i % 4096).to_bytes(4, "big") + rest
        raw.sendto(packet(source, options.host, ports, made), (options.host, 0))
        if i % 50 == 49:
            time.sleep(0.01)
    say(sent=options.count)


# -- connections -----------------------------------------------------------------------------------------------------


def crowd(options: argparse.Namespace) -> None:
    """Many sockets that connect, send half a ClientHello or nothing, and wait to be thrown out."""
    be_the_crowd()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    chance, selector = random.Random(9), select.epoll()
    sources = [somebody(chance) for _ in range(options.sources)]
    doors: dict[int, socket.socket] = {}
    begun = time.monotonic()
    for i in range(options.sockets):
        door = socket.socket()
        door.setblocking(False)
        door.bind((sources[i % len(sources)], 0))
        door.connect_ex((options.host, options.port))
        doors[door.fileno()] = door
        selector.register(door, select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR)
        if i % 20 == 19:
            time.sleep(0.02)
    tally, last = Counter[str](), 0.0
    told, connected = False, set[int]()
    while doors and time.monotonic() - begun < options.seconds:
        for number, event in selector.poll(0.2):
            try:
                if event & select.EPOLLOUT and number not in connected and not event & select.EPOLLERR:
                    connected.add(number)
                    doors[number].send(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" if number % 2 else b"")
                    selector.modify(number, select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR)
                    continue
                if doors[number].recv(4096):
                    continue
                tally["closed"] += 1
            except OSError as problem:
                tally[str(problem.strerror)] += 1
            selector.unregister(number)
            doors.pop(number).close()
            last = time.monotonic() - begun
        if not told and time.monotonic() - begun > 2.0:
            told = True
            say(connected=len(connected), waiting=len(doors))
    say(connected=len(connected), left=len(doors), last_after=round(last, 1), ends=dict(tally))


def knock(options: argparse.Namespace) -> None:
    """Connect again and again; who is refused is hung up on before TLS, who does not knock is taken leave of by TLS."""
    tally, took = Counter[str](), list[float]()
    begun = time.monotonic()
    for i in range(options.count):
        time.sleep(max(0.0, begun + i / options.rate - time.monotonic()))
        called = time.monotonic()
        with socket.create_connection((options.host, options.port), 2.0) as door:
            context = _anybody()
            door.settimeout(2.0)
            try:
                with context.wrap_socket(door, server_hostname=options.name or None):
                    tally["let in"] += 1
                    took.append(time.monotonic() - called)
            except (OSError, ssl.SSLError) as problem:
                tally["let in" if _met_tls(problem) else "hung up"] += 1
    p95 = sorted(took)[int(0.95 * len(took))] if took else 0.0
    say(**{"seconds": round(time.monotonic() - begun, 2), "p95_ms": round(1000 * p95, 1), **tally})


def _met_tls(problem: OSError) -> bool:
    """Whether TLS ended a conversation, not TCP; its word for goodbye has "EOF" in it too."""
    if isinstance(problem, ssl.SSLZeroReturnError):
        return True
    return isinstance(problem, ssl.SSLError) and "EOF" not in str(problem).upper()


def call(options: argparse.Namespace) -> None:
    """Who is answered leaves, and so does who has been there for a second."""
    be_the_crowd()
    hello, tally, selector = _hello() if options.says else b"", Counter[str](), select.epoll()
    doors: dict[int, tuple[socket.socket, float]] = {}  # the first to come first
    begun = time.monotonic()
    while (now := time.monotonic()) < begun + options.seconds:
        for _ in range(min(50, int((now - begun) * options.rate) - tally["called"])):
            door = socket.socket()
            door.setblocking(False)
            door.setsockopt(socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND
            door.bind((f"198.18.{tally['called'] % 251}.{tally['called'] % 241}", 0))
            door.connect_ex((options.host, options.port))
            tally["called"] += 1
            doors[door.fileno()] = door, now
            selector.register(door, select.EPOLLOUT | select.EPOLLET)
        for number, event in selector.poll(0.001):
            if event & select.EPOLLOUT and not event & (select.EPOLLERR | select.EPOLLHUP):
                tally["connected"] += 1
                with contextlib.suppress(OSError):
                    doors[number][0].send(hello)
        while doors and next(iter(doors.values()))[1] < now - 1.0:
            doors.pop(next(iter(doors)))[0].close()
    say(**tally)


def _hello() -> bytes:
    """What a client of TLS says first."""
    out = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        _anybody().wrap_bio(ssl.MemoryBIO(), out).do_handshake()
    return out.read()


def _anybody(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version is not None:
        context.maximum_version = version
    return context


def junk(options: argparse.Namespace) -> None:
    """What a scanner, a browser and a broken client would say; how each conversation ends."""
    chance = random.Random(10)
    spoken: dict[str, bytes] = {
        "nothing": b"",
        "random": chance.randbytes(4096),
        "zeros": bytes(65536),
        "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
        "huge record": b"\x16\x03\x01\xff\xff" + chance.randbytes(16384),
        "alert": b"\x15\x03\x01\0\x02\x02\x28",
        "data before a hello": b"\x17\x03\x03\0\x10" + chance.randbytes(16),
        "half a hello": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    }
    ends: dict[str, str] = {}
    for name, said in spoken.items():
        time.sleep(0.1)  # within the limiter's rate
        with socket.create_connection((options.host, options.port), 2.0) as door:
            ends[name] = _end_of(door, said, options.patience)
    callers: dict[str, tuple[ssl.SSLContext, str]] = {
        "TLS 1.2": (_anybody(ssl.TLSVersion.TLSv1_2), ""),
        "no name": (_anybody(), ""),
        "any name": (_anybody(), "www.example.org"),
        "no certificate": (_anybody(), options.name),
    }
    shown: list[str] = []  # who saw a certificate
    for name, (context, asked) in callers.items():
        time.sleep(0.1)
        with socket.create_connection((options.host, options.port), 2.0) as door:
            door.settimeout(2.0)
            try:
                with context.wrap_socket(door, server_hostname=asked or None) as inside:
                    if inside.getpeercert(binary_form=True):
                        shown.append(name)
                    inside.recv(100)
                    ends[name] = "closed"
            except (ssl.SSLError, OSError) as problem:
                ends[name] = str(getattr(problem, "reason", None) or problem)
    say(ends=ends, shown=shown)


def _end_of(door: socket.socket, said: bytes, patience: float) -> str:
    door.settimeout(patience)
    try:
        door.sendall(said)
        door.shutdown(socket.SHUT_WR) if said else None
        while door.recv(4096):
            pass
    except TimeoutError:
        return "left open"
    except OSError as problem:
        return str(problem.strerror)
    return "closed"


def main(arguments: list[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tests.lab.strangers")
    acts: Any = parser.add_subparsers(dest="act", required=True)
    numbers: dict[str, dict[str, float | str]] = {
        "flood": {"rate": 10_000, "seconds": 5.0},
        "forge": {"count": 1000},
        "crowd": {"sockets": 2000, "sources": 400, "seconds": 60.0},
        "knock": {"count": 100, "rate": 50.0, "name": ""},
        "call": {"rate": 3000.0, "seconds": 5.0, "says": 1},
        "junk": {"patience": 1.0, "name": ""},
    }
    for act, defaults in numbers.items():
        command = acts.add_parser(act)
        command.add_argument("host")
        command.add_argument("port", type=int)
        for name, default in defaults.items():
            command.add_argument(f"--{name}", type=type(default), default=default)
    options = parser.parse_args(arguments)
    acts_by_name = {"flood": flood, "forge": forge, "crowd": crowd, "knock": knock, "call": call, "junk": junk}
    acts_by_name[options.act](options)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    sys.exit(main(sys.argv[1:]))
