"""The facade's own judgement; what it does to a machine is in tests/lab/test_host.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.host.host import KINDS, ClientNetwork, Host, ServerNetwork
from morphnet.host.journal import Journal
from morphnet.host.nat import NftTable
from tests.host.fake_kernel import FakeFile, FakeKernel


class HostTests(SynchronousTestCase):
    def test_kinds(self) -> None:
        """Every kind of change has a name of its own in the journal."""
        expected = (
            "address answers-table behind-table dealing-table forwarding hosts link multipath nft-table phone-policy"
            " resolv-conf resolvconf resolved route rule strict-table sysctl wireguard"
        )
        self.assertEqual(sorted(KINDS), expected.split())


class FailingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.kernel, self.host = FakeKernel(), Host(Path(self.mktemp()))
        self.addCleanup(self.host.down)
        self.kernel.values.clear()  # IPv4 alone
        self.host._kernel, self.host._journal = self.kernel, Journal(FakeFile(), self.kernel, KINDS, "here")

    def test_gateway_stays(self) -> None:
        """A network that the machine refuses to lead into the tunnel leaves a gateway as it was."""
        kernel, host = self.kernel, self.host
        network = ServerNetwork("morph0", "10.73.0.1/24", "fd73::1/64", 1400, "10.73.0.0/24", "fd73::/64", nat=False)
        host.server_up(network)
        self.assertEqual(host.families, {4})
        standing, tables, routes = host._journal.standing, list(kernel.tables), set(kernel.routes)
        kernel.values |= {"net/ipv4/ip_forward": "1", "net/ipv4/conf/all/accept_redirects": "0"}
        kernel.values |= {"net/ipv6/conf/all/forwarding": "1"}
        for refused in ("add_route", "nft"):
            kernel.refuse = {refused}
            self.assertRaises(HostError, host.server_up, replace(network, behind=("192.168.7.0/24",)))
            self.assertEqual((kernel.tables, kernel.routes), (tables, routes))
            self.assertEqual(set(host._journal.standing), set(standing))
        kernel.refuse = set()

    def test_client_keeps_its_guard(self) -> None:
        """A change that the machine refuses leaves a client as it was: its guard and its routes."""
        kernel, host = self.kernel, self.host
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
