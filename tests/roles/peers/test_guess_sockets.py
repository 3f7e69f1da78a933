"""Many sockets for a moment."""

from __future__ import annotations

from typing import Any, cast

from morphnet.host.uplinks import Uplink
from morphnet.net.udp import UdpDoor
from morphnet.roles.peers.guess_sockets import GuessSockets
from morphnet.traversal.port_guess import SOCKETS
from morphnet.tunnel.carrier import DIRECT, PLAIN, Carrier
from tests.fakes_door import FakeUdp
from tests.roles.peers.fakes import PlaneTestCase

LTE = Uplink("lte", 3, True, ("10.0.0.2",), (), None, None, 1500, 200)


class GuessSocketsTests(PlaneTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(FakeUdp, "refused", False)
        FakeUdp.made = []
        self.needed: set[int] = set()
        door = cast(type[UdpDoor], FakeUdp)
        self.sockets = GuessSockets(cast(Any, None), self.pump, lambda: self.needed, door)

    def open(self, user: str = "bert") -> list[int]:
        """As a search does."""
        return self.sockets.open(user, "lte", "10.0.0.2")

    def open_ones(self) -> int:
        """How many are."""
        return sum(each.open_ for each in FakeUdp.made)

    def test_shared(self) -> None:
        """Searches that go on at once share them, and with the last of them they are closed."""
        numbers = self.open("bert")
        self.assertEqual((len(numbers), self.open("carl")), (SOCKETS, numbers))
        self.assertEqual(self.pump.carrier(numbers[0]), Carrier(DIRECT, "lte"))
        self.sockets.release("bert")
        self.assertEqual(self.open_ones(), SOCKETS)
        self.sockets.release("carl")
        self.assertEqual((self.open_ones(), self.sockets.has(numbers[0])), (0, False))
        self.assertEqual(self.pump.carrier(numbers[0]), PLAIN)

    def test_needed(self) -> None:
        """One that has become a path stays; the next search has fresh ones."""
        numbers = self.open()
        self.needed = {numbers[3]}
        self.sockets.release("bert")
        self.assertEqual((self.open_ones(), self.sockets.local_of(numbers[3])), (1, FakeUdp.made[3].local))
        self.assertNotIn(numbers[3], self.open())

    def test_refused(self) -> None:
        """Where there are no more files, what there is has to do."""
        FakeUdp.refused = True
        self.assertEqual((self.open(), self.open_ones()), ([], 0))

    def test_address_is_gone(self) -> None:
        """With the address all of them go; with any other change none does."""
        self.open()
        self.sockets.uplinks_are([LTE])
        self.assertEqual(self.open_ones(), SOCKETS)
        self.sockets.uplinks_are([])
        self.assertEqual(self.open_ones(), 0)

    def test_close(self) -> None:
        """At the end all of them go, whoever needs them."""
        self.needed = set(self.open())
        self.sockets.close()
        self.assertEqual(self.open_ones(), 0)
