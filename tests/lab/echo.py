"""
Give back every datagram to who sent it, as a WireGuard that answers at once.

    python -m tests.lab.echo HOST PORT
"""

from __future__ import annotations

import socket
import sys


def main(host: str, port: str) -> None:
    """Serve."""
    served = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    served.bind((host, int(port)))
    print("{}", flush=True)
    while True:
        datagram, source = served.recvfrom(65536)
        if len(datagram) > 1 or datagram != b"\x00":
            served.sendto(datagram, source)


if __name__ == "__main__":
    main(*sys.argv[1:])
