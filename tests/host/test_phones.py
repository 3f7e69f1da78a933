"""A gateway's machine with a WireGuard device, in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.host.firewall import LEGACY, sentence
from morphnet.host.host import KINDS, ServerNetwork
from morphnet.host.journal import Journal
from morphnet.host.kernel import FileState, LinkState
from morphnet.host.phone_policy import PhonePolicy
from morphnet.host.phones import WHAT, PhonesHost
from morphnet.host.routes import BASE
from morphnet.host.wireguard import WireGuardLink, delete_link, new_link
from tests.host.fake_kernel import FakeFile, FakeKernel
from tests.host.test_phone_policy import told_rule

NETWORK = ServerNetwork("morph0", "10.73.0.1/24", "", 1400, "10.73.0.0/24", "", nat=False)


class PhonesHostTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.kernel, self.file = FakeKernel(), FakeFile()
        self.kernel.values = {"net/ipv4/ip_forward": "0", "net/ipv4/conf/all/accept_redirects": "0"}
        self.host = self.machine()
        self.host.server_up(NETWORK)

    def machine(self) -> PhonesHost:
        host = PhonesHost(Path(self.mktemp()))
        self.addCleanup(host.down)
        host._kernel, host._journal = self.kernel, Journal(self.file, self.kernel, KINDS, "here")
        return host

    def test_kernel_or_not(self) -> None:
        """Where the kernel refuses, somebody else is to make it, and it is written down for him."""
        self.assertTrue(self.host.wireguard_up("morphwg0"))
        self.assertEqual(self.kernel.routed, [new_link("morphwg0", "wireguard")])
        self.host.wireguard_down()
        self.kernel.refuse = {"routing"}
        self.assertFalse(self.host.wireguard_up("morphwg0"))
        self.assertIn(WireGuardLink("morphwg0", False), self.host._journal.standing)

    def test_not_ours(self) -> None:
        """A device that somebody else has made is left alone."""
        self.kernel.links["morphwg0"] = LinkState(True, 1420, 500, 0)
        self.assertIn("not ours", str(self.assertRaises(HostError, self.host.wireguard_up, "morphwg0")))
        self.assertEqual(self.kernel.routed, [])

    def test_up_and_down(self) -> None:
        """Phones have routes and a way through; without the device nothing of it is left."""
        standing = set(self.host._journal.standing)
        self.host.wireguard_up("morphwg0")
        self.kernel.links["morphwg0"] = LinkState(False, 1420, 500, 0)
        self.host.phones_are("morphwg0", 1400, ["10.73.0.5", "10.73.0.6"])
        self.assertEqual({each.prefix for each in self.kernel.routes}, {"10.73.0.5/32", "10.73.0.6/32"})
        self.assertEqual(self.kernel.links["morphwg0"], LinkState(True, 1400, 1000, BASE))
        self.host.phones_are("morphwg0", 1400, ["10.73.0.6"])
        self.assertEqual({each.prefix for each in self.kernel.routes}, {"10.73.0.6/32"})
        self.host.wireguard_down()
        self.assertEqual((self.kernel.routes, self.kernel.rules), (set(), set()))
        self.assertEqual(set(self.host._journal.standing), standing)
        self.assertEqual(self.kernel.routed[-1], delete_link("morphwg0"))

    def test_after_a_kill(self) -> None:
        """The next start takes the device away, and the socket beside it."""
        self.kernel.refuse = {"routing"}
        self.host.wireguard_up("morphwg0")
        self.kernel.refuse = set()
        self.machine().recover(gateway=True)
        self.assertEqual(self.kernel.routed, [delete_link("morphwg0")])
        self.assertEqual(list(self.kernel.files), ["/var/run/wireguard/morphwg0.sock"])

    def test_judged(self) -> None:
        """What judges phones is there before their device, and goes after it: at the end, and at the next start."""
        table = "morphnet_morph0_phones"
        standing = set(self.host._journal.standing)
        self.host.wireguard_up("morphwg0")
        self.host.phones_judged("morphwg0", ["from accept"])
        self.assertEqual(self.kernel.nft_outline(table), PhonePolicy("morphwg0", "morph0", ("from accept",)).outline())
        self.patch(self.kernel, "nft_dump", lambda kind, asked: [told_rule(2)])
        self.assertEqual(self.host.phones_refused(), (2, 4))
        self.host.phones_judged("morphwg0", None)
        self.assertEqual(self.host.phones_refused(), (0, 0))
        self.assertEqual(self.kernel.nft_outline(table), ())
        self.host.phones_judged("morphwg0", [])
        self.assertNotEqual(self.kernel.nft_outline(table), ())
        self.host.wireguard_down()
        self.assertEqual((self.kernel.nft_outline(table), set(self.host._journal.standing)), ((), standing))
        for end in (lambda: self.machine().recover(gateway=True), self.host.down):
            self.host.wireguard_up("morphwg0")
            self.host.phones_judged("morphwg0", [])
            calls: list[bool] = []
            self.patch(self.kernel, "routing", lambda sent, calls=calls: calls.append(self.there(table)))
            end()
            self.assertEqual((calls, self.there(table)), ([True], False))

    def there(self, table: str) -> bool:
        return self.kernel.nft_outline(table) != ()

    def test_forwards(self) -> None:
        """What comes by it is forwarded, also where nothing else is."""
        self.assertEqual(self.kernel.values["net/ipv4/ip_forward"], "0")
        self.host.server_up(replace(NETWORK, beside=("morphwg0",)))
        self.assertEqual(self.kernel.values["net/ipv4/ip_forward"], "1")
        self.assertEqual(self.host.obstacles("morph0", ["10.73.0.0/24"]), [])

    def test_firewall(self) -> None:
        """A firewall that lets clients through and not phones is told of, with what cures that."""
        self.host.server_up(replace(NETWORK, beside=("morphwg0",)))
        tool, names = LEGACY[4]
        self.kernel.tools, self.kernel.files[names] = {tool}, FileState("file", "filter\n")
        ours = "-A FORWARD -i morph0 -j ACCEPT\n-A FORWARD -o morph0 -j ACCEPT\n"
        self.kernel.said[tool, "-S"] = f"-P FORWARD DROP\n{ours}"
        (found,) = self.host.obstacles("morph0", ["10.73.0.0/24"])
        self.assertIn(f"drops {WHAT} (iptables-legacy FORWARD for IPv4)", sentence([found]))
        self.assertIn("iptables-legacy -I FORWARD -i morphwg0 -j ACCEPT", found.cure)
