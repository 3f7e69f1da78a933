"""A firewall in the way of a gateway: what is said, and when. That it is found is for tests.lab.test_host."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.host import nft
from morphnet.host.firewall import LEGACY, Firewall, Obstacle, obstacles, probes, sentence
from morphnet.host.kernel import FileState
from morphnet.host.netlink import attribute, messages
from morphnet.host.nftrules import GETCHAIN, GETRULE
from morphnet.host.verdicts import ESTABLISHED, NEW, Probe
from tests.host.fake_kernel import FakeKernel

POOLS = ("10.73.0.0/24", "fd73::/64")
DOCKER = Obstacle(4, "nftables ip filter FORWARD", "iptables -I DOCKER-USER -i morph0 -j ACCEPT")


class _Kernel(FakeKernel):
    """One with a chain of its owner's, `inet own forward`, whose policy is drop."""

    def __init__(self) -> None:
        super().__init__()
        self.own: list[bytes] = []  # the rules in it, payloads

    def add(self, *expressions: bytes) -> None:
        self.own.append(next(messages(nft.add_rule("own", "forward", *expressions)))[2])

    def nft_dump(self, kind: int, payload: bytes) -> list[bytes]:
        if kind == GETCHAIN:
            return [_chain("own", "forward"), _chain("morphnet_morph0", "shield")]
        return self.own if kind == GETRULE and payload[0] == 1 and b"own\0" in payload else []


def _chain(table: str, name: str) -> bytes:
    hook = attribute(1, struct.pack("!I", nft.FORWARD)) + attribute(2, bytes(4))
    values = [(1, table.encode() + b"\0"), (3, name.encode() + b"\0"), (4, hook), (5, bytes(4)), (7, b"filter\0")]
    return bytes([1, 0, 0, 0]) + b"".join(attribute(kind, value) for kind, value in values)


class ObstacleTests(SynchronousTestCase):
    def found(self, *expressions: bytes) -> list[int]:
        """The families that are dropped, with a rule of these expressions before the policy."""
        kernel = _Kernel()
        kernel.add(*expressions)
        return [each.family for each in obstacles(kernel, "morph0", POOLS)]

    def test_native(self) -> None:
        """A rule that lets clients out, and their answers in, is in nobody's way; ours are not looked at."""
        out, back = nft.device(nft.IIFNAME, "morph0"), nft.device(nft.OIFNAME, "morph0")
        self.assertEqual(self.found(nft.accept()), [])
        self.assertEqual(self.found(out, nft.accept()), [4, 6])  # no answers
        self.assertEqual(self.found(out, nft.drop()), [4, 6])
        self.assertEqual(self.found(nft.source("10.73.0.0/24"), nft.accept()), [4, 6])
        kernel = _Kernel()
        for way in (out, back):
            kernel.add(way, nft.accept())
        self.assertEqual(obstacles(kernel, "morph0", POOLS), [])
        kernel.own.clear()
        kernel.add(nft.state(ESTABLISHED), nft.accept())
        kernel.add(nft.source("10.73.0.0/24"), nft.state(NEW), nft.accept())
        self.assertEqual([each.family for each in obstacles(kernel, "morph0", POOLS)], [6])

    def test_not_known(self) -> None:
        """Words that nobody here knows are no reason to complain."""
        strange = attribute(1, attribute(1, b"osf\0") + attribute(2, b""))
        self.assertEqual(self.found(strange, nft.accept()), [])
        self.assertEqual(self.found(strange, nft.drop()), [4, 6])

    def test_legacy(self) -> None:
        """The tables of old are asked for where there are some, and only there."""
        kernel = FakeKernel()
        tool, names = LEGACY[4]
        kernel.tools = {tool}
        kernel.said[tool, "-S"] = "-P FORWARD DROP\n"
        self.assertEqual(obstacles(kernel, "morph0", POOLS), [])
        kernel.files[names] = FileState("file", "nat\nfilter\n")
        (found,) = obstacles(kernel, "morph0", POOLS)
        self.assertEqual((found.family, found.where), (4, "iptables-legacy FORWARD"))
        self.assertIn("iptables-legacy -I FORWARD -i morph0 -j ACCEPT", found.cure)

    def test_probes(self) -> None:
        """A client's first packet leaves by the way to the world, and the answer comes by it."""
        (there, back), _ = probes("morph0", POOLS, lambda to: "eth0")
        self.assertEqual(there, Probe("morph0", "eth0", "10.73.0.2", "198.51.100.1", NEW))
        self.assertEqual(back, Probe("eth0", "morph0", "198.51.100.1", "10.73.0.2", ESTABLISHED))


class FirewallTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now: Sequence[Obstacle] | HostError = []
        self.told = list[str]()
        self.firewall = Firewall(self.looked, self.told.append)

    def looked(self) -> Sequence[Obstacle]:
        if isinstance(self.now, HostError):
            raise self.now
        return self.now

    def look(self, now: Sequence[Obstacle] | HostError) -> str:
        self.now = now
        self.firewall.look()
        return self.firewall.warning

    def test_told(self) -> None:
        """It is told once, with the line that cures it, and when it is gone; a look that fails changes nothing."""
        self.assertEqual(self.look([]), "")
        for _ in range(3):
            self.assertEqual(self.look([DOCKER]), sentence([DOCKER]))
        self.assertEqual(self.look(HostError("no")), sentence([DOCKER]))
        self.assertEqual(self.told, [sentence([DOCKER])])
        self.assertIn(DOCKER.cure, self.told[0])
        self.assertEqual((self.look([]), len(self.told)), ("", 2))

    def test_sentence(self) -> None:
        """What two families have in common is said once."""
        self.assertEqual(sentence([DOCKER, DOCKER]), sentence([DOCKER]))
