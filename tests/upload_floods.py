"""What nobody sends who means well, at a real upload server: each piece by piece, and the status of its answer."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

from morphnet.wire.messages.upload.slots import jwt
from tests.upload_nodes import SECRET, UploadNode

PIECE = 1 << 16  # bytes that are sent at once, about


def memory(node: UploadNode) -> int:
    """Bytes that its process has."""
    assert node.process is not None
    lines = Path(f"/proc/{node.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def token(name: str, size: int, secret: str = SECRET, **more: object) -> str:
    """A header with a slot for s/NAME."""
    now = int(time.time())
    claims = {"sub": "a@x", "slot": "s", "filename": name, "filesize": size, "exp": now + 300, "expires": now + 900}
    return f"Authorization: Bearer {jwt(secret.encode(), {**claims, **more})}\r\n"


def _status(line: socket.socket, within: float) -> int:
    """Of the answer; 0 for none."""
    line.settimeout(within)
    with contextlib.suppress(OSError):
        words = line.recv(65536).split(b" ", 2)
        return int(words[1]) if len(words) > 1 else 0
    return 0


def flood(node: UploadNode, pieces: Iterator[bytes]) -> tuple[int, int]:
    """Send all of it, or until there is an answer: its status, and how many bytes went."""
    sent = 0
    with socket.create_connection(("127.0.0.1", node.port), timeout=30) as line:
        with contextlib.suppress(OSError):
            for piece in pieces:
                line.sendall(piece)
                sent += len(piece)
                if select.select([line], [], [], 0)[0]:
                    break
        return _status(line, 30.0), sent


def _put(name: str, size: int, more: str = "Transfer-Encoding: chunked\r\n") -> bytes:
    return f"PUT /upload/s/{name} HTTP/1.1\r\nHost: x\r\n{more}{token(name, size)}\r\n".encode()


def many(piece: bytes, total: int) -> Iterator[bytes]:
    """So many bytes of it, in larger pieces."""
    together = max(PIECE // len(piece), 1)
    return repeat(piece * together, max(total // (len(piece) * together), 1))


def chunk_headers(total: int) -> Iterator[bytes]:
    """A line that ought to tell the length of a chunk, and has no end."""
    return chain([_put("headers", 9)], many(b"1;a=", total))


def extensions(total: int) -> Iterator[bytes]:
    """A thousand bytes of extensions with each byte of a file, which is whole in the end."""
    piece = b"1;" + b"a" * 1000 + b"\r\nx\r\n"
    count = sum(len(each) for each in many(piece, total)) // len(piece)
    return chain([_put("extensions", count)], many(piece, total), [b"0\r\n\r\n"])


def tiny_chunks(total: int) -> Iterator[bytes]:
    """A file byte by byte, which is whole in the end."""
    piece = b"1\r\nx\r\n"
    count = sum(len(each) for each in many(piece, total)) // len(piece)
    return chain([_put("tiny", count)], many(piece, total), [b"0\r\n\r\n"])


def trailers(total: int) -> Iterator[bytes]:
    """One header after the other behind a body."""
    return chain([_put("trailers", 1), b"1\r\nx\r\n0\r\n"], many(b"A: " + b"b" * 100 + b"\r\n", total))


def headers(total: int) -> Iterator[bytes]:
    """The same before it."""
    return chain([b"PUT /upload/s/a HTTP/1.1\r\n"], many(b"A: " + b"b" * 100 + b"\r\n", total))


def one_header(total: int) -> Iterator[bytes]:
    """One that has no end."""
    return chain([b"PUT /upload/s/a HTTP/1.1\r\nA: "], many(b"b" * 1000, total))


def too_much(total: int) -> Iterator[bytes]:
    """A body that is longer than its slot."""
    return chain([_put("much", 1000)], many(b"ffff\r\n" + b"x" * 65535 + b"\r\n", total))


def forged(node: UploadNode, count: int) -> set[int]:
    """So many slots of each scheme that somebody has made up, on one connection: the statuses that there were."""
    statuses = set[int]()
    with socket.create_connection(("127.0.0.1", node.port), timeout=30) as line:
        answers = line.makefile("rb")
        for number in range(0, count, 50):
            asked = b""
            for each in range(number, number + 50):
                target, more = f"/upload/s/{each}", ""
                if each % 3 == 0:
                    target += f"?v={each:064x}"
                elif each % 3 == 1:
                    target += f"?token={each:044d}&user=a@x&expiry={int(time.time()) + 60}"
                else:
                    more = token(str(each), 9, "another secret")
                asked += f"PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n{more}\r\n".encode()
            line.sendall(asked)
            for _ in range(50):
                statuses.add(int(answers.readline().split()[1]))
                length = 0
                while (header := answers.readline()) != b"\r\n":
                    if header.lower().startswith(b"content-length:"):
                        length = int(header.split(b":")[1])
                answers.read(length)
    return statuses


FLOODS = (  # what, and the status that it is answered
    (chunk_headers, 400),
    (extensions, 201),
    (tiny_chunks, 201),
    (trailers, 400),
    (headers, 400),
    (one_header, 400),
    (too_much, 413),
)
