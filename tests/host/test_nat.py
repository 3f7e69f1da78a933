"""NAT, guards and forwarding of a gateway."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host import nft
from morphnet.host.look import Look
from morphnet.host.nat import Forwarding, NftTable, chains, gateway_changes, only_inside
from morphnet.host.netlink import attributes, messages
from morphnet.host.sysctl import Sysctl
from tests.host.fake_kernel import FakeKernel

POOLS = ("10.73.0.0/24", "fd73::/64")


def chain_names(table: NftTable) -> list[str]:
    """The chains that rules or chains of `table` are about, each once."""
    names = list[str]()
    for kind, _, body in messages(b"".join(chains(table))):
        found = attributes(body[4:])
        name = found[3 if kind & 0xFF == 3 else 2].rstrip(b"\0").decode()
        if name not in names:
            names.append(name)
    return names


class TableTests(SynchronousTestCase):
    def test_chains(self) -> None:
        """A gateway guards, shields, translates and clamps; without NAT it does not translate; a client guards."""
        self.assertEqual(chain_names(NftTable("morph0", POOLS, True)), ["guard", "shield", "nat", "clamp"])
        self.assertEqual(chain_names(NftTable("morph0", POOLS, False)), ["guard", "shield", "clamp"])
        self.assertEqual(chain_names(NftTable("morph0", mss_clamp=False, own=("10.73.0.2",))), ["guard"])

    def test_behind(self) -> None:
        """A network behind a client is a source before the rest is dropped, and translated as the pools are."""
        plain, table = (NftTable("morph0", POOLS, True, behind=behind) for behind in ((), ("192.168.7.0/24",)))
        source = nft.device(nft.IIFNAME, "morph0") + nft.source("192.168.7.0/24")
        first = next(body for kind, _, body in messages(b"".join(chains(table))) if kind & 0xFF == 6)
        self.assertIn(source + nft.accept(), first)
        rules = [sum(part[0] == "rule" for part in each.outline()) for each in (plain, table)]
        self.assertEqual(rules[1] - rules[0], 2)

    def test_forwards(self) -> None:
        """A port leads to an address of its family, by a chain of its own, and through the shield there alone."""
        forwards = ("tcp 443 10.73.0.2 8443", "udp 53 fd73::2 53")
        table = NftTable("morph0", POOLS, True, forwards=forwards)
        self.assertEqual(chain_names(table), ["guard", "shield", "nat", "redirect", "clamp"])
        made = b"".join(chains(table))
        four = nft.meta(nft.NFPROTO, nft.IPV4) + nft.for_this_machine() + nft.port(nft.TCP, 443)
        self.assertIn(four + nft.redirect("10.73.0.2", 8443), made)
        through = nft.destination("fd73::2") + nft.port(nft.UDP, 53) + nft.was_redirected() + nft.accept()
        self.assertIn(through, made)

    def test_beside(self) -> None:
        """Another device is inside as well: of the pools nothing comes but by these two, nor goes there unasked."""
        made = b"".join(chains(NftTable("morph0", POOLS, True, beside=("morphwg0",))))
        none = [nft.device(key, "morph0", equal=False) for key in (nft.IIFNAME, nft.OIFNAME)]
        outer = [
            way + nft.device(key, "morphwg0", equal=False)
            for way, key in zip(none, (nft.IIFNAME, nft.OIFNAME), strict=True)
        ]
        unasked = nft.state(nft.ESTABLISHED | nft.RELATED, equal=False) + nft.drop()
        for device in ("morph0", "morphwg0"):
            self.assertIn(nft.device(nft.IIFNAME, device) + nft.source(POOLS[0], equal=False) + nft.drop(), made)
            self.assertIn(nft.device(nft.OIFNAME, device) + outer[0] + unasked, made)
        self.assertIn(outer[1] + nft.source(POOLS[0]) + nft.masquerade(), made)
        self.assertEqual(made.count(none[0]), made.count(outer[0]))

    def test_only_inside(self) -> None:
        """Where another device has an address in an inner network, that one is not guarded, and the device is named."""
        kernel = FakeKernel()
        kernel.addresses = {("morph0", "10.73.0.1/24"), ("lan", "10.73.0.50/24"), ("lan", "2001:db8::1/64")}
        self.assertEqual(only_inside(kernel, "morph0", POOLS), (("fd73::/64",), ["lan"]))
        self.assertEqual(only_inside(kernel, "morph0", ["10.73.0.1", "10.73.0.50"]), (("10.73.0.1",), ["lan"]))

    def test_outline(self) -> None:
        """A table that is as it was made looks so; with a part less, a rule more or another one it does not."""
        kernel, table = FakeKernel(), NftTable("morph0", POOLS, True, own=("10.73.0.1",), inside=POOLS)
        self.assertFalse(table.stands(Look(kernel)))
        table.apply(kernel)
        self.assertTrue(table.stands(Look(kernel)))
        whole = list(kernel.tables)
        for number, (kind, _) in enumerate(whole):
            kernel.tables = whole[:number] + whole[number + 1 :]
            if kind in (3, 6):  # NEWCHAIN, NEWRULE
                self.assertFalse(table.stands(Look(kernel)), number)
        rule = nft.add_rule(table.name, "guard", nft.accept())
        for more in (rule, nft.add_rule(table.name, "shield", nft.drop())):
            kernel.tables = [*whole, (6, next(messages(more))[2])]
            self.assertFalse(table.stands(Look(kernel)))
        number = next(i for i, (kind, _) in enumerate(whole) if kind == 6)
        kernel.tables = [*whole[:number], (6, next(messages(rule))[2]), *whole[number + 1 :]]
        self.assertFalse(table.stands(Look(kernel)))
        others = nft.add_rule("docker", "guard", nft.accept())
        kernel.tables = [*whole, (6, next(messages(others))[2])]
        self.assertTrue(table.stands(Look(kernel)))

    def test_absent_family(self) -> None:
        """A family without a pool is dropped altogether."""
        both, only4 = (b"".join(chains(NftTable("morph0", pools))) for pools in (POOLS, POOLS[:1]))
        drop6 = nft.device(nft.IIFNAME, "morph0") + nft.meta(nft.NFPROTO, nft.IPV6) + nft.drop()
        self.assertIn(drop6, only4)
        self.assertNotIn(drop6, both)

    def test_transaction(self) -> None:
        """The old table goes and the new one comes in one transaction, so that there is no moment without."""
        kernel, table = FakeKernel(), NftTable("morph0", POOLS, True)
        table.apply(kernel)
        (batch,) = kernel.batches
        kinds = [kind for kind, _, _ in messages(b"".join(batch))]
        self.assertEqual((kinds[0], kinds[-1]), (0x10, 0x11))
        self.assertEqual([kind & 0xFF for kind in kinds[1:4]], [0, 2, 0])

    def test_expressions(self) -> None:
        """Byte for byte what nft 1.0.6 makes of the same words (nft --debug=mnl)."""
        self.assertEqual(nft.masquerade().hex(), "14000180090001006d6173710000000004000280")
        drop = "300001800e000100696d6d6564696174650000001c0002800800010000000000100002800c0002800800010000000000"
        self.assertEqual(nft.drop().hex(), drop)
        other = (
            "24000180090001006d6574610000000014000280080002000000000708000100000000013800018008000100636d7000"
            "2c0002800800010000000001080002000000000118000380140001006d6f7270683000000000000000000000"
        )
        self.assertEqual(nft.device(nft.OIFNAME, "morph0", equal=False).hex(), other)


class ForwardingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.kernel = FakeKernel()
        self.kernel.values |= {
            "net/ipv4/ip_forward": "0",
            "net/ipv4/conf/all/accept_redirects": "0",
            "net/ipv4/conf/lan/forwarding": "1",
            "net/ipv6/conf/all/forwarding": "0",
            "net/ipv6/conf/wan/forwarding": "0",
            "net/ipv6/conf/wan/accept_ra": "1",
        }

    def test_each_device(self) -> None:
        """What the kernel changes along with its one switch is put back too."""
        change = Forwarding(4).prepared(self.kernel)
        change.apply(self.kernel)
        self.kernel.values |= {"net/ipv4/conf/lan/forwarding": "0", "net/ipv4/conf/all/accept_redirects": "1"}
        change.undo(self.kernel)
        self.assertEqual(self.kernel.sysctl("net/ipv4/ip_forward"), "0")
        self.assertEqual(self.kernel.sysctl("net/ipv4/conf/lan/forwarding"), "1")
        self.assertEqual(self.kernel.sysctl("net/ipv4/conf/all/accept_redirects"), "0")

    def test_not_ours(self) -> None:
        """Forwarding that was on before stays on."""
        self.kernel.values["net/ipv4/ip_forward"] = "1"
        change = Forwarding(4).prepared(self.kernel)
        change.apply(self.kernel)
        change.undo(self.kernel)
        self.assertEqual((self.kernel.sysctl("net/ipv4/ip_forward"), self.kernel.calls), ("1", []))

    def test_router_advertisements(self) -> None:
        """A gateway that lives from router advertisements goes on doing so: accept_ra is 2 before forwarding is on."""
        self.kernel.advertised = ["wan"]
        changes = gateway_changes(self.kernel, NftTable("morph0", POOLS, True))
        accept = Sysctl("net/ipv6/conf/wan/accept_ra", "2")
        self.assertEqual(changes, [NftTable("morph0", POOLS, True), Forwarding(4), accept, Forwarding(6)])
        self.kernel.values["net/ipv6/conf/wan/accept_ra"] = "2"
        self.assertIn(accept, gateway_changes(self.kernel, NftTable("morph0", POOLS, True)))

    def test_no_redirects(self) -> None:
        """Clients are not told of a shorter way to one another, of which there is none; with IPv6 alone nothing is."""
        names = [f"net/ipv4/conf/{each}/send_redirects" for each in ("morph0", "all")]
        self.kernel.values |= dict.fromkeys(names, "1")
        changes = gateway_changes(self.kernel, NftTable("morph0", POOLS, True))
        self.assertEqual(changes[-2:], [Sysctl(each, "0") for each in names])
        self.assertNotIn(changes[-1], gateway_changes(self.kernel, NftTable("morph0", POOLS[1:], True)))

    def test_without_nat(self) -> None:
        """Without NAT forwarding stays as its owner has it."""
        table = NftTable("morph0", POOLS, False)
        self.assertEqual(gateway_changes(self.kernel, table), [table])

    def test_sysctl(self) -> None:
        """A sysctl goes back, unless it was so before or somebody has changed it since."""
        for was, since, ends in (("1", "2", "1"), ("2", "2", "2"), ("1", "0", "0")):
            self.kernel.values["net/x"] = was
            change = Sysctl("net/x", "2").prepared(self.kernel)
            change.apply(self.kernel)
            self.kernel.values["net/x"] = since
            change.undo(self.kernel)
            self.assertEqual(self.kernel.sysctl("net/x"), ends)
