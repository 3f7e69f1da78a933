"""
What a home costs its coordinator: memory while it is registered, and how much the coordinator can say and hear.

    python -m tests.bench.bench_home [--homes 20000]

Touches no network: a registry and its homes in one process, whose own time is taken off. A home here has the keys of
its association and no clock, so that there can be 100,000.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from morphnet.rendezvous.home.registry import CONTEXT, Registry
from morphnet.roles.coordinator.calls import Calls
from morphnet.wire.batch import Endpoint
from morphnet.wire.messages.home import datagrams, parts
from morphnet.wire.messages.home.calls import CALLS, Accepted, Call, Registration, Reply, to_text
from morphnet.wire.noise import Initiator
from tests.bench.measured import Measured, tell

GOAL = 150  # bytes a home that were asked for
FLOOR, WISH = 1000, 10_000  # operations a second on one core that must be, and that were wished for
ROUND = 5000  # datagrams that are made ready at once


class Everybody:
    """Lets all homes in."""

    async def admit(self, home: str, invite: str) -> None:
        """As it likes."""


@dataclass(slots=True)
class Simulated:
    """One home: where it is, and its end of the association."""

    where: Endpoint
    key: bytes = b""
    index: bytes = b""
    sending: bytes = b""
    receiving: bytes = b""
    number: int = 0

    def seal(self, item: parts.Item) -> bytes:
        """The next datagram to the coordinator."""
        self.number += 1
        return datagrams.seal(self.sending, self.index, self.number - 1, parts.encode(item))


class Crowd:
    """So many homes, and a registry that they register with."""

    def __init__(self, number: int) -> None:
        self.clock, self._key = Clock(), X25519PrivateKey.generate()
        self._public = self._key.public_key().public_bytes_raw()
        self.number, self.spent = number, 0.0  # seconds of processor that the registry has taken
        self.homes = [Simulated(Endpoint(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 4000)) for n in range(number)]
        self.down: list[tuple[Endpoint, bytes]] = []
        self.open()

    def open(self) -> None:
        """A registry that nobody is registered with."""
        self.registry = Registry(self.clock, os.urandom, self._key, Everybody(), self.number)
        self.registry.send = lambda where, datagram: self.down.append((where, datagram))

    def take(self, where: Endpoint, datagram: bytes) -> None:
        """The registry receives it."""
        begun = time.thread_time()
        self.registry.received(where, datagram)
        self.spent += time.thread_time() - begun

    def register(self) -> None:
        """All homes: two questions and two answers each, and the ping that shows that it can read."""
        for home in self.homes:
            identity, tag = Ed25519PrivateKey.generate(), os.urandom(datagrams.TAG_SIZE)
            self.take(home.where, datagrams.encode(datagrams.Hello(tag, datagrams.proof(self._public, tag))))
            cookie: Any = datagrams.decode(self.down.pop()[1])
            handshake = Initiator(X25519PrivateKey.generate(), self._public, tag + cookie.cookie)
            home.key = identity.public_key().public_bytes_raw()
            signature = to_text(identity.sign(CONTEXT + handshake.transcript))
            said = CALLS.encode(Registration(to_text(home.key), signature, 1))
            self.take(home.where, datagrams.encode(datagrams.Register(tag, cookie.cookie, handshake.first(said))))
            accept: Any = datagrams.decode(self.down.pop()[1])
            answer, home.sending, home.receiving = handshake.finish(accept.handshake)
            accepted = CALLS.decode(answer)
            assert isinstance(accepted, Accepted)
            home.index = bytes.fromhex(accepted.index)
            self.take(home.where, home.seal(parts.Ping(1)))
            self.down.clear()
        assert len(self.registry) == self.number

    def ping(self) -> None:
        """A keepalive of each, and its answer."""
        for at in range(0, self.number, ROUND):
            ready = [(home.where, home.seal(parts.Ping(1))) for home in self.homes[at : at + ROUND]]
            begun = time.thread_time()
            for where, datagram in ready:
                self.registry.received(where, datagram)
            self.spent += time.thread_time() - begun
            assert len(self.down) == len(ready)
            self.down.clear()

    def call(self, number: int) -> None:
        """So many logins' worth of calls: a browser asks, the home acknowledges and answers, the browser has it."""
        calls, body = Calls(self.clock, os.urandom, self.registry), "b" * 200
        for at in range(number):
            home = self.homes[at % self.number]
            asked = self._timed(partial(self._ask, calls, home, at, body))
            ((_, datagram),) = self.down
            self.down.clear()
            told = parts.decode(datagrams.open_sealed(home.receiving, _sealed(datagram)))
            assert isinstance(told, parts.Part)
            call = CALLS.decode(told.piece)
            assert isinstance(call, Call)
            (reply,) = parts.cut(at, CALLS.encode(Reply(call.call, body)))
            ready = [home.seal(parts.Got(told.message, told.at)), home.seal(reply)]
            for each in ready:
                self.take(home.where, each)
            assert asked.called
            self.down.clear()
        self.registry.replied = lambda home, reply: None  # else what belongs to calls would be counted as the homes'

    def _ask(self, calls: Calls, home: Simulated, number: int, body: str) -> Deferred[str]:
        caller = f"192.0.{number >> 8 & 255}.{number & 255}"
        return Deferred.fromCoroutine(calls.ask(to_text(home.key), caller, body))

    def _timed(self, work: Callable[[], Deferred[str]]) -> Deferred[str]:
        begun = time.thread_time()
        done = work()
        self.spent += time.thread_time() - begun
        return done


def _sealed(datagram: bytes) -> datagrams.Sealed:
    found = datagrams.decode(datagram)
    assert isinstance(found, datagrams.Sealed)
    return found


def rates(crowd: Crowd) -> Iterator[Measured]:
    """Register them all, a round of pings, a round of calls, a look for those that are silent."""
    calls = min(crowd.number, ROUND)
    steps = (("registrations", crowd.number, crowd.register), ("keepalives", crowd.number, crowd.ping))
    for name, many, work in (*steps, ("calls", calls, lambda: crowd.call(calls))):
        crowd.spent = 0.0
        work()
        yield Measured("home", name, round(many / crowd.spent), "1/s", FLOOR if name != "calls" else WISH)
    crowd.clock.advance(70.0)  # so that those that were called sleep again
    begun = time.thread_time()
    crowd.registry.expire()
    took = (time.thread_time() - begun) * 1000
    assert len(crowd.registry) == crowd.number
    yield Measured("home", f"{crowd.number} homes: a look who is silent", round(took, 1), "ms", 100, "less")


def memory(number: int) -> Measured:
    """What is freed with a registry."""
    crowd = Crowd(number)
    tracemalloc.start()
    crowd.open()
    crowd.register()
    crowd.call(min(number, ROUND))
    crowd.clock.advance(70.0)
    crowd.registry.expire()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    crowd.open()
    gc.collect()
    each = (before - tracemalloc.get_traced_memory()[0]) / number
    tracemalloc.stop()
    return Measured("home", f"{number} homes: memory for each", round(each), "bytes", GOAL, "less")


def main(arguments: Sequence[str]) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--homes", type=int, default=20_000)
    options = parser.parse_args(arguments)
    for each in rates(Crowd(options.homes)):
        tell(each)
    tell(memory(options.homes))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
