"""Sockets for direct paths, kept in step with the uplinks."""

from __future__ import annotations

from typing import Any, cast

from morphnet.host.uplinks import Uplink
from morphnet.net.ondevice import Source
from morphnet.net.udp import UdpDoor
from morphnet.roles.peers.sockets import PeerSockets
from morphnet.tunnel.carrier import DIRECT, Carrier
from morphnet.wire.batch import Departure
from morphnet.wire.candidates import HOST, Candidate
from tests.fakes_door import FakeDoor, FakeUdp
from tests.roles.peers.fakes import PlaneTestCase

PORT = 41194
WIFI = Uplink("wifi", 2, True, ("192.168.1.2", "192.168.1.3"), ("fe80::2", "2001:db8::2"), None, None, 1500, 100)
LTE = Uplink("lte", 3, True, ("10.0.0.2",), (), None, None, 1500, 200)


class SocketsTestCase(PlaneTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(FakeUdp, "refused", False)
        FakeUdp.made = []
        self.changes = 0
        self.sockets = PeerSockets(cast(Any, None), self.pump, PORT, self.changed, cast(type[UdpDoor], FakeUdp))

    def changed(self) -> None:
        """There are other sockets."""
        self.changes += 1

    def open_ones(self) -> list[str]:
        """Addresses of those that are open."""
        return [each.host for each in FakeUdp.made if each.open_]


class UplinkTests(SocketsTestCase):
    def test_one_for_each(self) -> None:
        """One for the first address of each family that others can reach; the pump has it by its uplink."""
        self.sockets.uplinks_are([WIFI, LTE])
        self.assertEqual(sorted(self.open_ones()), ["10.0.0.2", "192.168.1.2", "2001:db8::2"])
        self.assertEqual(sorted(self.sockets.families.values()), [False, False, True])
        number = self.sockets.numbers()["lte", "10.0.0.2"]
        self.assertEqual(self.pump.carrier(number), Carrier(DIRECT, "lte"))
        self.assertIn(Source("lte", "10.0.0.2"), self.sockets.sources)
        self.assertEqual(self.changes, 1)

    def test_same_again(self) -> None:
        """The same uplinks once more change nothing."""
        for _ in range(3):
            self.sockets.uplinks_are([WIFI, LTE])
        self.assertEqual((self.changes, len(FakeUdp.made)), (1, 3))

    def test_port(self) -> None:
        """The first has the port that was asked for, the others any."""
        self.sockets.uplinks_are([WIFI, LTE])
        ports = [candidate.port for candidate in self.sockets.candidates() if candidate.kind == HOST]
        self.assertEqual((ports.count(PORT), len(ports)), (1, 3))

    def test_gone(self) -> None:
        """With an address its socket goes."""
        self.sockets.uplinks_are([LTE])
        number = self.sockets.numbers()["lte", "10.0.0.2"]
        self.sockets.uplinks_are([])
        self.assertEqual((self.open_ones(), self.sockets.has(number), self.pump.door(number)), ([], False, None))
        self.assertEqual(self.changes, 2)

    def test_refused(self) -> None:
        """An uplink whose socket the machine refuses is none; the others are not the worse for it."""
        FakeUdp.refused = True
        self.sockets.uplinks_are([LTE])
        self.assertEqual((self.sockets.candidates(), self.sockets.families), ([], {}))
        FakeUdp.refused = False
        self.sockets.uplinks_are([LTE])
        self.assertEqual(self.sockets.candidates(), [Candidate(HOST, "10.0.0.2", PORT)])

    def test_close(self) -> None:
        """At the end all of them are closed."""
        self.sockets.uplinks_are([WIFI, LTE])
        self.sockets.replace(("lte", "10.0.0.2"))
        self.sockets.close()
        self.assertEqual((self.open_ones(), self.sockets.families), ([], {}))


class ReplaceTests(SocketsTestCase):
    key = ("lte", "10.0.0.2")

    def setUp(self) -> None:
        super().setUp()
        self.sockets.uplinks_are([LTE])
        self.before = self.sockets.numbers()[self.key]

    def test_stays_for_a_while(self) -> None:
        """One that is replaced is not searched by, and carries datagrams until it is let go."""
        self.assertEqual(self.sockets.replace(self.key), self.before)
        self.assertNotIn(self.before, self.sockets.families)
        self.assertTrue(self.sockets.has(self.before) and self.sockets.is_leaving(self.before))
        self.assertEqual(self.sockets.local_of(self.before), ("10.0.0.2", PORT))
        self.sockets.let_go(self.before)
        self.sockets.let_go(self.before)
        self.assertEqual((self.sockets.has(self.before), len(self.open_ones())), (False, 1))

    def test_refused(self) -> None:
        """Where the machine refuses another one, the one before stays."""
        FakeUdp.refused = True
        self.assertIsNone(self.sockets.replace(self.key))
        self.assertEqual((list(self.sockets.families), self.changes), ([self.before], 1))

    def test_uplink_goes(self) -> None:
        """One that is on its way out goes with its address."""
        self.sockets.replace(self.key)
        self.sockets.uplinks_are([WIFI])
        self.assertNotIn("10.0.0.2", self.open_ones())

    def test_too_big(self) -> None:
        """A datagram that the device does not take teaches the path by that socket, and no other."""
        session, mine = self.begin(), cast(FakeDoor, FakeUdp.made[0])
        ours, other = (self.path(session, door, "198.51.100.6") for door in (mine, self.wifi))
        for path in (ours, other):
            path.mtu.trust()
        before = other.mtu.proven
        FakeUdp.made[0].too_big(Departure(self.before, ours.remote, b"", ours.mtu.proven))
        self.assertEqual((ours.mtu.proven < before, other.mtu.proven), (True, before))
