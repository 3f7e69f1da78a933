"""The home's socket to its coordinator; real ones are in the lab."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from morphnet.net.lookup import Found
from morphnet.roles.home.line import Line
from morphnet.wire.batch import Arrival, Departure, Endpoint
from tests.rendezvous.home.case import HomeTestCase


class Door:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.number, self.sent = 0, list[Departure]()

    def send(self, departures: list[Departure]) -> None:
        self.sent += departures

    def close(self) -> None:
        """Nothing to close."""


class LineTests(HomeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.asked: list[tuple[str, Found, Callable[[], None]]] = []
        self.line = Line(self.clock, "c.example", 3478, self.home, self)
        self.door = Door()
        door: Any = self.door
        self.line._doors[False] = door
        self.addCleanup(self.line.close)

    def look_up(self, name: str, kinds: Sequence[Any], found: Found, done: Callable[[], None]) -> None:
        self.asked.append((name, found, done))

    def test_address(self) -> None:
        """Nothing is sent before the address is known; then a HELLO goes there at once."""
        self.home.start()
        self.line.look_up()
        self.line.look_up()
        self.assertEqual((len(self.asked), self.door.sent), (1, []))
        self.asked[0][1](["192.0.2.1"], "")
        self.asked[0][2]()
        self.assertEqual([each.to for each in self.door.sent], [Endpoint("192.0.2.1", 3478)])

    def test_moved(self) -> None:
        """Its address is asked for again while nobody answers, and not while we are registered."""
        self.home.start()
        self.line._found(["192.0.2.1"], "")
        self.line.look_up()
        self.asked[0][1](["192.0.2.2"], "")
        self.asked[0][2]()
        self.clock.advance(2.0)
        self.assertEqual(self.door.sent[-1].to, Endpoint("192.0.2.2", 3478))
        self.home.state = "registered"
        self.line.look_up()
        self.assertEqual(len(self.asked), 1)

    def test_several(self) -> None:
        """Of several addresses one that does not answer is left for the next, in turn."""
        self.home.start()
        for host in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
            self.line._found(["192.0.2.1", "2001:db8::1", "192.0.2.2"][::2], "")
            self.assertEqual(self.door.sent[-1].to, Endpoint(host, 3478))

    def test_strangers(self) -> None:
        """What comes from elsewhere is not even looked at."""
        self.line._found(["192.0.2.1"], "")
        for host, port in (("192.0.2.9", 3478), ("192.0.2.1", 9)):
            self.line._received([Arrival(0, Endpoint(host, port), memoryview(b"\x01\xff"), 2)])
        self.line._received([Arrival(0, Endpoint("192.0.2.1", 3478), memoryview(b"\x01\xff"), 2)])
        self.assertEqual(self.home.counts, {"stranger": 2, "home_malformed": 1})
