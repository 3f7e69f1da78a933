"""The facade's own judgement; what it does to a machine is in tests/lab/test_host.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError, HostError
from morphnet.host.host import KINDS, ClientNetwork, Host, check_routes
from morphnet.host.journal import Journal
from morphnet.host.nat import NftTable
from tests.host.fake_kernel import FakeFile, FakeKernel


class HostTests(SynchronousTestCase):
    def test_routes(self) -> None:
        """Routes are "default" or networks; anything else is one sentence."""
        check_routes(("default", "10.0.0.0/8", "10.1.2.3", "fd00::/8"))
        error = self.assertRaises(ConfigError, check_routes, ("10.0.0.0/8", "everything"))
        self.assertEqual(str(error), "routes: 'everything' must be 'default' or a network such as 10.0.0.0/8")

    def test_kinds(self) -> None:
        """Every kind of change has a name of its own in the journal."""
        expected = (
            "address answers-table behind-table dealing-table forwarding hosts link multipath nft-table resolv-conf"
            " resolvconf resolved route rule strict-table sysctl"
        )
        self.assertEqual(sorted(KINDS), expected.split())


class FailingTests(SynchronousTestCase):
    def test_client_keeps_its_guard(self) -> None:
        """A change that the machine refuses leaves a client as it was: its guard and its routes."""
        kernel = FakeKernel()
        kernel.values.clear()  # IPv4 alone
        host = Host(Path(self.mktemp()))
        self.addCleanup(host.down)
        host._kernel, host._journal = kernel, Journal(FakeFile(), kernel, KINDS, "here")
        network = ClientNetwork("morph0", "10.73.0.2", "", 1400, ("10.9.0.0/16",))
        host.client_up(network)
        standing, tables, routes = host._journal.standing, list(kernel.tables), set(kernel.routes)
        self.assertIn(NftTable.kind, {each.kind for each in standing})
        kernel.refuse = {"add_route"}
        wider = replace(network, inner4="10.73.0.3", inside=("192.168.7.0/24",))
        self.assertRaises(HostError, host.client_up, wider)
        self.assertEqual((kernel.tables, kernel.routes), (tables, routes))
        self.assertEqual((set(host._journal.standing), host._network), (set(standing), network))
        kernel.refuse = set()
