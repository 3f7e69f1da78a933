"""From what kind of network somebody comes."""

from __future__ import annotations

import errno

from twisted.internet.defer import fail
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.upload.networks import network_of
from tests.fakes_upload import Service, slot


class NetworksTests(SynchronousTestCase):
    def test_classes(self) -> None:
        """By the address, and where that tells nothing by the program."""
        for address, agent, network in (
            ("10.1.2.3", "", "cellular_lte"),
            ("::ffff:100.64.0.1", "", "cellular_lte"),
            ("192.168.7.7", "Mozilla/5.0 (Android)", "wifi_private"),
            ("203.0.113.10", "", "wired_ethernet"),  # it has "10." in it
            ("2001:db8::1", "Conversations Android", "mobile_unknown"),
            ("2001:db8::1", "curl", "wired_ethernet"),
            ("nonsense", "Mobile", "mobile_unknown"),
        ):
            self.assertEqual(network_of(address, agent), network, address)

    def test_not_noted(self) -> None:
        """A disk without room for that is counted, and hinders no upload."""
        service = Service(self.mktemp())
        self.patch(service.uploads, "moved", lambda *_: fail(OSError(errno.ENOSPC, "No space left on device")))
        self.assertEqual(service.ask("PUT", slot("s/a", 3), {}, b"abc").status, 201)
        self.assertEqual(service.shelf.counts["uploads_without_room"], 1)
