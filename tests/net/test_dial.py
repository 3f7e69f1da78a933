"""Reaching a server by its name."""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError, DNSLookupError, NoRouteError
from twisted.internet.interfaces import IHostnameResolver, IProtocol, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.dial import PATIENCE, STAGGER, Destination, Dial, Net, phrase_of
from morphnet.net.lookup import MachineNames
from morphnet.net.ondevice import Source
from morphnet.net.proof import NotProven
from tests.fakes_control import FakeNames, FakeNet, FakeResolver

V4, V6, MOVED = "192.0.2.1", "2001:db8::1", "192.0.2.99"
PORTAL = "10.0.0.1"
CAFE, HOME = "198.51.100.7", "198.51.100.8"  # addresses of ours


class DialTests(SynchronousTestCase):
    """A name with an IPv6 and an IPv4 address."""

    def setUp(self) -> None:
        self.net = FakeNet()
        self.factory = cast(IProtocolFactory, Factory.forProtocol(Protocol))
        self.net.resolver.hosts["gateway.example"] = [V6, V4]
        self.dial = self.make()

    def make(self, host: str = "gateway.example", *sources: str) -> Dial:
        """A dial to `host`."""
        found = [Source(f"wan{turn}", source) for turn, source in enumerate(sources)]
        return Dial(cast(Net, self.net), Destination(host, 8443, lambda: found, on_device=FakeNet.on_device))

    def serve(self, *hosts: str) -> None:
        """Somebody listens there, and only there."""
        self.net.servers = dict.fromkeys(hosts, self.factory)

    def call(self) -> Deferred[IProtocol]:
        """One call, everything that is under way arrived."""
        calling = self.dial.connect(self.factory)
        self.net.settle()
        return calling

    def hosts_called(self) -> list[str]:
        """Since the last time, in order."""
        hosts = [host for host, _ in self.net.called]
        self.net.called.clear()
        return hosts

    def test_first_address(self) -> None:
        """The resolver's first address is tried first, the others left alone when it answers."""
        self.serve(V4, V6)
        self.successResultOf(self.call())
        self.assertEqual(self.hosts_called(), [V6])
        self.assertEqual(self.net.getDelayedCalls(), [])

    def test_silent_address(self) -> None:
        """An address that does not answer costs a quarter of a second, and is let go when another answers."""
        self.serve(V4)
        calling = self.call()
        self.assertNoResult(calling)
        self.net.pass_by(0.26, 0.26)
        self.successResultOf(calling)
        self.assertEqual(self.hosts_called(), [V6, V4])
        self.assertEqual((self.net.open_calls, self.net.getDelayedCalls()), ([], []))

    def test_refusing_address(self) -> None:
        """An address that refuses costs nothing; when all do, that is the failure."""
        self.serve(V4)
        self.net.refusing = {V6}
        self.successResultOf(self.call())
        self.net.refusing = {V6, V4}
        self.failureResultOf(self.call(), ConnectionRefusedError)
        self.assertEqual(self.net.getDelayedCalls(), [])

    def test_looked_up_each_time(self) -> None:
        """A server that moved is found by the next call (figure A10)."""
        self.serve(V6)
        self.successResultOf(self.call())
        self.net.resolver.hosts["gateway.example"] = [MOVED]
        self.serve(MOVED)
        self.hosts_called()
        self.successResultOf(self.call())
        self.assertEqual(self.hosts_called(), [MOVED])

    def test_resolver_silent(self) -> None:
        """While the resolver is silent the address that worked last is tried; its answer still counts when it comes."""
        self.serve(V6)
        self.successResultOf(self.call())
        self.hosts_called()
        self.net.resolver.slow = True
        calling = self.call()
        self.net.pass_by(0.26, 0.26)
        self.successResultOf(calling)
        self.assertEqual(self.hosts_called(), [V6])
        self.net.resolver.hosts["gateway.example"] = [MOVED]
        self.serve(MOVED)
        calling = self.call()
        self.net.pass_by(0.26, 0.26)
        self.assertNoResult(calling)
        self.net.resolver.lookups[-1]()
        self.net.pass_by(0.26, 0.26)
        self.successResultOf(calling)

    def test_resolver_out_of_order(self) -> None:
        """Without an answer the address that worked last is all there is; without one the name is the trouble."""
        self.net.resolver.hosts.clear()
        self.failureResultOf(self.call(), DNSLookupError)
        self.net.resolver.hosts["gateway.example"] = [V4]
        self.serve(V4)
        self.successResultOf(self.call())
        self.net.resolver.hosts.clear()
        self.successResultOf(self.call())

    def test_all_that_was_known(self) -> None:
        """Without an answer every address of the last one is tried, the one that worked in front."""
        self.serve(V4)
        calling = self.call()
        self.net.pass_by(0.26, 0.26)
        self.successResultOf(calling)
        self.hosts_called()
        self.net.resolver.hosts.clear()
        self.serve(V6)
        calling = self.call()
        self.net.pass_by(0.26, 0.26)
        self.successResultOf(calling)
        self.assertEqual(self.hosts_called(), [V4, V6])

    def test_own_resolver(self) -> None:
        """A destination may bring its own resolver."""
        own = FakeResolver()
        own.hosts["gateway.example"] = [MOVED]
        self.dial = Dial(
            cast(Net, self.net), Destination("gateway.example", 8443, names=MachineNames(cast(IHostnameResolver, own)))
        )
        self.serve(MOVED)
        self.successResultOf(self.call())
        self.assertEqual((self.hosts_called(), self.net.resolver.asked), ([MOVED], []))

    def test_lookups_bounded(self) -> None:
        """A resolver that never answers is not asked for ever."""
        self.net.resolver.slow = True
        for _ in range(10):
            calling = self.call()
            calling.cancel()
            self.failureResultOf(calling, CancelledError)
        self.assertEqual(len(self.net.resolver.asked), 3)
        calling = self.call()
        self.serve(V6)
        self.net.resolver.lookups[0]()
        self.net.settle()
        self.successResultOf(calling)

    def test_cancel(self) -> None:
        """A call that is given up leaves nothing behind."""
        calling = self.call()
        calling.cancel()
        self.failureResultOf(calling, CancelledError)
        self.assertEqual((self.net.open_calls, self.net.getDelayedCalls()), ([], []))

    def test_bind(self) -> None:
        """The device and address to call from are used, and settle the family."""
        self.serve(V4, V6)
        for bind, host in (("198.51.100.7", V4), ("2001:db8::7", V6)):
            self.dial = self.make("gateway.example", bind)
            self.successResultOf(self.call())
            self.assertEqual(self.net.called[-1], (host, (bind, 0)))
        self.assertEqual(self.net.devices, ["wan0", "wan0"])

    def test_dead_uplink(self) -> None:
        """A way out that swallows everything costs a quarter of a second (figure A5)."""
        self.serve(V4)
        self.net.dead = {"198.51.100.7"}
        self.dial = self.make(V4, "198.51.100.7", "2001:db8::7", "198.51.100.8")
        calling = self.call()
        self.assertNoResult(calling)
        self.net.pass_by(0.26, 0.26)
        self.successResultOf(calling)
        self.assertEqual(self.net.called, [(V4, ("198.51.100.7", 0)), (V4, ("198.51.100.8", 0))])
        self.assertEqual((self.net.open_calls, self.net.getDelayedCalls()), ([], []))

    def test_same_address_twice(self) -> None:
        """Two uplinks with one address are two ways, told apart by their devices."""
        self.serve(V4)
        self.net.dead = {"192.168.8.100"}
        self.dial = self.make(V4, "192.168.8.100", "192.168.8.100")
        self.call()
        self.net.pass_by(0.26, 0.26)
        self.assertEqual(self.net.devices, ["wan0", "wan1"])

    def test_other_family(self) -> None:
        """A server that none of our addresses can reach is not called from an address that we did not name."""
        self.serve(V4)
        self.dial = self.make(V4, "2001:db8::7")
        self.failureResultOf(self.call(), NoRouteError)
        self.assertEqual(self.net.called, [])

    def test_numeric(self) -> None:
        """A numeric address asks no resolver."""
        for host in (V4, V6):
            self.serve(host)
            self.dial = self.make(host)
            self.successResultOf(self.call())
        self.assertEqual(self.net.resolver.asked, [])

    def test_many_addresses(self) -> None:
        """A name with a thousand addresses does not make a thousand calls."""
        self.net.resolver.hosts["gateway.example"] = [f"192.0.2.{n % 256}" for n in range(1000)]
        self.call()
        self.net.pass_by(60, 0.25)
        self.assertEqual(len(self.hosts_called()), 8)

    def test_phrases(self) -> None:
        """What people read is short."""
        self.assertEqual(phrase_of(Failure(ConnectionRefusedError())), "connection refused")
        self.assertEqual(phrase_of(Failure(DNSLookupError())), "name has no address")


