"""Whom a client asks for names, and its own server for where resolv.conf cannot say it."""

from __future__ import annotations

from dataclasses import replace

from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.mesh import MeshConfig
from morphnet.config.names import AskedNames
from morphnet.config.roles import ClientConfig
from morphnet.errors import HostError
from morphnet.host.dns import Wish
from morphnet.roles.client.inside import inside
from morphnet.roles.client.resolving import STUB, Stub, of_others, wished
from morphnet.wire.messages.control import Welcome
from tests.fakes_names import MemoryNet, answering, question, said
from tests.wire.messages.test_control import WELCOME

GATEWAYS = ("10.73.0.1", "fd73::1")
NAMED = replace(
    WELCOME,
    inner4="10.73.0.2/24",
    inner6="fd73::2/64",
    gateway4=GATEWAYS[0],
    gateway6=GATEWAYS[1],
    dns=GATEWAYS,
    names=True,
    domains=("corp.example", "lab.example"),
)
SPLIT = ClientConfig(server="gw", routes=("10.73.0.0/24", "fd73::/64"))
REVERSE = ("0.73.10.in-addr.arpa", "0.0.0.0.0.0.0.0.0.0.0.0.3.7.d.f.ip6.arpa")


def wish(welcome: Welcome, config: ClientConfig) -> Wish:
    return wished(welcome, config, inside(welcome, MeshConfig().networks, config.routes))


class WishedTests(SynchronousTestCase):
    def test_whole(self) -> None:
        """With everything in the tunnel the gateway is asked for every name."""
        self.assertEqual(wish(NAMED, ClientConfig(server="gw")), Wish(GATEWAYS, True))
        self.assertEqual(wish(NAMED, replace(SPLIT, dns_split=True)), Wish(GATEWAYS, True))

    def test_split(self) -> None:
        """In a split tunnel for the network's own, and for what of the rest the operator has named."""
        self.assertEqual(wish(NAMED, SPLIT), Wish(GATEWAYS, True, ("morph", *REVERSE)))
        for domains, more in (
            (("corp.example", "other.example"), ("corp.example",)),
            (("*",), ("corp.example", "lab.example")),
        ):
            config = replace(SPLIT, names=AskedNames(domains))
            self.assertEqual(wish(NAMED, config).domains, ("morph", *REVERSE, *more))

    def test_without_others(self) -> None:
        """A gateway that knows nobody to ask is asked for its own names alone, also with everything in the tunnel."""
        alone = replace(NAMED, dns=())
        self.assertEqual(wish(alone, ClientConfig(server="gw")), Wish(GATEWAYS, True, ("morph", *REVERSE)))

    def test_not_wanted(self) -> None:
        """An operator who wants none of it, and a server of before."""
        self.assertEqual(wish(NAMED, replace(SPLIT, dns=False)), Wish())
        self.assertEqual(wish(replace(NAMED, names=False), SPLIT), Wish())
        self.assertEqual(wish(replace(NAMED, names=False), ClientConfig(server="gw")), Wish(GATEWAYS))

    def test_hostile(self) -> None:
        """A server in a split tunnel gets no names of the world, nor of networks that nobody here has named."""
        evil = replace(NAMED, inner4="8.0.0.2/1", gateway4="8.8.8.8", domains=("morph", "x.morph"))
        config = replace(SPLIT, names=AskedNames(("*",)))
        self.assertEqual(wish(evil, config), Wish(("fd73::1",), True, ("morph", REVERSE[1])))


class NamesOfOthersTests(SynchronousTestCase):
    def test_gateway(self) -> None:
        """No peer is the gateway, nor a host that is called; without a gateway a peer may be called so."""
        mesh = MeshConfig(relays=("meet:444",))
        config = ClientConfig(server="vpn.example.org:443", server_name="gw.example.org", mesh=mesh)
        self.assertEqual(of_others(config), ["vpn.example.org", "meet", "gateway", "gw", "vpn"])
        self.assertEqual(of_others(ClientConfig(mesh=mesh)), ["meet"])


class StubTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.net, self.own = MemoryNet(), ["192.168.1.1"]
        self.net.servers["10.73.0.1"], self.net.servers["192.168.1.1"] = answering("10.73.0.9"), answering("127.0.0.2")
        self.stub = Stub(self.net, lambda: self.own)

    def ask(self, name: str, caller: str = "127.0.0.1") -> tuple[int, list[str]] | None:
        here = self.net.udp[0]
        before = len(here.sent)
        here.protocol.datagramReceived(question(name), (caller, 40000))
        self.net.advance(0.02)
        return said(here.sent[-1][0]) if len(here.sent) > before else None

    def test_asks(self) -> None:
        """The gateway for its names, our own servers for others, as they say it; only this machine is answered."""
        self.assertEqual(self.stub.serve(("morph",), ("10.73.0.1",)), STUB)
        self.assertEqual([each.interface for each in self.net.udp], [STUB])
        self.assertEqual(self.ask("laptop.morph"), (dns.OK, ["10.73.0.9"]))
        self.assertEqual(self.ask("rbl.example"), (dns.OK, ["127.0.0.2"]))
        self.assertIsNone(self.ask("laptop.morph", "192.168.1.66"))
        self.assertEqual([to for to, _ in self.net.asked], ["10.73.0.1", "192.168.1.1"])
        self.stub.serve(("morph", "corp.example"), ("10.73.0.1",))
        self.assertEqual(self.ask("x.corp.example"), (dns.OK, ["10.73.0.9"]))
        self.assertEqual(self.stub.counters()["names_asked"], 3)

    def test_own(self) -> None:
        """A machine without servers, or whose file cannot be read, has one on itself; it is never us."""
        self.own[:] = [STUB]
        self.stub.serve(("morph",), ("10.73.0.1",))
        self.ask("example.org")
        self.stub = Stub(self.net, self.unreadable)
        self.net.udp.clear()
        self.stub.serve(("morph",), ("10.73.0.1",))
        self.ask("example.org")
        self.assertEqual([to for to, _ in self.net.asked], ["127.0.0.1"] * 2)

    def unreadable(self) -> list[str]:
        raise HostError("cannot read /etc/resolv.conf")

    def test_taken(self) -> None:
        """Where another program has its address that is said."""
        self.net.taken.add(STUB)
        self.assertRaises(HostError, self.stub.serve, ("morph",), ("10.73.0.1",))
        self.assertEqual(self.stub.counters(), {})

    def test_close(self) -> None:
        """It can be closed before it is open, and opened again."""
        self.successResultOf(self.stub.close())
        self.stub.serve(("morph",), ("10.73.0.1",))
        self.successResultOf(self.stub.close())
        self.assertFalse(self.net.udp[0].open)
