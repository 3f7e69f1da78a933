"""Which event is worth a look. That the kernel sends them is for tests.lab.test_host."""

from __future__ import annotations

import os
import struct

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.events import NEWNETCONF, FileEar, NftListener, touches_routing
from morphnet.host.facts import ADDRESS, DELADDR, DELLINK, DELROUTE, DELRULE, LINK, NEWADDR, NEWLINK, NEWROUTE, ROUTE
from morphnet.host.netlink import attribute

OURS, OTHER = 7, 8  # indexes of devices
GEN, DELTABLE, NEWRULE = 10 << 8 | 15, 10 << 8 | 2, 10 << 8 | 6


def about(table: str) -> bytes:
    return bytes(4) + attribute(1, table.encode() + b"\0")


def commit(pid: int, name: str) -> bytes:
    return (
        bytes(4) + attribute(1, bytes(4)) + attribute(2, struct.pack("!I", pid)) + attribute(3, name.encode() + b"\0")
    )


class RoutingTests(SynchronousTestCase):
    def test_ours(self) -> None:
        """What takes from us, or happens to our device, is worth a look; whatever happens to others is not."""
        route, rule = ROUTE.pack(2, 0, 0, 0, 254, 73, 0, 1, 0), attribute(21, bytes([73]))
        everywhere = bytes(4) + attribute(1, struct.pack("=i", -1))
        for kind, payload, worth in (
            (DELROUTE, route, True),
            (DELROUTE, ROUTE.pack(2, 0, 0, 0, 254, 3, 0, 1, 0), False),
            (NEWROUTE, route, False),
            (DELROUTE, b"", False),
            (DELRULE, bytes(12) + rule, True),
            (DELRULE, bytes(12), False),
            (NEWLINK, LINK.pack(0, 1, OURS, 0, 0), True),
            (NEWLINK, LINK.pack(0, 1, OTHER, 0, 0), False),
            (DELLINK, LINK.pack(0, 1, OTHER, 0, 0), False),
            (DELADDR, ADDRESS.pack(2, 24, 0, 0, OURS), True),
            (DELADDR, ADDRESS.pack(2, 24, 0, 0, OTHER), False),
            (NEWADDR, ADDRESS.pack(2, 24, 0, 0, OURS), False),
            (DELADDR, b"x", False),
            (NEWNETCONF, everywhere, True),
            (NEWNETCONF, bytes(4) + attribute(1, struct.pack("=i", OTHER)), False),
        ):
            self.assertEqual(touches_routing(kind, payload, (OURS,)), worth, (kind, payload))


class NftTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.others = list[str]()
        self.listener = NftListener(lambda: self.others.append("changed"))

    def test_by_whom(self) -> None:
        """A commit that touches a table of ours counts when it is complete, and tells who did it."""
        self.assertFalse(self.listener.touches(DELTABLE, about("morphnet_morph0")))
        self.assertTrue(self.listener.touches(GEN, commit(1, "nft")))
        self.assertEqual((self.listener.by, self.others), ("nft", []))

    def test_others(self) -> None:
        """Commits about other tables, of which a machine with containers has many, only concern the firewall."""
        for _ in range(3):
            self.assertFalse(self.listener.touches(NEWRULE, about("docker")))
            self.assertFalse(self.listener.touches(GEN, commit(1, "dockerd")))
        self.assertEqual((self.listener.by, len(self.others)), ("", 3))
        self.assertFalse(self.listener.touches(GEN, b""))

    def test_both(self) -> None:
        """A flush of everything is both."""
        self.listener.touches(DELTABLE, about("docker"))
        self.listener.touches(DELTABLE, about("morphnet_7300"))
        self.assertTrue(self.listener.touches(GEN, commit(1, "nft")))
        self.assertEqual(self.others, ["changed"])

    def test_ourselves(self) -> None:
        """What we do ourselves is nobody's doing."""
        self.listener.touches(DELTABLE, about("morphnet_morph0"))
        self.assertTrue(self.listener.touches(GEN, commit(os.getpid(), "twistd")))
        self.assertEqual((self.listener.by, self.others), ("", []))


class FileTests(SynchronousTestCase):
    def test_not_open(self) -> None:
        """Where files cannot be watched, nothing is; the regular looks remain."""
        ear = FileEar(lambda: None)
        ear.watch({"/etc/resolv.conf"})
        self.assertEqual(ear.fileno(), -1)
        ear.close()
