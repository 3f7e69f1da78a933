"""
A client of the original, told by lines on its standard input what to do; it answers with a line of JSON each time.

    python -m tests.lab.original_client HOST KEYFILE TEMPLATE LAYERS SEED

What the local WireGuard would send is made here, and each echo is compared with what was sent.
"""

from __future__ import annotations

import json
import random
import socket
import sys
import time
from typing import Any

from tests.lab.original import Original, Sealer

PORT = 12301  # of handshakes
SIZES = (1, 2, 3, 5, 31, 32, 33, 64, 92, 93, 148, 149, 577, 1279, 1280, 1420, 1421)


class Client:
    """One identity, one socket."""

    def __init__(self, host: str, key: str, template: int, layers: int, seed: int) -> None:
        self.host, self.sealer, self.chance = host, Sealer(key), random.Random(seed)
        self.original = Original(self.chance, layers=layers, template=template)
        self.port = 0  # of the session
        self.socket = self._fresh("")

    def _fresh(self, address: str) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((address, 0))
        made.settimeout(1.0)
        return made

    def _receive(self, port: int) -> bytes | None:
        """The next datagram from that port of the server; None when there is none in time."""
        try:
            while True:
                datagram, source = self.socket.recvfrom(65536)
                if source == (self.host, port):
                    return datagram
        except TimeoutError:
            return None

    def handshake(self) -> dict[str, Any]:
        """Begin, or begin again with the same id."""
        self.socket.sendto(self.sealer.seal(self.original.handshake()), (self.host, PORT))
        datagram = self._receive(PORT)
        if datagram is None:
            return {"status": "silence"}
        text = self.sealer.open(datagram)
        if not text.startswith("{"):
            return {"status": text}
        answer: dict[str, Any] = json.loads(text)
        self.port = answer["port"]
        return answer

    def echo(self, rounds: int = 1, to: int = 0) -> dict[str, int]:
        """Send texts of all sizes, to the session's port or another, and compare what comes back."""
        counts = {"sent": 0, "whole": 0, "spoilt": 0, "lost": 0}
        for size in SIZES * rounds:
            text = self.chance.randbytes(size)
            self.socket.sendto(self.original.dress(self.original.hide(text)), (self.host, to or self.port))
            datagram = self._receive(self.port)
            counts["sent"] += 1
            if datagram is None:
                counts["lost"] += 1
            else:
                same = self.original.show(self.original.undress(datagram)) == text
                counts["whole" if same else "spoilt"] += 1
        return counts

    def move(self, address: str = "") -> dict[str, Any]:
        """Go on from another port, or address."""
        self.socket.close()
        self.socket = self._fresh(address)
        return {"port": self.socket.getsockname()[1]}

    def strange(self, kind: str) -> dict[str, Any]:
        """Send what is none of ours from another socket, and see whether anything comes back."""
        good = self.original.dress(self.original.hide(b"\x01" * 32))
        other = Original(random.Random(99), layers=self.original.layers, template=self.original.template)
        numbers = self.original.number
        datagrams = {
            "id": [other.dress(self.original.hide(b"\x01" * 32))],
            "replay": [good],
            "garbage": [b"", b"x", b"GAME", b"\x40" * 11, bytes(2000), self.chance.randbytes(300), b"QUJD" * 4],
            "message": [Sealer("A" * 43 + "=:" + "A" * 22 + "==").seal(self.original.handshake())],
        }[kind]
        if kind == "replay":  # it has come already
            self.socket.sendto(good, (self.host, self.port))
            self._receive(self.port)
        self.original.number = numbers if kind != "replay" else self.original.number
        with self._fresh("") as stranger:
            stranger.settimeout(0.5)
            for datagram in datagrams:
                for port in (PORT, self.port):
                    stranger.sendto(datagram, (self.host, port))
            try:
                return {"back": len(stranger.recv(65536))}
            except TimeoutError:
                return {"back": 0}

    def hear(self, seconds: float) -> dict[str, Any]:
        """What comes within that time: words from the control port, and texts."""
        words, texts, until = [], [], time.monotonic() + seconds
        self.socket.settimeout(0.2)
        while time.monotonic() < until:
            try:
                datagram, source = self.socket.recvfrom(65536)
            except TimeoutError:
                continue
            if source[1] == PORT:
                words.append(self.sealer.open(datagram))
            else:
                texts.append(self.original.show(self.original.undress(datagram)).hex())
        self.socket.settimeout(1.0)
        return {"words": words, "texts": texts}

    def idle(self, seconds: float) -> dict[str, Any]:
        """Do as the original does while nobody sends: heartbeats, and a look every 90 s whether to begin anew."""
        began = heard = time.monotonic()
        beats, anew, looked = began, 0, began
        self.socket.settimeout(0.5)
        while (now := time.monotonic()) - began < seconds:
            if now - beats >= 120:
                self.socket.sendto(self.original.dress(b"\x01"), (self.host, self.port))
                beats = now
            if now - looked >= 90:
                anew += now - heard > 30
                looked = now
            try:
                datagram, source = self.socket.recvfrom(65536)
                if source[1] == self.port:
                    self.original.show(self.original.undress(datagram))
                    heard = time.monotonic()
            except TimeoutError:
                continue
        self.socket.settimeout(1.0)
        return {"anew": anew}

    def close(self) -> dict[str, Any]:
        """Say so."""
        self.socket.sendto(self.sealer.seal("close"), (self.host, PORT))
        return {}


def main(host: str, key_file: str, template: str, layers: str, seed: str) -> None:
    """Do what is asked, until nobody asks."""
    with open(key_file) as file:
        client = Client(host, file.read(), int(template), int(layers), int(seed))
    print("{}", flush=True)
    for line in sys.stdin:
        word, *rest = json.loads(line)
        print(json.dumps(getattr(client, word)(*rest)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
