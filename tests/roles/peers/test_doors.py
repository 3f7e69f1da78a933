"""All sockets for direct paths, as a search sees them."""

from __future__ import annotations

from typing import Any, cast

from morphnet.net.udp import UdpDoor
from morphnet.roles.peers.doors import Doors
from morphnet.roles.peers.guess_sockets import GuessSockets
from morphnet.roles.peers.outside import Outside
from morphnet.roles.peers.port_guess import Varying
from morphnet.roles.peers.sockets import PeerSockets
from morphnet.wire.messages.relay import Registered
from tests.fakes_door import FakeUdp
from tests.roles.peers.fakes import PlaneTestCase
from tests.roles.peers.test_outside import ELSEWHERE, US, FakeRelay
from tests.roles.peers.test_sockets import LTE


class DoorsTests(PlaneTestCase):
    def setUp(self) -> None:
        super().setUp()
        FakeUdp.made, door = [], cast(type[UdpDoor], FakeUdp)
        self.sockets = PeerSockets(cast(Any, None), self.pump, 0, lambda: None, door)
        self.outside = Outside(self.pump, self.around.entropy)
        guesses = GuessSockets(cast(Any, None), self.pump, set, door)
        self.doors = Doors(self.pump, self.sockets, guesses, self.outside)
        self.sockets.uplinks_are([LTE])
        self.outside.sockets_are(self.doors.families)
        (self.number,) = self.doors.families

    def test_both_kinds(self) -> None:
        """Sockets to search by and those of a guess are doors alike; only the former are searched by."""
        (guessed, *_) = self.doors.open("bert", "lte", "10.0.0.2")
        self.assertEqual([self.doors.has(number) for number in (self.number, guessed, 999)], [True, True, False])
        self.assertEqual(self.doors.local_of(guessed), FakeUdp.made[1].local)
        self.assertEqual((list(self.doors.families), self.doors.local_of(999)), ([self.number], None))
        self.doors.release("bert")
        self.assertFalse(self.doors.has(guessed))

    def test_leaving(self) -> None:
        """One that was replaced is told from the others."""
        self.sockets.replace(("lte", "10.0.0.2"))
        self.assertEqual([self.doors.is_leaving(n) for n in (self.number, *self.doors.families)], [True, False])

    def test_varying(self) -> None:
        """Where a router gives each destination another port is known by uplink and address."""
        self.assertIsNone(self.doors.varying())
        relay = FakeRelay(70)
        self.outside.joined(relay, cast(Registered, relay.answer))
        client = self.outside.echo_of(relay)
        assert client is not None
        client.sockets[self.number].seen = {0: US, 1: ELSEWHERE}
        self.assertEqual(self.doors.varying(), Varying("lte", "10.0.0.2"))
