"""UDP at a coordinator; real sockets are in the lab."""

from __future__ import annotations

from typing import Any

from morphnet.roles.coordinator.doors import HomeDoors
from morphnet.wire.batch import Arrival, Departure, Endpoint
from tests.rendezvous.home.case import HomeTestCase

STUN = bytes.fromhex("000100002112a442" + "b7e7a701bc34d686fa87dfae")


class Door:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[Departure] = []

    def send(self, departures: list[Departure]) -> None:
        self.sent += departures


class DoorTests(HomeTestCase):
    def test_who_is_asked(self) -> None:
        """Homes' datagrams go to the registry, questions for an address are answered, all else is counted."""
        doors, door = HomeDoors(self.clock, (), 3478, self.registry), Door()
        any_door: Any = door
        doors._doors[0], doors._ways[False] = any_door, 0
        self.registry.send = doors._send
        source = Endpoint("192.0.2.1", 32853, "192.0.2.9")
        doors._received(0, [Arrival(0, source, memoryview(STUN + STUN), len(STUN))])
        doors._received(0, [Arrival(0, source, memoryview(b"\x01\xff"), 2)])
        doors._received(0, [Arrival(0, source, memoryview(b"\xc7\x01\x09"), 3)])
        self.assertEqual([each.to for each in door.sent], [source, source])
        self.assertEqual(doors.counts, {"stun_answers": 2, "stranger": 1})
        self.assertEqual(self.registry.counts, {"home_malformed": 1})
        doors._send(Endpoint("2001:db8::1", 1), b"no way there")
        self.assertEqual(len(door.sent), 2)
