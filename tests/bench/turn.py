"""
A client of a TURN server that sends through it as fast as the server takes it, with a channel:

    python -m tests.bench.turn HOST SECONDS SIZE [tls]

Over UDP the other end is a socket of ours without TURN, so that each message is relayed once; with "tls" it is a second
client, and both speak TLS with the server, as nodes do with a relay.

Prints a line of JSON: messages and bytes that arrived. Source: RFC 8656; RFC 8489 section 9.2 for the credentials.
"""

from __future__ import annotations

import hmac
import json
import os
import select
import socket
import ssl
import struct
import sys
import threading
import time
import zlib
from hashlib import md5, sha1

USER, PASSWORD = "bench", "bench"
PORT, TLS_PORT, COOKIE, CHANNEL = 5350, 5351, 0x2112A442, 0x4000
ALLOCATE, CHANNEL_BIND = 0x003, 0x009
_USERNAME, _INTEGRITY, _CHANNEL, _PEER, _REALM, _NONCE, _RELAYED, _TRANSPORT = 6, 8, 12, 18, 20, 21, 22, 25
MOST_UNDER_WAY = 256  # messages; the far end is in this process, and tells


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def _xored(host: str, port: int) -> bytes:
    address = int.from_bytes(socket.inet_aton(host), "big") ^ COOKIE
    return struct.pack("!BBHI", 0, 1, port ^ (COOKIE >> 16), address)


def _plain(bound: bytes) -> tuple[str, int]:
    _, _, port, address = struct.unpack("!BBHI", bound)
    return socket.inet_ntoa((address ^ COOKIE).to_bytes(4, "big")), port ^ (COOKIE >> 16)


class Turn:
    """One allocation."""

    def __init__(self, host: str, *, tls: bool = False) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tls else socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        self.socket.connect((host, TLS_PORT if tls else PORT))
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is the server of this benchmark
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket = context.wrap_socket(self.socket)
        self._realm = self._nonce = b""

    def ask(self, method: int, *attributes: bytes) -> dict[int, bytes]:
        """
        One request: the attributes of the answer.

        :raises OSError: the server says no.
        """
        for _ in range(2):  # the first is told realm and nonce
            kind, answer = self._once(method, attributes)
            if kind == method | 0x100:
                return answer
            self._realm, self._nonce = answer.get(_REALM, b""), answer.get(_NONCE, b"")
        raise OSError(f"TURN: {answer}")

    def allocate(self) -> tuple[str, int]:
        """
        The address at the server that leads to us.

        :raises OSError: the server says no.
        """
        return _plain(self.ask(ALLOCATE, _attribute(_TRANSPORT, bytes((17, 0, 0, 0))))[_RELAYED])

    def bind(self, host: str, port: int) -> None:
        """
        Our one channel leads there.

        :raises OSError: the server says no.
        """
        self.ask(
            CHANNEL_BIND, _attribute(_CHANNEL, struct.pack("!HH", CHANNEL, 0)), _attribute(_PEER, _xored(host, port))
        )

    def _once(self, method: int, attributes: tuple[bytes, ...]) -> tuple[int, dict[int, bytes]]:
        body = b"".join(attributes)
        if self._nonce:
            body += _attribute(_USERNAME, USER.encode()) + _attribute(_REALM, self._realm)
            body += _attribute(_NONCE, self._nonce)
        transaction = os.urandom(12)
        length = len(body) + (24 if self._nonce else 0)
        message = struct.pack("!HHI", method, length, COOKIE) + transaction + body
        if self._nonce:
            key = md5(b":".join((USER.encode(), self._realm, PASSWORD.encode()))).digest()
            message += _attribute(_INTEGRITY, hmac.digest(key, message, sha1))
        self.socket.settimeout(2.0)
        self.socket.send(message)
        answer = self.socket.recv(2048)
        found, at = {}, 20
        while at + 4 <= len(answer):
            kind, size = struct.unpack_from("!HH", answer, at)
            found[kind] = answer[at + 4 : at + 4 + size]
            at += 4 + size + (-size % 4)
        return struct.unpack_from("!H", answer)[0], found


def by_udp(host: str, seconds: float, message: bytes) -> int:
    """To a socket of ours: how many arrived."""
    far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    turn = Turn(host)
    far.bind((turn.socket.getsockname()[0], 0))
    turn.allocate()
    turn.bind(*far.getsockname())
    turn.socket.setblocking(False)
    far.setblocking(False)
    sent = received = 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        while sent - received < MOST_UNDER_WAY:
            try:
                turn.socket.send(message)
            except BlockingIOError:
                break
            sent += 1
        if not select.select([far], [], [], 0.01)[0]:
            sent = received  # what is missing was lost
        try:
            while far.recv(65536):
                received += 1
        except BlockingIOError:
            continue
    return received


def by_tls(host: str, seconds: float, message: bytes) -> int:
    """From one client to another: how many arrived."""
    here, there = Turn(host, tls=True), Turn(host, tls=True)
    ours, theirs = here.allocate(), there.allocate()
    here.bind(*theirs)
    there.bind(*ours)
    room, sent, received = threading.Semaphore(MOST_UNDER_WAY), 0, 0
    ends = time.monotonic() + seconds

    def send() -> None:
        nonlocal sent
        here.socket.settimeout(2.0)
        while time.monotonic() < ends:
            if room.acquire(timeout=0.1):
                sent += 1
                here.socket.sendall(message)

    sender = threading.Thread(target=send)
    sender.start()
    there.socket.settimeout(0.05)
    freed = whole = 0  # places given back; bytes
    while time.monotonic() < ends:
        try:
            whole += len(there.socket.recv(1 << 16))
            received = whole // len(message)
            now_free = received
        except TimeoutError:
            now_free = sent  # what is missing was lost between the two addresses at the server
        if now_free > freed:
            room.release(now_free - freed)
            freed = now_free
    sender.join()
    return received


def main(host: str, seconds: float, size: int, how: str = "udp") -> None:
    """Allocate, bind, send."""
    message = struct.pack("!HH", CHANNEL, size) + os.urandom(size)
    received = (by_tls if how == "tls" else by_udp)(host, seconds, message)
    print(json.dumps({"messages": received, "bytes": received * size, "crc": zlib.crc32(message)}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
