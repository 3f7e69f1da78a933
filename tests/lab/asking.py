"""
Send datagrams of these sizes to a local port, and say how many came back whole, and how many did not.

    python -m tests.lab.asking PORT SIZE...
"""

from __future__ import annotations

import random
import socket
import sys


def main(port: str, *sizes: str) -> None:
    """Ask, one after the other."""
    chance, whole = random.Random(3), 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(2.0)
        for size in map(int, sizes):
            text = chance.randbytes(size)
            asking.sendto(text, ("127.0.0.1", int(port)))
            try:
                whole += asking.recv(65536) == text
            except TimeoutError:
                continue
    print(whole, len(sizes) - whole)


if __name__ == "__main__":
    main(*sys.argv[1:])
