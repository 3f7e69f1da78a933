"""What is forwarded besides packets of clients to the world."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host import nft
from morphnet.host.firewall import obstacles, sentence
from morphnet.host.nft import REDIRECTED
from morphnet.host.passing import BEHIND, TO_CLIENTS, WORLD, passing_behind, passing_of_gateway
from morphnet.host.verdicts import ESTABLISHED, NEW, Probe
from tests.host.test_firewall import _Kernel as Kernel

FORWARDS = ("tcp 443 10.73.0.2 443", "udp 53 10.73.0.2 53", "tcp 443 fd73::2 443")


def way_to(address: str) -> str:
    return "lan" if address.startswith("192.168.7.") else "wan"


class PassingTests(SynchronousTestCase):
    def test_probes(self) -> None:
        """A caller's first packet and the answer, once for each address; for a network its first machine."""
        four, six = (each.probes(way_to) for each in passing_of_gateway("morph0", FORWARDS))
        self.assertEqual(four[0], Probe("wan", "morph0", WORLD[4], "10.73.0.2", NEW, REDIRECTED))
        self.assertEqual(six[1], Probe("morph0", "wan", "fd73::2", WORLD[6], ESTABLISHED, REDIRECTED))
        ((there, back),) = (each.probes(way_to) for each in passing_behind("morph0", ["192.168.7.0/24"]))
        self.assertEqual((there.leaves, there.to, back.arrives), ("lan", "192.168.7.1", "lan"))
        ((there, _),) = (each.probes(way_to) for each in passing_behind("morph0", ["192.168.7.9/32"]))
        self.assertEqual(there.to, "192.168.7.9")

    def test_in_the_way(self) -> None:
        """What a firewall drops of it is said in one sentence, with the cure, besides what it drops of clients."""
        passing = (*passing_of_gateway("morph0", FORWARDS[:1]), *passing_behind("morph0", ["192.168.7.0/24"]))
        kernel = Kernel()
        said = sentence(obstacles(kernel, "morph0", (), passing))
        self.assertIn(f"drops {TO_CLIENTS} (nftables inet own forward for IPv4), and drops {BEHIND} (", said)
        self.assertEqual(said.count("nft insert rule inet own forward iifname morph0 accept"), 1)
        kernel.add(nft.was_redirected(), nft.accept())
        self.assertEqual([each.what for each in obstacles(kernel, "morph0", (), passing)], [BEHIND])
        kernel.add(nft.accept())
        self.assertEqual(obstacles(kernel, "morph0", (), passing), [])
