"""
UDP packets, many a second: one side sends them at a rate, the other counts them. Many a system call, so that the ends
cost little beside what is measured; each packet enters a tunnel on its own, without the kernel's segmentation.

    python -m morphnet.lab.flood take PORT
    python -m morphnet.lab.flood give HOST PORT --size BYTES --rate PACKETS --seconds S [--flows N]

`give` ends with a line that tells how many it sent, and in which time; `take` tells how many came, a line every
EVERY seconds.

Source: sendmmsg(2), recvmmsg(2).
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import json
import os
import resource
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle

BATCH = 32  # packets in one system call
EVERY = 0.1  # seconds
_FORCED_BUFFER = 33  # SO_RCVBUFFORCE
_BUFFER = 16 << 20
_WAIT_FOR_ONE = 0x10000  # MSG_WAITFORONE

_NOTHING = errno.EAGAIN, errno.EINTR
_FULL = errno.EAGAIN, errno.EINTR, errno.ENOBUFS, errno.ECONNREFUSED  # nobody may be there to take it

_libc = ctypes.CDLL(None, use_errno=True)


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_uint),
        ("vectors", ctypes.POINTER(_Vector)),
        ("count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (("header", _Header), ("length", ctypes.c_uint))


class _Batch:
    """BATCH messages over one buffer of `size` bytes: what is in them does not matter, but it must live as long."""

    def __init__(self, size: int) -> None:
        self._buffer = ctypes.create_string_buffer(size)
        self._vector = _Vector(ctypes.addressof(self._buffer), size)
        self.messages = (_Message * BATCH)()
        for message in self.messages:
            message.header.vectors, message.header.count = ctypes.pointer(self._vector), 1


def _counted(result: int, expected: tuple[int, ...]) -> int:
    """
    Messages sent or received.

    :raises OSError: for another reason than those `expected`.
    """
    if result >= 0:
        return result
    number = ctypes.get_errno()
    if number not in expected:
        raise OSError(number, os.strerror(number))
    return 0


def give(host: str, port: int, size: int, rate: float, seconds: float) -> None:
    """
    Send.

    :param size: bytes of payload.
    :param rate: packets a second; when the machine is too slow for it there are fewer.
    """
    door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    door.connect((host, port))
    batch, descriptor = _Batch(size), door.fileno()
    _give(rate, seconds, lambda due: _counted(_libc.sendmmsg(descriptor, batch.messages, due, 0), _FULL))


def give_by_many(host: str, port: int, size: int, rate: float, seconds: float, flows: int) -> None:
    """
    The same as so many flows in turn, each from a port of its own: a system call for each packet.

    :raises OSError: fewer files may be open here.
    """
    limit = max(flows + 64, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    doors = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(flows)]
    for door in doors:
        door.connect((host, port))
        door.setblocking(False)
    payload, turns = bytes(size), cycle([door.send for door in doors])

    def send(due: int) -> int:
        sent = 0
        for _ in range(due):
            with suppress(BlockingIOError, ConnectionRefusedError):
                next(turns)(payload)
                sent += 1
        return sent

    _give(rate, seconds, send)


def _give(rate: float, seconds: float, send: Callable[[int], int]) -> None:
    """Send what is due, and tell of it; `send` is told how many, and tells how many went."""
    sent, began = 0, time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        due = int(passed * rate) + 1 - sent
        if due < min(BATCH, rate / 2000):
            time.sleep(min(BATCH / rate, 0.0005))
            continue
        sent += send(min(due, BATCH))
    print(json.dumps({"sent": sent, "seconds": time.monotonic() - began}), flush=True)


def take(port: int) -> None:
    """Count, until killed."""
    door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        door.setsockopt(socket.SOL_SOCKET, _FORCED_BUFFER, _BUFFER)
    except PermissionError:  # without root the machine's limit holds
        door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    door.bind(("0.0.0.0", port))
    print(json.dumps({"listening": port}), flush=True)
    door.settimeout(None)
    batch, descriptor, taken, told = _Batch(2048), door.fileno(), 0, 0.0
    door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, (0).to_bytes(8, "little") + (50_000).to_bytes(8, "little"))
    while True:
        taken += _counted(_libc.recvmmsg(descriptor, batch.messages, BATCH, _WAIT_FOR_ONE, None), _NOTHING)
        now = time.monotonic()
        if now - told >= EVERY:
            told = now
            print(json.dumps({"taken": taken}), flush=True)


def main(arguments: list[str]) -> None:
    """Run as the arguments say."""
    parser = argparse.ArgumentParser(prog="flood")
    sides = parser.add_subparsers(dest="side", required=True)
    taking = sides.add_parser("take")
    taking.add_argument("port", type=int)
    giving = sides.add_parser("give")
    giving.add_argument("host")
    giving.add_argument("port", type=int)
    giving.add_argument("--size", type=int, default=1200)
    giving.add_argument("--rate", type=float, default=1000.0)
    giving.add_argument("--seconds", type=float, default=2.0)
    giving.add_argument("--flows", type=int, default=1)
    options = parser.parse_args(arguments)
    if options.side == "take":
        take(options.port)
    elif options.flows > 1:
        give_by_many(options.host, options.port, options.size, options.rate, options.seconds, options.flows)
    else:
        give(options.host, options.port, options.size, options.rate, options.seconds)


if __name__ == "__main__":
    main(sys.argv[1:])
