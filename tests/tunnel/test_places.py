"""Whose an address is."""

from __future__ import annotations

import ipaddress

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.policy import WORLD
from morphnet.tunnel.places import OURSELVES, PEERS, TOLD, Places


class PlacesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.changes = 0
        self.places = Places()

        def changed() -> None:
            self.changes += 1

        self.places.changed = changed

    def names(self, address: str) -> tuple[str, ...]:
        return self.places.who(ipaddress.ip_address(address).packed).names

    def test_believed(self) -> None:
        """What a certificate says is believed more than what the gateway tells, and ourselves most."""
        self.places.are(TOLD, {"10.73.0.2": ("laptop",), "10.73.0.3": ("liar",), "10.73.0.1": ("liar",)})
        self.places.are(PEERS, {"10.73.0.3": ("home",)})
        self.places.are(OURSELVES, {"10.73.0.1": ("gateway", "vpn.example")})
        found = [self.names(f"10.73.0.{each}") for each in (1, 2, 3, 4)]
        self.assertEqual(found, [("gateway", "vpn.example"), ("laptop",), ("home",), ()])
        self.places.are(PEERS, {})
        self.assertEqual(self.names("10.73.0.3"), ("liar",))

    def test_world(self) -> None:
        """Public addresses are of the world, but for an inner network that has such."""
        self.assertEqual([self.names(each) for each in ("9.9.9.9", "2001:db8::1", "10.1.1.1")], [(WORLD,)] * 2 + [()])
        self.places.are(OURSELVES, {}, ["2001:db8::/32"])
        self.assertEqual(self.names("2001:db8::1"), ())

    def test_changes(self) -> None:
        """What is known already is no change."""
        for _ in range(2):
            self.places.add(TOLD, {"10.73.0.2": ("laptop",), "fd73::2": ("laptop",)})
            self.places.are(PEERS, {"10.73.0.3": ("home",)})
        self.assertEqual(self.changes, 2)
        self.places.add(TOLD, {"10.73.0.3": ("liar",)})
        self.assertEqual((self.names("fd73::2"), self.names("10.73.0.3")), (("laptop",), ("home",)))
