"""Most changes are alike: what they are about, and what they have to know."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.dns import Resolvconf, Resolved
from morphnet.host.journal import Change
from morphnet.host.multipath import Multipath
from morphnet.host.plain import Plain
from morphnet.host.routes import Address
from morphnet.host.routing import Route, Rule
from morphnet.host.wireguard import WireGuardLink
from tests.host.fake_kernel import FakeKernel

ROUTE, RULE, ADDRESS = Route("10.0.0.0/8", 7), Rule(4, 100, 7), Address("tun0", "10.0.0.1/24")
LOOSE: tuple[Change, ...] = (ROUTE, RULE, ADDRESS)
OTHERS: tuple[Change, ...] = (
    Multipath(4, 7, ()), WireGuardLink("wg0", True), Resolved("tun0", ()), Resolvconf("tun0", ()),
)  # fmt: skip


class PlainTests(SynchronousTestCase):
    def test_prepared(self) -> None:
        """None has to know how things were, and only what some keep on disk outlives a boot."""
        for each in (*LOOSE, *OTHERS):
            self.assertIsInstance(each, Plain)
            self.assertIs(each.prepared(FakeKernel()), each)
            self.assertEqual(each.lasting, isinstance(each, Resolvconf))
            self.assertFalse(hasattr(each, "__dict__"))

    def test_place(self) -> None:
        """A route, a rule and an address replace nothing but themselves; the others what there is of their kind."""
        self.assertEqual([each.place for each in LOOSE], list(LOOSE))
        self.assertEqual([each.place for each in OTHERS], [(4, 7), "wg0", "tun0", "tun0"])
