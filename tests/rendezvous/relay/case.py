"""A relay's registry, and lines that remember what they were told."""

from __future__ import annotations

import random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.relay.members import Member
from morphnet.rendezvous.relay.registry import Registry, Terms
from morphnet.wire.candidates import LINE, Candidate
from morphnet.wire.messages.relay import (
    DATAGRAMS,
    News,
    Register,
    RelayMessage,
    address,
    decode,
    encode,
)

TERMS = Terms(echo_port=3478, second_port=3479)


class FakeLine:
    """A connection that remembers what it was told."""

    def __init__(self, name: str, network: str = "home", serial: str = "", host: str = "203.0.113.9") -> None:
        self.name, self.network, self.serial = name, network, serial or name
        self.also: tuple[str, ...] = ()  # what its certificate carries besides
        self.observed = Candidate(LINE, host, 50000)
        self.told: list[RelayMessage] = []
        self.handed: list[bytes] = []
        self.full, self.reads, self.texts = False, True, 0
        self.proofs: list[float] = []
        self.pauses: list[float] = []
        self.ended = ""

    def carries(self, host: str) -> bool:
        return host.lower() in {each.lower() for each in (self.name, *self.also)}

    def tell(self, message: RelayMessage) -> None:
        """Keep it, if it can be encoded."""
        encode(message)  # raises when it could not be sent
        self.told.append(message)

    def say(self, text: bytes) -> None:
        """Keep what it says: each of several by itself, as it counts for a node."""
        message = decode(text)
        self.texts += 1
        self.told += [*message.gone, *message.here] if isinstance(message, News) else [message]

    def hand(self, envelope: bytes) -> bool:
        """Keep it, unless the line is full."""
        if not self.full:
            self.handed.append(envelope)
        return not self.full

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def prove(self, within: float) -> None:
        self.proofs.append(within)

    def end(self, reason: str) -> None:
        self.ended = reason

    def news(self) -> list[RelayMessage]:
        """What it was told since the last look."""
        told, self.told = self.told, []
        return told


class RegistryTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.random = Clock(), random.Random(1)
        self.registry = self.make(TERMS)

    def make(self, terms: Terms) -> Registry:
        """A relay where nobody is."""
        return Registry(self.clock, self.random.randbytes, terms)

    def register(self, line: FakeLine, *watch: str, instance: int = 1) -> FakeLine:
        """Let a node in that watches those."""
        self.registry.register(line, Register(line.name, f"{instance:08x}{instance:08x}", watch))
        return line

    def come(self, name: str, *watch: str, network: str = "home") -> FakeLine:
        """A node that is in, and has forgotten what it was told."""
        line = self.register(FakeLine(name, network), *watch)
        line.told.clear()
        return line

    def member(self, line: FakeLine) -> Member:
        """What the registry knows of it."""
        return next(each for each in self.registry.members if each.line is line)

    def number(self, line: FakeLine) -> int:
        """Its number."""
        return self.member(line).number

    def send(self, sender: FakeLine, to: int, content: bytes = b"sealed") -> bytes:
        """One envelope."""
        envelope = address(to, DATAGRAMS, content)
        self.registry.forward(sender, envelope)
        return envelope
