"""
TCP or MPTCP streams as a program: one side gives bytes, the other counts them.

    python -m morphnet.lab.streams serve give|take PORT [--mptcp] [--congestion NAME] [--every S]
    python -m morphnet.lab.streams connect give|take PORT HOST [--streams K] [--mptcp] [--congestion NAME]

Who takes prints a line every EVERY (or S) seconds from the first byte on; `at` is the end of its time, on the monotonic
clock, which all nodes of a box share. Nothing is hashed, so that a benchmark measures the way and not the ends;
lab/transfer proves that bytes arrive unharmed.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import threading
import time

EVERY = 0.5  # seconds
MPTCP = 262  # IPPROTO_MPTCP
BLOCK = 1 << 18  # bytes
_UNSENT = 1 << 18  # bytes not yet on the wire
_TCP_NOTSENT_LOWAT = 25


class Count:
    """Bytes taken so far, by all streams."""

    def __init__(self, every: float = EVERY) -> None:
        self.bytes, self._every = 0, every

    def take(self, connection: socket.socket) -> None:
        """Until it ends."""
        block = bytearray(4 * BLOCK)
        try:
            while taken := connection.recv_into(block):
                self.bytes += taken
        except OSError:
            return

    def tell(self) -> None:
        """A line every so many seconds, from the first byte on."""
        while not self.bytes:
            time.sleep(0.001)
        began, told, number = time.monotonic(), 0, 0
        at = began
        while True:
            number += 1
            time.sleep(max(0.0, began + number * self._every - time.monotonic()))
            now, total = time.monotonic(), self.bytes
            rate = round((total - told) * 8e-6 / (now - at), 3)
            print(json.dumps({"mbit_s": rate, "at": round(now, 4)}), flush=True)
            at, told = now, total


def give(connection: socket.socket) -> None:
    """Zeros, until it ends."""
    block = bytes(BLOCK)
    try:
        while True:
            connection.sendall(block)
    except OSError:
        return


def made(options: argparse.Namespace) -> socket.socket:
    """A socket as asked for; the congestion control is one that the kernel knows, also when it is not its default."""
    stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM, MPTCP if options.mptcp else 0)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if options.congestion:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, options.congestion.encode())
    if not options.mptcp:  # which has no such option
        stream.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _UNSENT)
    return stream


def main(arguments: list[str]) -> None:
    """Run until it is killed."""
    parser = argparse.ArgumentParser(prog="streams")
    parser.add_argument("side", choices=("serve", "connect"))
    parser.add_argument("kind", choices=("give", "take"))
    parser.add_argument("port", type=int)
    parser.add_argument("host", nargs="?")
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--mptcp", action="store_true")
    parser.add_argument("--congestion")
    parser.add_argument("--every", type=float, default=EVERY)
    options = parser.parse_args(arguments)
    count = Count(options.every)
    attend = give if options.kind == "give" else count.take
    if options.kind == "take":
        threading.Thread(target=count.tell, daemon=True).start()
    if options.side == "connect":
        for _ in range(options.streams):
            stream = made(options)
            stream.connect((options.host, options.port))
            threading.Thread(target=attend, args=(stream,), daemon=True).start()
        threading.Event().wait()
    listening = made(options)
    listening.bind(("0.0.0.0", options.port))
    listening.listen(64)
    print(json.dumps({"listening": options.port}), flush=True)
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=attend, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1:])
