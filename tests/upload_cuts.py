"""One file that is sent to a real upload server over many cuts, each time from another address."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import random
import socket
import struct
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.upload_nodes import UploadNode

_BLOCK = 1 << 20  # bytes
TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


@dataclass
class Sent:
    """What it took."""

    twice: list[int] = field(default_factory=list)  # bytes of each cut that had arrived and were sent again
    queued: list[int] = field(default_factory=list)  # bytes that were still with the client's kernel
    went_back: int = 0  # offsets below one that was told before
    asked: list[float] = field(default_factory=list)  # seconds from asking for the offset to its answer
    left_open: int = 0  # connections of before, left half-open, that the server has not ended
    same: bool = False  # the file is the one that was sent


def _bytes(size: int, at: int = 0) -> Iterator[bytes]:
    """Of the file from there on, the same each time, by blocks."""
    for number in range(at // _BLOCK, -(-size // _BLOCK)):
        block = hashlib.shake_128(number.to_bytes(8, "big")).digest(min(_BLOCK, size - number * _BLOCK))
        yield block[max(at - number * _BLOCK, 0) :]


def _send(line: socket.socket, size: int, at: int, upto: int) -> int:
    """Up to that byte, or as far as it goes."""
    with contextlib.suppress(OSError):
        for block in _bytes(size, at):
            piece = block[: upto - at]
            line.sendall(piece)
            at += len(piece)
            if at == upto:
                break
    return at


def _queued(line: socket.socket) -> int:
    """Bytes that the other end's kernel has not acknowledged."""
    return int.from_bytes(fcntl.ioctl(line.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def _ended(line: socket.socket) -> bool:
    line.settimeout(5.0)
    try:
        return not line.recv(1)
    except TimeoutError:
        return False
    except OSError:
        return True


def send(node: UploadNode, size: int, cuts: int) -> Sent:
    """Over so many cuts at random bytes; every second connection is left half-open instead of being reset."""
    target, sent, at, best = node.slot("cuts/file", size), Sent(), 0, 0
    node.ask("POST", target, {**TUS, "Upload-Length": str(size)})
    places = [*sorted(random.sample(range(1, size), cuts)), size]
    with contextlib.ExitStack() as held:
        for number, place in enumerate(places):
            more = "".join(f"{name}: {value}\r\n" for name, value in {**TUS, "Upload-Offset": at}.items())
            line = node.begin("PATCH", target, size - at, b"", f"127.0.0.{number + 2}", more)
            held.callback(line.close)
            done = _send(line, size, at, max(place, at))
            queued = _queued(line)
            if place == size:
                line.recv(4096)
            elif number % 2:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@ii", 1, 0))
                line.close()
            asked = time.monotonic()
            at = int(node.ask("HEAD", target, TUS)[1]["upload-offset"])
            sent.asked.append(time.monotonic() - asked)
            sent.left_open += place != size and not number % 2 and not _ended(line)
            sent.twice.append(max(done - queued - at, 0))
            sent.queued.append(queued)
            sent.went_back += at < best
            best = max(at, best)
    got = node.ask("GET", target.partition("?")[0])[2]
    sent.same = hashlib.sha256(got).digest() == hashlib.sha256(b"".join(_bytes(size))).digest()
    return sent
