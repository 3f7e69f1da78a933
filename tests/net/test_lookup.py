"""Looking up the server's name past the tunnel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IHostnameResolver, IUDPTransport
from twisted.internet.task import Clock
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.lookup import PATIENCE, UdpNet, UplinkNames
from morphnet.net.ondevice import Source
from tests.fakes_control import FakeResolver

NAME = "gw.example"
HOME, CAFE = "192.168.1.2", "192.168.2.2"  # addresses of ours
NEAR, FAR = "192.168.1.1", "9.9.9.9"  # DNS servers
V4, V6 = "203.0.113.1", "2001:db8::1"
PORTAL = "192.168.2.1"
BOTH = (IPv4Address, IPv6Address)


class FakePort:
    """A UDP socket: its protocol asks, somebody may answer."""

    def __init__(self, net: FakeUdp, protocol: dns.DNSDatagramProtocol, source: str) -> None:
        self.net, self.protocol, self.source = net, protocol, source
        protocol.makeConnection(cast(IUDPTransport, self))

    def write(self, data: bytes, address: tuple[str, int]) -> None:
        """Note the question; a server at that address answers in a moment if it can be reached from here."""
        message = dns.Message()
        message.fromStr(data)
        self.net.asked.append((address[0], self.source, message.queries[0].type))
        answer = self.net.answers.get((address[0], self.source))
        if answer is None:
            return
        reply = dns.Message(message.id, answer=True)
        reply.queries = message.queries
        for host in answer:
            record: dns.Record_A | dns.Record_AAAA = dns.Record_AAAA(host) if ":" in host else dns.Record_A(host)
            if message.queries[0].type == record.TYPE:
                reply.answers.append(dns.RRHeader(b"other.example", record.TYPE, payload=record))
        self.net.callLater(0, self.protocol.datagramReceived, reply.toStr(), address)

    def stopListening(self) -> None:
        """It is open no more."""
        self.net.open.remove(self)
        self.protocol.doStop()


class FakeUdp(Clock):
    """A reactor with DNS servers that can be reached from some of our addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[tuple[str, str], list[str]] = {}  # (server, source) -> hosts; others are silent
        self.asked: list[tuple[str, str, int]] = []
        self.open: list[FakePort] = []
        self.gone: set[str] = set()  # addresses that are not ours any more
        self.devices: list[str] = []  # that sockets were bound to

    def on_device(self, device: str) -> FakeUdp:
        """Itself; the device is remembered."""
        self.devices.append(device)
        return self

    def listenUDP(self, port: int, protocol: dns.DNSDatagramProtocol, interface: str = "") -> FakePort:
        """A socket at that address, unless the address is gone."""
        if interface in self.gone:
            raise CannotListenError(interface, port, OSError())
        self.open.append(FakePort(self, protocol, interface))
        return self.open[-1]


class Told:
    """What a lookup finds."""

    def __init__(self) -> None:
        self.by_device: dict[str, list[str]] = {}
        self.done: Deferred[list[str]] = Deferred()

    def found(self, hosts: list[str], device: str) -> None:
        """Keep the hosts, each in the order in which it is told."""
        self.by_device.setdefault(device, []).extend(hosts)

    def end(self) -> None:
        """Fire `done` with all hosts found."""
        self.done.callback([host for hosts in self.by_device.values() for host in hosts])


class LookupTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.net, self.machine = FakeUdp(), FakeResolver()
        self.machine.hosts[NAME] = ["198.18.0.1"]
        self.servers, self.sources = [NEAR, FAR], [HOME, CAFE]
        self.hosts = Path(self.mktemp())

    def froms(self) -> list[Source]:
        """Where to ask from: each address is on a device of its own."""
        return [Source(f"wan{turn}", source) for turn, source in enumerate(self.sources)]

    def ask(self, kinds: Sequence[type] = BOTH, name: str = NAME) -> Deferred[list[str]]:
        """One lookup, under way."""
        make = cast("Callable[..., UplinkNames]", UplinkNames)
        names = make(
            cast(UdpNet, self.net),
            lambda: self.servers,
            self.froms,
            cast(IHostnameResolver, self.machine),
            str(self.hosts),
            FakeUdp.on_device,
        )
        self.told = told = Told()
        names.look_up(name, kinds, told.found, told.end)
        self.net.advance(0)
        return told.done

    def found(self, kinds: Sequence[type] = BOTH, name: str = NAME) -> list[str]:
        """What one lookup brings once everybody has had time to answer; it leaves nothing behind."""
        asking = self.ask(kinds, name)
        for patience in PATIENCE:
            self.net.advance(patience)
        hosts = self.successResultOf(asking)
        self.assertEqual((self.net.open, self.net.getDelayedCalls()), ([], []))
        return hosts

    def test_by_uplinks(self) -> None:
        """The machine's own servers are asked from each uplink, and its resolver is left alone."""
        self.net.answers = {(NEAR, HOME): [V4, V6]}
        self.assertEqual(sorted(self.found()), sorted([V4, V6]))
        ways = [(server, source) for server in (NEAR, FAR) for source in (HOME, CAFE)]
        asked = [(*way, kind) for way in ways for kind in (dns.A, dns.AAAA)]
        self.assertEqual(self.net.asked[: len(asked)], asked)
        self.assertEqual(self.machine.asked, [])
        self.assertEqual(self.net.devices, ["wan0", "wan1", "wan0", "wan1"])

    def test_one_lies(self) -> None:
        """What is told by one uplink does not end the lookup by another, and each answer is told with its uplink."""
        self.net.answers = {(NEAR, CAFE): [PORTAL]}
        asking = self.ask([IPv4Address])
        self.assertEqual(self.told.by_device, {"wan1": [PORTAL]})
        self.net.answers[FAR, HOME] = [V4]
        for patience in PATIENCE:
            self.assertNoResult(asking)
            self.net.advance(patience)
        self.successResultOf(asking)
        self.assertEqual(self.told.by_device, {"wan1": [PORTAL], "wan0": [V4]})

    def test_told_nothing(self) -> None:
        """That nobody knows the name by an uplink is told once, when all who are asked by it have spoken."""
        self.net.answers = {(NEAR, HOME): [V4], (NEAR, CAFE): []}
        asking = self.ask([IPv4Address])
        self.assertNotIn("wan1", self.told.by_device)
        self.net.answers[FAR, CAFE] = []
        self.net.advance(PATIENCE[0])
        self.net.advance(0)
        self.assertEqual(self.told.by_device, {"wan0": [V4], "wan1": []})
        self.net.advance(PATIENCE[1])
        self.successResultOf(asking)

    def test_same_address_twice(self) -> None:
        """Of two uplinks with one address each is asked by."""
        self.sources = [HOME, HOME]
        self.net.answers = {(NEAR, HOME): [V4]}
        self.assertEqual(self.found([IPv4Address]), [V4, V4])
        self.assertEqual(self.net.devices, ["wan0", "wan1", "wan0", "wan1"])

    def test_kinds(self) -> None:
        """Only what was asked for is asked."""
        self.net.answers = {(FAR, CAFE): [V4, V6]}
        self.assertEqual(self.found([IPv4Address]), [V4])
        self.assertEqual({kind for *_, kind in self.net.asked}, {dns.A})

    def test_no_such_name_here(self) -> None:
        """One server that knows no such name does not end the search."""
        self.net.answers = {(NEAR, HOME): [], (FAR, CAFE): [V4]}
        self.assertEqual(self.found(), [V4])

    def test_asked_again(self) -> None:
        """A question or answer that got lost is asked once more."""
        asking = self.ask()
        self.net.answers = {(NEAR, HOME): [V4]}
        self.assertNoResult(asking)
        self.net.advance(PATIENCE[0])
        self.net.advance(0)
        self.assertEqual(self.told.by_device, {"wan0": [V4]})
        self.net.advance(PATIENCE[1])
        self.assertEqual(self.successResultOf(asking), [V4])
        self.assertEqual((self.net.open, self.net.getDelayedCalls()), ([], []))

    def test_machine_last(self) -> None:
        """When nobody answers, or nobody knows it, the machine's resolver has the last word."""
        asking = self.ask()
        for patience in PATIENCE:
            self.assertNoResult(asking)
            self.net.advance(patience)
        self.assertEqual(self.successResultOf(asking), ["198.18.0.1"])
        self.net.answers = {(server, source): [] for server in (NEAR, FAR) for source in (HOME, CAFE)}
        self.assertEqual(self.found(), ["198.18.0.1"])
        self.servers = []
        self.assertEqual(self.found(), ["198.18.0.1"])

    def test_hosts_file(self) -> None:
        """What the operator has written down is not asked about."""
        self.hosts.write_text(f"# {NAME}\n192.0.2.9 GW.example # ours\n{V6} {NAME}\n")
        self.assertEqual(self.found(), ["192.0.2.9", V6])
        self.assertEqual(self.found([IPv4Address]), ["192.0.2.9"])
        self.assertEqual(self.net.asked, [])

    def test_families(self) -> None:
        """A server is asked from addresses of its family; one on this machine from wherever the kernel likes."""
        self.servers, self.sources = ["127.0.0.53", "2620:fe::fe", "::1"], [HOME, "2001:db8:1::2"]
        self.net.answers = {("127.0.0.53", ""): [V4]}
        self.assertEqual(self.found([IPv4Address]), [V4])
        ways = [("127.0.0.53", ""), ("2620:fe::fe", "2001:db8:1::2"), ("::1", "::")]
        self.assertEqual([(server, source) for server, source, _ in self.net.asked][: len(ways)], ways)

    def test_address_gone(self) -> None:
        """An address that was ours a moment ago costs nothing."""
        self.net.gone, self.net.answers = {HOME}, {(NEAR, CAFE): [V4]}
        self.assertEqual(self.found(), [V4])

    def test_strange_names(self) -> None:
        """A name that no DNS can carry goes to the machine's resolver."""
        self.net.answers = {(NEAR, HOME): [V4]}
        self.assertEqual(self.found(name="x" * 70 + ".example"), [])
        self.assertEqual((len(self.machine.asked), self.net.asked), (1, []))
