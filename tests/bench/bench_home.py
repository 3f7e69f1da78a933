"""
What a home costs its coordinator: memory while it is registered, and how much it can say to it.

    python -m tests.bench.bench_home [--homes 5000]

Touches no network: a registry and its homes in one process, whose own time is taken off.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
import tracemalloc
from collections.abc import Sequence
from functools import partial

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from twisted.internet.task import Clock

from morphnet.rendezvous.home.registering import HomeKeys, Registering
from morphnet.rendezvous.home.registry import Registry
from morphnet.wire.batch import Endpoint
from tests.bench.measured import Measured, tell

GOAL = 150  # bytes a home that were asked for
FLOOR = 1000  # operations a second on one core that were asked for


class Everybody:
    """Lets all homes in."""

    def admit(self, home: str, invite: str) -> None:
        """As it likes."""


class Crowd:
    """So many homes, and a registry."""

    def __init__(self, number: int) -> None:
        self.clock, self._key, self._number = Clock(), X25519PrivateKey.generate(), number
        self.registry = self.new_registry()
        self.up: list[tuple[Endpoint, bytes]] = []
        self.down: list[tuple[Endpoint, bytes]] = []
        self.spent = 0.0  # seconds that the registry has taken
        self._public = self._key.public_key().public_bytes_raw()
        self.homes = {Endpoint(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 4000): self._home() for n in range(number)}
        for where, home in self.homes.items():
            home.send = partial(self._sent, where)

    def _sent(self, where: Endpoint, datagram: bytes) -> None:
        self.up.append((where, datagram))

    def _home(self) -> Registering:
        keys = HomeKeys(Ed25519PrivateKey.generate(), self._public)
        return Registering(self.clock, os.urandom, lambda: 1, keys, lambda call: None)

    def new_registry(self) -> Registry:
        """One that nobody is registered with."""
        registry = Registry(self.clock, os.urandom, self._key, Everybody(), self._number)
        registry.send = lambda where, datagram: self.down.append((where, datagram))
        return registry

    def register(self) -> None:
        """All homes."""
        for home in self.homes.values():
            home.start()
            self.settle()
        assert len(self.registry) == self._number

    def settle(self) -> int:
        """Carry datagrams until nobody says anything; how many the registry has taken."""
        taken = 0
        while self.up or self.down:
            up, self.up = self.up, []
            begun = time.thread_time()
            for where, datagram in up:
                self.registry.received(where, datagram)
            self.spent += time.thread_time() - begun
            taken += len(up)
            down, self.down = self.down, []
            for where, datagram in down:
                self.homes[where].received(datagram)
        return taken


def rates(number: int) -> Sequence[Measured]:
    """Register them all, then a round of pings."""
    crowd = Crowd(number)
    crowd.register()
    registering, crowd.spent = number / crowd.spent, 0.0
    crowd.clock.advance(25.0)  # every home pings
    pings = crowd.settle() / crowd.spent
    return (
        Measured("home", "registrations", round(registering), "1/s", FLOOR),
        Measured("home", "keepalives", round(pings), "1/s", FLOOR),
    )


def memory(number: int) -> Measured:
    """What is freed with a registry."""
    tracemalloc.start()
    crowd = Crowd(number)
    crowd.register()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    crowd.registry = crowd.new_registry()
    gc.collect()
    each = (before - tracemalloc.get_traced_memory()[0]) / number
    tracemalloc.stop()
    return Measured("home", f"{number} homes: memory for each", round(each), "bytes", GOAL, "less")


def main(arguments: Sequence[str]) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--homes", type=int, default=5000)
    options = parser.parse_args(arguments)
    for each in (*rates(options.homes), memory(options.homes)):
        tell(each)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