class ProvingTests(SynchronousTestCase):
    """Two uplinks, and who answers has to prove who it is."""

    def setUp(self) -> None:
        self.net, self.names = FakeNet(), FakeNames()
        self.told: list[tuple[str, bool]] = []
        self.proofs: dict[str, list[Deferred[IProtocol]]] = {}  # by address of the server, each that was asked for
        self.let_go: list[str] = []  # addresses that were hung up on before they had proved anything
        self.liars: set[str] = set()  # addresses whose proofs fail at once
        self.honest: set[str] = set()  # and those that succeed at once; the others take time
        self.factory = cast(IProtocolFactory, Factory.forProtocol(Protocol))
        self.net.servers = dict.fromkeys([V4, PORTAL, MOVED], self.factory)
        sources = [Source("wlan0", CAFE), Source("eth0", HOME)]
        to = Destination(
            "gateway.example",
            8443,
            lambda: sources,
            self.names,
            FakeNet.on_device,
            lambda *told: self.told.append(told),
        )
        self.dial = Dial(cast(Net, self.net), to)

    def prove(self, connected: IProtocol) -> Deferred[IProtocol]:
        """Proof, or the lack of it, for a connection."""
        host = connected.transport.getPeer().host  # type: ignore[attr-defined]
        proof = Deferred[IProtocol](lambda _: self.let_go.append(host))
        self.proofs.setdefault(host, []).append(proof)
        if host in self.honest:
            proof.callback(connected)
        elif host in self.liars:
            proof.errback(NotProven("certificate of a foreign CA", True))
        return proof

    def call(self) -> Deferred[IProtocol]:
        """One call, nobody has told an address yet."""
        return self.dial.connect(self.factory, self.prove)

    def tell(self, *hosts: str, device: str) -> None:
        """A resolver answers, and what follows from it has happened."""
        self.names.tell(*hosts, device=device)
        self.net.settle()

    def called(self) -> list[tuple[str, str]]:
        """Whom, and from which address of ours, in order."""
        return [(host, cast("tuple[str, int]", bind)[0]) for host, bind in self.net.called]

    def test_first_answer_lies(self) -> None:
        """The first address that is told does not win when it leads to somebody else, who is told by his uplink."""
        self.liars, self.honest = {PORTAL}, {V4}
        calling = self.call()
        self.tell(PORTAL, device="wlan0")
        self.assertNoResult(calling)
        self.tell(V4, device="eth0")
        self.net.pass_by(STAGGER)
        self.successResultOf(calling)
        self.assertEqual(self.called()[0], (PORTAL, CAFE))
        self.assertEqual(self.called()[-1], (V4, HOME))
        self.assertEqual((self.told[0], self.told[-1]), (("wlan0", False), ("eth0", True)))
        self.assertEqual((self.net.open_calls, self.net.getDelayedCalls()), ([], []))

    def test_silent_portal(self) -> None:
        """One that connects and proves nothing costs a STAGGER, and is hung up on when another has proved itself."""
        self.honest = {V4}
        calling = self.call()
        self.tell(PORTAL, device="wlan0")
        self.tell(V4, device="eth0")
        self.assertEqual(self.called(), [(PORTAL, CAFE)])
        self.net.pass_by(STAGGER)
        self.successResultOf(calling)
        self.assertEqual(self.called(), [(PORTAL, CAFE), (V4, HOME)])
        self.assertEqual(self.let_go, [PORTAL])
        self.assertEqual(self.told, [("eth0", True)])

    def test_first_proof_wins(self) -> None:
        """Of two that connect the one that proves itself first wins, whoever was called first; the other is let go."""
        calling = self.call()
        self.tell(MOVED, device="wlan0")
        self.tell(V4, device="eth0")
        self.net.pass_by(STAGGER)
        self.proofs[V4][0].callback(connected := cast(IProtocol, Protocol()))
        self.assertIs(self.successResultOf(calling), connected)
        self.assertEqual(self.let_go, [MOVED])
        self.assertEqual(self.net.getDelayedCalls(), [])

    def test_many_lies(self) -> None:
        """However many addresses one uplink tells, another's is the next to be called."""
        self.honest = {V4}
        lies = [f"10.0.0.{n}" for n in range(100)]
        calling = self.call()
        self.tell(*lies, device="wlan0")
        self.tell(V4, device="eth0")
        self.net.pass_by(STAGGER)
        self.successResultOf(calling)
        self.assertEqual(self.called(), [(lies[0], CAFE), (V4, HOME)])

    def test_every_way(self) -> None:
        """What one uplink tells is called by each: only its resolver may lie, or only the other's be out of order."""
        self.liars = {PORTAL}
        self.call()
        self.tell(PORTAL, device="wlan0")
        self.tell(V4, device="eth0")
        self.net.pass_by(2, STAGGER)
        ways = [(PORTAL, CAFE), (V4, HOME), (PORTAL, HOME), (V4, CAFE)]
        self.assertEqual(sorted(self.called()), sorted(ways))
        self.assertEqual(self.called()[0], ways[0])

    def test_slow_resolver(self) -> None:
        """
        An uplink whose resolver is slow holds a call that has failed for PATIENCE and no longer; what it tells later is
        for the next one.
        """
        self.liars, self.honest = {PORTAL}, {V4}
        calling = self.call()
        self.tell(PORTAL, device="wlan0")
        self.net.settle()
        self.assertNoResult(calling)
        self.net.pass_by(PATIENCE, PATIENCE)
        self.failureResultOf(calling, NotProven)
        self.tell(V4, device="eth0")
        self.assertNotIn((V4, HOME), self.called())
        calling = self.call()
        self.tell(PORTAL, device="wlan0")
        self.net.pass_by(PATIENCE + STAGGER, STAGGER)
        self.successResultOf(calling)
        self.assertEqual(self.called()[-1], (V4, HOME))

    def test_lookups_under_way(self) -> None:
        """While one uplink keeps as many lookups open as may be, a call goes on with what the others have told."""
        self.liars = {V4}
        for turn in range(5):
            calling = self.call()
            if turn < len(self.names.lookups):
                self.tell(V4, device="eth0")
            self.net.pass_by(PATIENCE + 2 * STAGGER, STAGGER)
            self.failureResultOf(calling, NotProven)
        self.assertEqual(len(self.names.lookups), 3)

    def test_older_lookup_ends(self) -> None:
        """A lookup that another call began does not end this one, which has its own."""
        before = self.call()
        before.cancel()
        self.failureResultOf(before, CancelledError)
        calling = self.call()
        self.names.lookups[0][1]()
        self.assertNoResult(calling)
        self.honest = {V4}
        self.tell(V4, device="eth0")
        self.successResultOf(calling)

    def test_nobody_knows(self) -> None:
        """When by no uplink anybody knows the name, the call fails at once."""
        calling = self.call()
        self.tell(device="wlan0")
        self.tell(device="eth0")
        self.names.end()
        self.failureResultOf(calling, DNSLookupError)
        self.assertEqual(self.net.getDelayedCalls(), [])

    def test_wrong_but_ours(self) -> None:
        """A server of ours that has not proved enough is no stranger."""
        calling = self.call()
        self.tell(V4, device="wlan0")
        self.proofs[V4][0].errback(NotProven("certificate expired", False))
        self.assertNoResult(calling)
        self.assertEqual(self.told, [])
