"""Names that a gateway answers, and what it tells its clients of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast
from unittest.mock import patch

from twisted.internet.defer import Deferred, fail
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.names import NamesConfig
from morphnet.config.roles import ServerConfig
from morphnet.errors import HostError
from morphnet.rendezvous.naming import Zone
from morphnet.roles.server.names import GATHER, Around, Names, NoNames
from morphnet.roles.signalling.control_server import Caller
from morphnet.store.base import Lease
from morphnet.store.memory import MemoryStore
from morphnet.wire.messages.advice import Advice
from morphnet.wire.messages.control import Hello
from tests.fakes_names import MemoryNet, answering, question, said
from tests.roles.server.test_node import FakeCaller

OWN = ("10.73.0.1", "fd73::1")
CONFIG = ServerConfig(name="vpn.example.org", names=NamesConfig(domains=("corp.example=10.0.0.53",)))


class FakeGround:
    """A machine that asks one server, and remembers whom it knows by name."""

    def __init__(self) -> None:
        self.servers = ["9.9.9.9"]
        self.known: list[Mapping[str, Sequence[str]]] = []
        self.refuses = False

    def upstream_dns(self) -> Sequence[str]:
        return self.servers

    def name_peers(self, names: Mapping[str, Sequence[str]]) -> None:
        self.known.append(dict(names))
        if self.refuses:
            raise HostError("read-only file system")


def lease(name: str, number: int) -> Lease:
    return Lease(name, f"10.73.0.{number}", f"fd73::{number}", bytes([number]) * 16)


class DamagedStore(MemoryStore):
    """Its records cannot be read."""

    def leases(self) -> Deferred[list[Lease]]:
        return fail(HostError("disk"))


class NamesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.net, self.ground, self.store, self.told = MemoryNet(), FakeGround(), MemoryStore(), list[str]()

    def begin(self, config: ServerConfig = CONFIG, own: Sequence[str] = OWN) -> Names:
        around = Around(self.net, self.store, self.ground, lambda kind, session, text: self.told.append(text))
        names = Names(config, own, around)
        names.begin([lease("laptop", 2), lease("pc.home", 3)])
        return names

    def ask(self, name: str, kind: int = dns.A, caller: str = "10.73.0.2") -> tuple[int, list[str]] | None:
        before = len(self.net.udp[0].sent)
        self.net.udp[0].protocol.datagramReceived(question(name, kind), (caller, 40000))
        self.net.advance(0.02)
        return said(self.net.udp[0].sent[-1][0]) if len(self.net.udp[0].sent) > before else None

    def come(self, names: Names, name: str, *, understands: bool = True) -> FakeCaller:
        caller = FakeCaller(name)
        names.welcomed(cast(Caller, caller), Hello(name=name, advice=understands))
        return caller

    def test_answers(self) -> None:
        """Who has a lease has a name, so has the gateway; others are asked for what is theirs, nobody for ours."""
        names = self.begin()
        self.net.servers |= {"9.9.9.9": answering("192.0.2.1"), "10.0.0.53": answering("10.0.0.80")}
        self.assertEqual([each.interface for each in self.net.udp], list(OWN))
        self.assertEqual(names.listening()[0], "10.73.0.1 tcp, udp 53 for names")
        self.assertEqual(self.ask("laptop.morph"), (dns.OK, ["10.73.0.2"]))
        self.assertEqual(self.ask("pc.home.morph", dns.AAAA), (dns.OK, ["fd73::3"]))
        for name in ("gateway.morph", "vpn", "VPN.morph"):
            self.assertEqual(self.ask(name), (dns.OK, ["10.73.0.1"]))
        self.assertEqual(self.ask("1.0.73.10.in-addr.arpa", dns.PTR), (dns.OK, ["gateway.morph"]))
        self.assertEqual(self.ask("desk.morph"), (dns.ENAME, []))
        self.assertEqual(self.ask("example.org"), (dns.OK, ["192.0.2.1"]))
        self.assertEqual(self.ask("wiki.corp.example"), (dns.OK, ["10.0.0.80"]))
        self.assertIsNone(self.ask("laptop.morph", caller="192.0.2.66"))
        names.leased(lease("desk", 4))
        self.net.advance(GATHER)
        self.assertEqual(self.ask("desk.morph"), (dns.OK, ["10.73.0.4"]))
        self.assertEqual([to for to, _ in self.net.asked], ["9.9.9.9", "10.0.0.53"])
        self.assertEqual(names.counters()["names_strangers"], 1)

    def test_gateway_is_itself(self) -> None:
        """No member is taken for the gateway, whatever it is called."""
        names = self.begin()
        names.leased(lease("gateway", 66))
        names.leased(lease("vpn", 67))
        self.net.advance(GATHER)
        for name in ("gateway.morph", "vpn.morph"):
            self.assertEqual(self.ask(name), (dns.OK, ["10.73.0.1"]))
        self.assertEqual(set(self.ground.known[-1]), {"laptop", "pc.home"})  # nor on the gateway itself

    def test_read(self) -> None:
        """A lease that was released has no name any more; records that cannot be read change nothing."""
        names = self.begin()
        self.store = DamagedStore()
        self.successResultOf(self.begin().read())
        self.assertEqual(self.ask("laptop.morph"), (dns.OK, ["10.73.0.2"]))
        self.successResultOf(names.read())
        self.assertEqual(self.ask("laptop.morph"), (dns.ENAME, []))

    def test_advice(self) -> None:
        """Clients that understand are told what changes, once; those of before and those that have gone are not."""
        names = self.begin()
        all_names = Advice(OWN, True, ("corp.example",))
        self.assertEqual(names.advice, all_names)
        desk, old, gone = self.come(names, "desk"), self.come(names, "old", understands=False), self.come(names, "gone")
        names.left(cast(Caller, gone))
        names.look()
        self.ground.servers = ["10.73.0.1"]  # that is us
        names.look()
        names.look()
        self.assertEqual(desk.said, [Advice((), True, ("corp.example",))])
        names.reconfigure(replace(CONFIG, dns=("1.1.1.1",), relays=("relay.example",), names=NamesConfig()))
        self.assertEqual(desk.said[1:], [Advice(OWN, True, (), ("relay.example",))])
        self.assertEqual((old.said, gone.said), ([], []))
        self.ask("example.org")
        self.assertEqual(self.net.asked[-1][0], "1.1.1.1")
        self.ask("wiki.corp.example")
        self.assertEqual(self.net.asked[-1][0], "1.1.1.1")

    def test_not_served(self) -> None:
        """Where nobody answers, clients are told the servers themselves."""
        names = self.begin(replace(CONFIG, dns=("1.1.1.1",), names=NamesConfig(serve=False)))
        self.assertEqual((names.advice, self.net.udp), (Advice(("1.1.1.1",)), []))
        names = self.begin(replace(CONFIG, dns=OWN[:1]))  # a dnsmasq, it may be
        self.assertEqual((names.advice, self.net.udp), (Advice(OWN[:1]), []))

    def test_taken(self) -> None:
        """Another program has the port: that is said, and clients do as they did before."""
        self.net.taken.add("fd73::1")
        names = self.begin(replace(CONFIG, dns=("1.1.1.1",)))
        self.assertEqual(names.advice, Advice(("1.1.1.1",)))
        self.assertIn("cannot answer questions for names at fd73::1 port 53", names.warnings()[0])
        self.assertFalse(self.net.udp[0].open)

    def test_free_again(self) -> None:
        """When the other program is gone the port is taken, and clients that are there are told."""
        self.net.taken.add("fd73::1")
        names = self.begin()
        desk = self.come(names, "desk")
        self.successResultOf(names.read())
        self.net.taken.clear()
        self.assertEqual((desk.said, len(names.warnings())), ([], 1))
        self.successResultOf(names.read())
        self.assertEqual((desk.said, names.warnings()), ([Advice(OWN, True, ("corp.example",))], ()))
        self.assertEqual([each.interface for each in self.net.open_ports()], list(OWN))

    def test_reconfigured(self) -> None:
        """A reload has it answer no more, and answer again; it gives the port to who shall answer at its address."""
        names = self.begin()
        desk = self.come(names, "desk")
        self.ask("example.org")
        names.reconfigure(replace(CONFIG, dns=("1.1.1.1",), names=NamesConfig(serve=False)))
        self.assertEqual((desk.said, self.net.open_ports(), names.listening()), ([Advice(("1.1.1.1",))], [], ()))
        names.reconfigure(CONFIG)
        self.assertEqual([each.interface for each in self.net.open_ports()], list(OWN))
        names.reconfigure(replace(CONFIG, dns=OWN[:1]))
        self.assertEqual((desk.said[-1], self.net.open_ports()), (Advice(OWN[:1]), []))

    def test_not_to_tell(self) -> None:
        """An address that means this machine, or is of a link, is asked here, and told to nobody."""
        config = replace(CONFIG, dns=("127.0.0.1", "::1", "fe80::1%eth0", "192.168.1.1"))
        self.begin(config)
        self.ask("example.org")
        self.assertEqual(self.net.asked[-1][0], "127.0.0.1")
        self.net.taken.add("10.73.0.1")
        self.assertEqual(self.begin(config).advice, Advice(("192.168.1.1",)))

    def test_unreadable(self) -> None:
        """Where it is not to be read whom this machine asks, those of before are asked."""
        names = self.begin()
        with patch.object(self.ground, "upstream_dns", side_effect=HostError("cannot read /etc/resolv.conf")):
            names.look()
            self.begin()
        self.ask("example.org")
        self.assertEqual(self.net.asked[-1][0], "9.9.9.9")

    def test_crowd(self) -> None:
        """However many come, names are looked through once in a while; not when nothing has changed."""
        names, looked = self.begin(), list[int]()
        with patch.object(Zone, "are", side_effect=lambda known: looked.append(len(known))):
            for number in range(4, 54):
                names.leased(lease(f"c{number}", number))
                names.look()
            self.net.advance(GATHER)
            names.leased(lease("c53", 53))
            names.look()
            self.net.advance(GATHER)
        self.assertEqual(looked, [54])
        names.leased(lease("last", 54))
        self.successResultOf(names.close())
        self.assertEqual(self.net.getDelayedCalls(), [])

    def test_one_family(self) -> None:
        """A network of IPv6 alone has names too."""
        names = self.begin(replace(CONFIG, pool4=""), OWN[1:])
        names.leased(Lease("six", "", "fd73::6", b"6" * 16))
        self.net.advance(GATHER)
        self.assertEqual(self.ask("six.morph", dns.AAAA, "fd73::2"), (dns.OK, ["fd73::6"]))
        self.assertIsNone(self.ask("six.morph", dns.AAAA, "10.73.0.2"))

    def test_hosts(self) -> None:
        """The gateway itself knows its clients, and not if it is not to; it is not asked again what it refuses."""
        names = self.begin()
        self.assertEqual(set(self.ground.known[-1]), {"laptop", "pc.home"})
        for _ in range(3):
            names.look()
        self.assertEqual(len(self.ground.known), 1)
        self.ground.refuses = True
        names.leased(lease("desk", 4))
        self.net.advance(GATHER)
        names.look()
        self.assertEqual((len(self.ground.known), len(self.told)), (2, 1))
        names.reconfigure(replace(CONFIG, names=NamesConfig(hosts=False)))
        self.assertEqual(self.ground.known[-1], {})

    def test_close(self) -> None:
        """Its ports are free then."""
        names = self.begin()
        self.successResultOf(names.close())
        self.assertFalse(any(each.open for each in self.net.udp) or any(each.open for each in self.net.tcp))

    def test_nobody(self) -> None:
        """A server without names says nothing of them."""
        nobody = NoNames()
        self.assertEqual(
            (nobody.advice, nobody.listening(), nobody.warnings(), nobody.counters()), (Advice(), (), (), {})
        )
