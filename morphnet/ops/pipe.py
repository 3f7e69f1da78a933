"""
Standard input and output onto a unix socket: what `ssh` runs as ProxyCommand.

Run as a file, with nothing of ours imported, so that it starts at once and from any directory.
"""

import os
import select
import socket
import sys

_CHUNK = 65536  # bytes


def splice(path: str) -> None:
    """Carry bytes both ways until the socket closes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.connect(path)
        sources = [door.fileno(), 0]
        while door.fileno() in sources:
            for source in select.select(sources, [], [])[0]:
                chunk = os.read(source, _CHUNK)
                if not chunk:
                    sources.remove(source)
                    if source == 0:
                        door.shutdown(socket.SHUT_WR)
                elif source == 0:
                    door.sendall(chunk)
                else:
                    while chunk:
                        chunk = chunk[os.write(1, chunk) :]


if __name__ == "__main__":
    try:
        splice(sys.argv[1])
    except OSError as error:
        sys.exit(f"morphnet: {sys.argv[1]}: {error.strerror}")
