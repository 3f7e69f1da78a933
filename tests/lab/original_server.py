"""
A server of the original with an echo in place of WireGuard, faults and all: it answers where the handshake came from.
Before it does, STRAYS come from both its ports, each of which would end the original's client.

    python -m tests.lab.original_server PORT KEYFILE

Prints a line of JSON for each handshake and each word.
"""

from __future__ import annotations

import json
import random
import select
import socket
import sys

from tests.lab.original import Original, Sealer

STRAYS = (b"stray", b"QUJD", b"A" * 24, bytes(1400), b"{}")


class Served:
    """One session: its socket, and where its client was when it called."""

    def __init__(self, at: tuple[str, int]) -> None:
        self.at = at
        self.original = Original(random.Random(5))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("", 0))

    def answer(self) -> None:
        """Give back what came, to where the client was; heartbeats have no answer."""
        body = self.original.undress(self.socket.recv(65536))
        if body != b"\x01":
            text = self.original.show(body)
            self.socket.sendto(self.original.dress(self.original.hide(text)), self.at)


def main(port: str, key_file: str) -> None:
    """Serve."""
    with open(key_file) as file:
        sealer = Sealer(file.read())
    control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    control.bind(("", int(port)))
    served: dict[str, Served] = {}
    print("{}", flush=True)
    while True:
        sockets = [control, *(each.socket for each in served.values())]
        ready, _, _ = select.select(sockets, [], [])
        for each in list(served.values()):
            if each.socket in ready:
                each.answer()
        if control not in ready:
            continue
        datagram, source = control.recvfrom(65536)
        text = sealer.open(datagram)
        print(json.dumps({"from": source[1], "said": text if len(text) < 40 else "handshake"}), flush=True)
        if text.startswith("{"):
            found = json.loads(text)
            name, known = found["clientID"], found["clientID"] in served
            session = served.setdefault(name, Served(source))
            session.at = source
            if not known:
                session.original.take(found)
            for stray in STRAYS:
                control.sendto(stray, source)
                session.socket.sendto(stray, source)
            answer = {"port": session.socket.getsockname()[1], "clientID": name}
            answer["status"] = "reconnected" if known else "connected"
            control.sendto(sealer.seal(json.dumps(answer)), source)


if __name__ == "__main__":
    main(*sys.argv[1:])
