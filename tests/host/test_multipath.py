"""A route with several next hops: what the kernel is told, and tells. What it does with it is in tests/lab."""

from __future__ import annotations

import struct
from socket import AF_INET

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.facts import NEWROUTE, PROTOCOL, ROUTE, UNICAST
from morphnet.host.kernel import Missing
from morphnet.host.multipath import Multipath, hop, hops_of
from morphnet.host.netlink import messages
from tests.host.fake_kernel import FakeKernel


class MultipathTests(SynchronousTestCase):
    def test_hop(self) -> None:
        """A weight is from 1 to 256, a gateway may be missing."""
        self.assertEqual(hop("wan0", 3, "192.0.2.1"), "wan0 3 192.0.2.1")
        self.assertEqual([hop("ppp0", 0, ""), hop("ppp0", 999, "")], ["ppp0 1", "ppp0 256"])

    def test_made(self) -> None:
        """What is made is read back as what was asked for, gateways of the other family too."""
        for family, gateway in ((4, "192.0.2.1"), (6, "fe80::1"), (4, "fe80::1"), (4, "")):
            route = Multipath(family, 7300, (hop("lo", 3, gateway),))
            ((kind, _, body),) = messages(route.made())
            self.assertEqual((kind, hops_of([body], 7300)), (NEWROUTE, {route.hops}))
            self.assertEqual(hops_of([body], 7301), frozenset())

    def test_one(self) -> None:
        """The kernel tells one next hop without a list."""
        body = ROUTE.pack(AF_INET, 0, 0, 0, 252, PROTOCOL, 0, UNICAST, 0)
        for number, value in ((15, 7300), (6, 1024), (4, 1)):
            body += struct.pack("=HHI", 8, number, value)
        self.assertEqual(hops_of([body, b"", b"torn"], 7300), {("lo 1",)})

    def test_undone(self) -> None:
        """It is made and removed by one message each; two tables are two places, two weights are one."""
        kernel, route = FakeKernel(), Multipath(4, 7300, ("lo 1",))
        route.apply(kernel)
        route.undo(kernel)
        kinds = [kind for message in kernel.routed for kind, _, _ in messages(message)]
        self.assertEqual(kinds, [NEWROUTE, NEWROUTE + 1])
        self.assertEqual(route.place, Multipath(4, 7300, ("lo 2",)).place)
        self.assertNotEqual(route.place, Multipath(6, 7300, ("lo 1",)).place)

    def test_gone(self) -> None:
        """A device that has gone is told as missing."""
        self.assertRaises(Missing, Multipath(4, 7300, ("nowhere0 1",)).made)
