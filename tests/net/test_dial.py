"""Reaching a server by its name."""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError, DNSLookupError, NoRouteError
from twisted.internet.interfaces import IHostnameResolver, IProtocol, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.dial import Destination, Dial, Net, phrase_of
from morphnet.net.ondevice import Source
from tests.fakes_control import FakeNet, FakeResolver

V4, V6, MOVED = "192.0.2.1", "2001:db8::1", "192.0.2.99"


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
            cast(Net, self.net), Destination("gateway.example", 8443, resolver=cast(IHostnameResolver, own))
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
