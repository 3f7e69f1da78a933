"""
A PUT whose connection breaks after so many bytes, as when the network goes.

    python -m tests.lab.cut_put URL FILE BYTES HEADERS
"""

from __future__ import annotations

import json
import socket
import struct
import sys
from pathlib import Path
from urllib.parse import urlsplit


def cut_put(url: str, body: bytes, sent: int, headers: dict[str, str]) -> str:
    """Send that much of the body, give the server a moment to take it, and reset; the head of a 104, if it came."""
    parts = urlsplit(url)
    told = {"Host": parts.netloc, "Content-Length": str(len(body)), **headers}
    lines = [f"PUT {parts.path}{'?' + parts.query if parts.query else ''} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in told.items()]
    with socket.create_connection((str(parts.hostname), int(parts.port or 80))) as line:
        line.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body[:sent])
        line.settimeout(0.3)
        try:
            said = line.recv(1000)
        except TimeoutError:
            said = b""
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@ii", 1, 0))
    if said and not said.startswith(b"HTTP/1.1 104"):
        raise SystemExit(said.decode())
    return said.decode()


if __name__ == "__main__":
    cut_put(sys.argv[1], Path(sys.argv[2]).read_bytes(), int(sys.argv[3]), json.loads(sys.argv[4]))
