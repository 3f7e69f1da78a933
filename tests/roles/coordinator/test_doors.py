"""UDP at a coordinator; real sockets are in the lab."""

from __future__ import annotations

from typing import Any, cast

from morphnet.roles.coordinator import doors as module
from morphnet.roles.coordinator.doors import HomeDoors
from morphnet.wire.batch import Arrival, Departure, Endpoint
from morphnet.wire.messages.home.calls import Call
from tests.rendezvous.home.case import HERE, HomeTestCase

STUN = bytes.fromhex("000100002112a442" + "b7e7a701bc34d686fa87dfae")


class Door:
    """Keeps what is sent."""

    def __init__(self, *given: object, **more: object) -> None:
        self.sent: list[Departure] = []

    def open(self) -> None:
        """It needs nothing."""

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

    def test_by_the_door_that_was_asked(self) -> None:
        """A home that was told another of our addresses is answered from that one, and called from there."""
        self.patch(module, "UdpDoor", Door)
        doors = HomeDoors(self.clock, ("198.51.100.1", "198.51.100.2", "2001:db8::1"), 3478, self.registry)
        first, second, third = (cast(Door, each) for each in doors._doors.values())
        self.home.send = lambda datagram: doors._received(1, [Arrival(1, HERE, memoryview(datagram), len(datagram))])
        self.home.start()
        for turn in range(9):
            for departure in second.sent[turn : turn + 1]:
                self.home.received(bytes(departure.data))
        self.assertEqual(self.home.state, "registered")
        self.wait(0.2)
        before = len(second.sent)
        self.assertTrue(self.registry.tell(self.key, Call("0" * 32, "198.51.100.9", "body")))
        self.assertGreater(len(second.sent), before)
        self.assertEqual((first.sent, third.sent), ([], []))
