"""
Move bytes through TCP and prove that they arrived unharmed.

    python -m morphnet.lab.transfer serve --port P [--host ::]
    python -m morphnet.lab.transfer fetch HOST PORT [--bytes N | --seconds S] [--streams K] [--upload]

A connection begins with one JSON line from the client, {"upload": bool, "bytes": N or null, "seed": n}.
The data follow in chunks: 4 bytes of length, that many bytes; length 0 is the end, then SHA-256 of all
the chunks' bytes. Whoever sends stops after N bytes; a server that sends stops also when the client
half-closes. After an upload the server answers with its own 32 bytes of SHA-256.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import random
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

BLOCK = 1 << 20  # bytes of randomness, read from another place for every chunk
CHUNK = 1 << 16
_LENGTH = struct.Struct("!I")
_STEP = 7919 * 13  # odd, so that the places do not repeat for a million chunks
_UNSENT = 1 << 18  # bytes not yet on the wire: a stop must not wait for megabytes of buffer
_TCP_NOTSENT_LOWAT = 25


class Source:
    """Data that look random and cost nothing, and their hash."""

    def __init__(self, seed: int) -> None:
        block = random.Random(seed).randbytes(BLOCK)
        self._block = memoryview(block + block[:CHUNK])
        self._number = 0
        self.hash = hashlib.sha256()

    def take(self, most: int) -> memoryview:
        """The next chunk, at most `most` bytes."""
        start = self._number * _STEP % BLOCK
        self._number += 1
        chunk = self._block[start : start + min(most, CHUNK)]
        self.hash.update(chunk)
        return chunk


def send_all(
    connection: socket.socket,
    source: Source,
    size: int | None,
    stopped: Callable[[], bool],
    sent: Callable[[int], None],
) -> None:
    """Send `size` bytes (None: without end) or until `stopped`, then the end and the hash."""
    left = 1 << 62 if size is None else size
    while left and not stopped():
        chunk = source.take(left)
        left -= len(chunk)
        connection.sendall(_LENGTH.pack(len(chunk)))
        connection.sendall(chunk)
        sent(len(chunk))
    connection.sendall(_LENGTH.pack(0) + source.hash.digest())


def receive_all(connection: socket.socket, received: Callable[[int], None]) -> tuple[bytes, bytes]:
    """
    Read chunks up to the end.

    :return: the hash of what came, and the hash the sender says.
    :raises ConnectionError: the stream broke off.
    """
    digest = hashlib.sha256()
    view = memoryview(bytearray(CHUNK))
    while True:
        (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
        if not length:
            return digest.digest(), _exactly(connection, 32)
        if length > CHUNK:
            raise ConnectionError("the stream is not what the other side sent")
        got = 0
        while got < length:
            more = connection.recv_into(view[got:length])
            if not more:
                raise ConnectionError("the stream broke off")
            got += more
            received(more)
        digest.update(view[:length])


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError("the stream broke off")
        data += more
    return data


def _half_closed(connection: socket.socket) -> bool:
    """Whether the other side has sent its FIN."""
    # Asked first, since with a timeout recv() waits even with MSG_DONTWAIT.
    return bool(select.select([connection], [], [], 0)[0]) and connection.recv(1, socket.MSG_PEEK) == b""


CONGESTION = b"cubic"  # what Linux uses unless told otherwise; a machine that was told shall measure the same


def _tune(connection: socket.socket, patience: float) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(OSError):  # a kernel without it uses its own
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, CONGESTION)
    connection.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _UNSENT)
    connection.settimeout(patience)


# The server -----------------------------------------------------------------


def _attend(connection: socket.socket, patience: float) -> None:
    """One connection of the server; the client tells about errors, so nobody misses them here."""
    with connection:
        try:
            _tune(connection, patience)
            line = b""
            while not line.endswith(b"\n") and len(line) < 1000:
                line += _exactly(connection, 1)
            request = json.loads(line)
            if request["upload"]:
                ours, _ = receive_all(connection, lambda _: None)
                connection.sendall(ours)
            else:
                source = Source(request["seed"])
                send_all(connection, source, request["bytes"], lambda: _half_closed(connection), lambda _: None)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)  # until the client closes, so that nothing is cut off by a reset
        except (OSError, ValueError, KeyError):
            return


def serve(host: str, port: int, patience: float) -> None:
    """Serve for ever; prints {"listening": port} when it can be reached."""
    both = host == "::"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=128, dualstack_ipv6=both) as listening:
        tell({"listening": listening.getsockname()[1]})
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=_attend, args=(connection, patience), daemon=True).start()


# The client -----------------------------------------------------------------


class Stream:
    """One connection of the client, in a thread of its own."""

    def __init__(self, options: argparse.Namespace, number: int, size: int | None, stop: threading.Event) -> None:
        self._options, self._number, self._size, self._stop = options, number, size, stop
        self.bytes = 0
        self.seconds = 0.0
        self.equal = False
        self.error: str | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def told(self) -> dict[str, Any]:
        """How it went, for JSON."""
        told: dict[str, Any] = {"bytes": self.bytes, "mbit_s": rate(self.bytes, self.seconds)}
        return {**told, "sha256_equal": self.equal, "error": self.error}

    def _count(self, size: int) -> None:
        self.bytes += size

    def _run(self) -> None:
        started_at = time.monotonic()
        address = (self._options.host, self._options.port)
        try:
            with socket.create_connection(address, timeout=self._options.patience) as connection:
                _tune(connection, self._options.patience)
                request = {"upload": self._options.upload, "bytes": self._size, "seed": self._number}
                connection.sendall(json.dumps(request).encode() + b"\n")
                ours, theirs = self._upload(connection) if self._options.upload else self._download(connection)
                self.equal = ours == theirs
        except OSError as error:
            self.error = f"{type(error).__name__}: {error}"
        self.seconds = time.monotonic() - started_at

    def _upload(self, connection: socket.socket) -> tuple[bytes, bytes]:
        source = Source(self._number)
        send_all(connection, source, self._size, self._stop.is_set, self._count)
        return source.hash.digest(), _exactly(connection, 32)

    def _download(self, connection: socket.socket) -> tuple[bytes, bytes]:
        threading.Thread(target=self._half_close, args=(connection,), daemon=True).start()
        return receive_all(connection, self._count)

    def _half_close(self, connection: socket.socket) -> None:
        self._stop.wait()
        try:
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            return  # it has ended by itself


def fetch(options: argparse.Namespace, stop: threading.Event) -> int:
    """Run the streams, tell the progress; 0 only when all arrived unharmed."""
    started_at = time.monotonic()
    shares: list[int | None] = [None] * options.streams
    if options.bytes is not None:
        shares = [(options.bytes + number) // options.streams for number in range(options.streams)]
    streams = [Stream(options, number, share, stop) for number, share in enumerate(shares)]
    for stream in streams:
        stream.thread.start()
    stop_at = started_at + options.seconds
    tell_at, told_bytes = started_at + options.every, 0
    while any(stream.thread.is_alive() for stream in streams):
        now = time.monotonic()
        if now >= stop_at:
            stop.set()
        if now >= tell_at:
            total = sum(stream.bytes for stream in streams)
            tell({"bytes": total, "mbit_s": rate(total - told_bytes, now - tell_at + options.every)})
            tell_at, told_bytes = now + options.every, total
        alive = [stream for stream in streams if stream.thread.is_alive()]
        if alive:
            alive[0].thread.join(max(0.0, min(tell_at, stop_at if not stop.is_set() else tell_at) - now))
    return _tell_final(streams)


def _tell_final(streams: list[Stream]) -> int:
    seconds = max(stream.seconds for stream in streams)
    total = sum(stream.bytes for stream in streams)
    equal = all(stream.equal for stream in streams)
    resets = sum(stream.error is not None for stream in streams)
    tell(
        {
            "final": True,
            "bytes": total,
            "seconds": round(seconds, 3),
            "mbit_s": rate(total, seconds),
            "sha256_equal": equal,
            "resets": resets,
            "streams": [stream.told() for stream in streams],
        }
    )
    return 0 if equal and not resets else 1


def rate(size: int, seconds: float) -> float:
    """Mbit/s."""
    return round(size * 8e-6 / seconds, 3) if seconds > 0 else 0.0


def tell(line: dict[str, Any]) -> None:
    """Print one JSON line, at once."""
    print(json.dumps(line), flush=True)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="transfer", description="move bytes through TCP and compare their SHA-256")
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve")
    serving.add_argument("--host", default="::")
    serving.add_argument("--port", type=int, required=True)
    fetching = commands.add_parser("fetch")
    fetching.add_argument("host")
    fetching.add_argument("port", type=int)
    fetching.add_argument("--bytes", type=int, help="in all streams together")
    fetching.add_argument("--seconds", type=float, default=1e9)
    fetching.add_argument("--streams", type=int, default=1)
    fetching.add_argument("--upload", action="store_true")
    fetching.add_argument("--every", type=float, default=1.0, help="seconds between lines")
    for command in (serving, fetching):
        command.add_argument("--patience", type=float, default=300.0, help="seconds of standstill before giving up")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run as the arguments say; SIGTERM ends a fetch as `--seconds` would."""
    options = _options(arguments)
    if options.command == "serve":
        try:
            serve(options.host, options.port, options.patience)
        except OSError as error:
            print(f"transfer: {error}", file=sys.stderr)
        return 1
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return fetch(options, stop)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
