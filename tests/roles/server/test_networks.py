"""Networks behind clients, and ports that lead to them, on a data plane in memory and a machine that remembers."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import ServerConfig, Tuning
from morphnet.errors import HostError
from morphnet.host.outside import Network
from morphnet.roles.server.networks import AGAIN_AFTER, AWAY, LOOK_AFTER, Around, NetworksBehind
from morphnet.roles.signalling.control_server import Caller
from morphnet.store.base import Lease
from morphnet.store.memory import MemoryStore
from morphnet.tunnel.events import Effects
from morphnet.tunnel.session import Session
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Arrival, Endpoint
from morphnet.wire.messages.control import Hello
from morphnet.wire.messages.networks import MOST_REACHED, Networks
from tests.roles.server.test_node import FakeCaller

LAN, OTHER = "192.168.7.0/24", "10.5.0.0/16"
FORWARD = ServerConfig(name="gw", forward=("443/tcp=laptop:8443", "53/udp=ghost:53"))


class FakeGround:
    """A machine with one network of its own."""

    def __init__(self) -> None:
        self.led: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
        self.families: tuple[int, ...] = (4, 6)
        self.refuses, self.silent, self.asked, self.dumps = False, False, 0, 0

    def lead_in(self, behind: Sequence[str], forwards: Sequence[str]) -> None:
        self.asked += 1
        if self.refuses:
            raise HostError("not permitted")
        self.led.append((tuple(behind), tuple(forwards)))

    def elsewhere(self) -> list[Network]:
        self.dumps += 1
        if self.silent:
            raise HostError("interrupted")
        return [Network("192.168.1.0/24", "eth1", False)]


class NetworksBehindTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.ground, self.store = Clock(), FakeGround(), MemoryStore()
        self.tunnel = Tunnel(server=True, entropy=lambda size: bytes(range(size)))
        self.told: list[tuple[str, str]] = []
        self.networks = self.make(ServerConfig(name="gw"))

    def make(self, config: ServerConfig) -> NetworksBehind:
        tell = lambda kind, session, text: self.told.append((kind, session))  # noqa: E731
        around = Around(self.tunnel, self.store, self.ground, self.clock.seconds, tell, self.clock.callLater)
        return NetworksBehind(config, around)

    @property
    def now(self) -> float:
        return self.clock.seconds()

    def come(self, name: str, *advertise: str, understands: bool = True, host: str = "") -> FakeCaller:
        """A client is let in, and welcomed."""
        number = len(self.tunnel.sessions) + 2
        lease = Lease(name, f"10.73.0.{number}", "", bytes([number]) * 16)
        inner = [ipaddress.ip_address(lease.inner4).packed]
        self.tunnel.add_session(name, lease.session, Tuning(), inner).heard_at = self.now
        caller, hello = FakeCaller(name), Hello(name=name, advertise=advertise, networks=understands)
        self.networks.came(name, hello, lease, host)
        self.networks.welcomed(cast(Caller, caller), hello)
        self.clock.advance(LOOK_AFTER)
        return caller

    def approve(self, *pairs: tuple[str, str]) -> dict[tuple[str, str], str]:
        """These and no others are, from now on: how it stands then."""
        self.store.approvals = set(pairs)
        told = self.successResultOf(self.networks.read())
        return {(each.client, each.network): each.state for each in told.networks}

    def whose(self, address: str) -> str:
        session = self.tunnel.behind.owner(ipaddress.ip_address(address).packed)
        return session.peer if session is not None else ""

    def test_approved(self) -> None:
        """It is told what to do; then packets go there, it may send from there, and the others are told."""
        laptop, desk = self.come("laptop", LAN), self.come("desk")
        old = self.come("old", understands=False)
        (first,) = cast(list[Networks], laptop.said)
        self.assertIn(f"`morphnet routes approve laptop {LAN}`", first.refused[0])
        self.assertEqual((self.whose("192.168.7.5"), desk.said), ("", [Networks()]))
        self.assertEqual(self.approve(("laptop", LAN)), {("laptop", LAN): "used"})
        self.assertEqual(self.whose("192.168.7.5"), "laptop")
        sources = {name: session.inbound.networks for name, session in self.tunnel.sessions.items()}
        printer = ipaddress.ip_address("192.168.7.5").packed
        self.assertEqual([sources[name].owner(printer) for name in ("laptop", "desk")], [True, None])
        self.assertEqual((laptop.said[-1], desk.said[-1]), (Networks(carried=(LAN,)), Networks(reach=(LAN,))))
        self.assertEqual((old.said, self.ground.led), ([], [((LAN,), ())]))
        self.approve()
        self.assertEqual((self.whose("192.168.7.5"), desk.said[-1]), ("", Networks()))
        self.assertIsNone(sources["laptop"].owner(printer))

    def test_quiet(self) -> None:
        """What has not changed is not said again, and the machine is left alone."""
        laptop = self.come("laptop", LAN)
        for _ in range(3):
            self.approve(("laptop", LAN))
        self.assertEqual((len(laptop.said), len(self.ground.led)), (2, 1))
        self.assertEqual(self.told, [("network-asked", "laptop"), ("network-used", "laptop")])

    def test_refused(self) -> None:
        """What is in the pool, or reached by the gateway itself, is refused, and both operators read why."""
        laptop = self.come("laptop", "192.168.0.0/16", "10.73.0.0/25")
        states = self.approve(("laptop", "192.168.0.0/16"), ("laptop", "10.73.0.0/25"))
        self.assertEqual(set(states.values()), {"refused"})
        said = cast(Networks, laptop.said[-1]).refused
        self.assertIn("refused by the gateway: it overlaps 192.168.1.0/24, which the gateway reaches by eth1", said[1])
        self.assertIn("10.73.0.0/25 of laptop overlaps 10.73.0.0/24, the inner network", self.networks.warnings())
        self.assertEqual(self.ground.led, [])

    def test_callers(self) -> None:
        """Where a client comes from is behind nobody: what is sent to it would be led into its own tunnel."""
        self.come("laptop", "198.51.100.0/24")
        path = self.tunnel.sessions["laptop"].open_path(0, Endpoint("198.51.100.7", 4711), "", 0.0, Effects())
        self.assertEqual(self.approve(("laptop", "198.51.100.0/24")), {("laptop", "198.51.100.0/24"): "refused"})
        (said,) = self.networks.warnings()
        self.assertIn("overlaps 198.51.100.7, from which laptop comes", said)
        self.assertEqual(path.remote.host, "198.51.100.7")

    def test_unproven(self) -> None:
        """Where a path seems to come from, or came from once, keeps nobody's network from being used."""
        self.come("mallory")
        session = self.tunnel.sessions["mallory"]
        forged = Arrival(0, Endpoint("192.168.7.9", 5), memoryview(b""), 0)
        path = session.table.accept(3, forged, self.now)
        assert path is not None
        self.come("laptop", LAN)
        self.assertEqual(self.approve(("laptop", LAN)), {("laptop", LAN): "used"})
        path.validation.validated = True
        self.assertEqual(self.approve(("laptop", LAN)), {("laptop", LAN): "refused"})
        session.close_path(3, self.now, Effects())
        self.assertEqual(self.approve(("laptop", LAN)), {("laptop", LAN): "used"})

    def test_control_link(self) -> None:
        """So is where its control link comes from: no path would ever come, were that led into the tunnel first."""
        self.store.approvals = {("box", "2001:db8:7::/48"), ("laptop", LAN)}
        self.approve(*self.store.approvals)
        self.come("box", "2001:db8:7::/48", host="2001:db8:7::10")
        self.come("laptop", LAN, host="strange")
        self.assertEqual(self.ground.led, [((LAN,), ())])
        self.assertIn("overlaps 2001:db8:7::10, from which box comes", self.networks.warnings()[0])
        self.networks.look()
        self.come("box", "2001:db8:7::/48", host="198.51.100.7")  # from elsewhere now
        self.assertEqual(self.ground.led[-1], (("2001:db8:7::/48", LAN), ()))

    def test_takes_over(self) -> None:
        """The second stands by, and has it when the first was not heard of for a while, or said goodbye."""
        self.store.approvals = {("laptop", LAN), ("desk", LAN)}
        self.come("laptop", LAN)
        desk = self.come("desk", LAN)
        self.approve(("laptop", LAN), ("desk", LAN))
        self.assertEqual(self.whose("192.168.7.5"), "laptop")
        self.assertIn("stands by while laptop has", cast(Networks, desk.said[-1]).refused[0])
        self.clock.advance(AWAY + 1)
        self.tunnel.sessions["desk"].heard_at = self.now
        self.networks.look()
        self.assertEqual(self.whose("192.168.7.5"), "desk")
        self.tunnel.sessions["laptop"].heard_at = self.now
        self.networks.look()
        self.assertEqual(self.whose("192.168.7.5"), "desk")  # who has it keeps it
        self.networks.said_goodbye("desk")
        self.clock.advance(LOOK_AFTER)
        self.assertEqual(self.whose("192.168.7.5"), "laptop")

    def test_session_gone(self) -> None:
        """With its session goes what is behind it; a goodbye alone changes nothing while nobody waits."""
        self.come("laptop", LAN)
        self.approve(("laptop", LAN))
        self.networks.said_goodbye("laptop")
        self.clock.advance(LOOK_AFTER)
        self.assertEqual(self.whose("192.168.7.5"), "laptop")
        self.tunnel.drop_session("laptop")
        self.networks.look()
        self.assertEqual(self.ground.led[-1], ((), ()))

    def test_offers_anew(self) -> None:
        """A client that offers something else is reached there at once, if that is approved."""
        self.come("laptop", LAN)
        self.approve(("laptop", LAN), ("laptop", OTHER))
        self.networks.offers("laptop", [OTHER])
        self.assertEqual((self.whose("192.168.7.5"), self.whose("10.5.6.7")), ("", "laptop"))

    def test_many_come(self) -> None:
        """Many that come and go together are looked at together, and the kernel is asked once."""
        looks, advance = list[float](), self.clock.advance
        standings = self.networks._advertised.standings
        self.networks._advertised.standings = lambda *around: looks.append(self.now) or standings(*around)  # type: ignore[method-assign, func-returns-value]
        self.patch(self.clock, "advance", lambda seconds: None)  # all in one moment
        callers = list[FakeCaller]()
        for number in range(50):
            callers.append(self.come(f"c{number}", f"10.5.{number}.0/24"))
            self.networks.said_goodbye(f"c{number}")
        self.assertEqual((len(looks), self.ground.dumps), (1, 1))
        advance(LOOK_AFTER)
        self.assertEqual({len(each.said) for each in callers}, {1})  # nobody was told first that it carries nothing
        self.assertEqual((len(looks), self.ground.dumps), (2, 1))
        self.assertEqual(len(self.networks.statuses()), 50)
        advance(10.0)
        self.assertEqual(len(looks), 2)

    def test_many_clients(self) -> None:
        """While nobody has a network behind it, a look is no look at each client; and nobody is told anything."""

        class Watched:
            """A session at which somebody looks."""

            looks = 0

            def __getattr__(self, name: str) -> object:
                Watched.looks += 1
                return getattr(before, name)

        caller, before = self.come("laptop"), self.tunnel.sessions["laptop"]
        informs = list[str]()
        self.patch(self.networks, "_inform", informs.append)
        self.tunnel.sessions["laptop"] = cast(Session, Watched())
        for _ in range(3):
            self.networks.look()
        self.assertLessEqual(Watched.looks, 3)  # once each: whether it may send from anywhere
        self.assertEqual((caller.said, informs), ([Networks()], []))

    def test_change_of_mind(self) -> None:
        """One that offers something else all the time is heeded once, and then with every regular look."""
        laptop = self.come("laptop")
        for number in range(100):
            self.networks.offers("laptop", [f"10.5.{number}.0/24"])
        self.assertEqual(len(laptop.said), 2)
        self.approve()
        self.assertEqual(len(laptop.said), 3)
        self.assertIn("10.5.99.0/24", cast(Networks, laptop.said[-1]).refused[0])

    def test_ports(self) -> None:
        """A port leads to the addresses that a client has, it is told, and one to nobody is a warning."""
        self.networks = self.make(FORWARD)
        self.networks.begin([], [Lease("laptop", "10.73.0.9", "fd73::9", bytes(16))])
        self.assertEqual(self.ground.led[-1], ((), ("tcp 443 10.73.0.9 8443", "tcp 443 fd73::9 8443")))
        self.assertEqual(self.networks.warnings(), ("port 53/udp leads to a client that nobody knows here: ghost",))
        self.assertTrue(cast(Networks, self.come("ghost").said[-1]).forwarded)
        self.assertEqual((self.ground.led[-1][1][-1], self.networks.warnings()), ("udp 53 10.73.0.2 53", ()))
        self.networks.reconfigure(ServerConfig(name="gw"))
        self.assertEqual(self.ground.led[-1], ((), ()))

    def test_silent_kernel(self) -> None:
        """While the kernel does not tell what the gateway reaches, what it told last holds; before that, nothing is."""
        self.store.approvals = {("laptop", LAN), ("desk", "192.168.1.0/24")}
        self.ground.silent = True
        self.come("laptop", LAN)
        self.assertEqual(set(self.approve(*self.store.approvals).values()), {"refused", "idle"})
        self.assertIn("the kernel has not told yet", self.networks.warnings()[0])
        self.ground.silent = False
        self.come("desk", "192.168.1.0/24")
        expected = {("laptop", LAN): "used", ("desk", "192.168.1.0/24"): "refused"}
        self.assertEqual(self.approve(*self.store.approvals), expected)
        self.ground.silent = True
        self.assertEqual(self.approve(*self.store.approvals), expected)

    def test_other_family(self) -> None:
        """A gateway without IPv6 inside does not say that it reaches any."""
        self.ground.families = (4,)
        self.come("laptop", "fd07::/64", LAN)
        states = self.approve(("laptop", "fd07::/64"), ("laptop", LAN))
        self.assertEqual(states, {("laptop", "fd07::/64"): "refused", ("laptop", LAN): "used"})

    def test_more_than_can_be_told(self) -> None:
        """What a client is not told of, for there are too many, is a warning."""
        networks = [f"10.{number // 200}.{number % 200}.0/24" for number in range(MOST_REACHED + 2)]
        offers = [(f"c{number // 16}", network) for number, network in enumerate(networks)]
        for name in dict.fromkeys(name for name, _ in offers):
            self.come(name, *(network for of, network in offers if of == name))
        self.approve(*offers)
        self.assertEqual(self.networks.warnings(), ())  # each has some itself
        desk = self.come("desk")
        (said,) = self.networks.warnings()
        self.assertIn("258 networks are behind clients, and a client is told of 256 at most", said)
        self.assertEqual(len(cast(Networks, desk.said[-1]).reach), MOST_REACHED)

    def test_released(self) -> None:
        """A port leads nowhere when its client's address was released, whoever gets that address then."""
        self.networks = self.make(FORWARD)
        for name in ("laptop", "ghost"):
            self.store.lease(name, "10.73.0.0/24", "", bytes(16))
        leases: list[Lease] = self.successResultOf(self.store.leases())
        self.networks.begin([], leases)
        self.assertEqual(len(self.ground.led[-1][1]), 2)
        self.come("stranger")  # with laptop's address
        self.assertEqual(self.ground.led[-1][1], ("udp 53 10.73.0.3 53",))
        self.assertIn("443/tcp leads to a client that nobody knows here: laptop", self.networks.warnings()[0])
        self.successResultOf(self.store.release("ghost"))
        self.successResultOf(self.store.release("laptop"))
        self.approve()
        self.assertEqual(self.ground.led[-1], ((), ()))

    def test_refusing_machine(self) -> None:
        """A machine that does not let us is told once, warned of, and asked again after a while."""
        self.ground.refuses = True
        self.come("laptop", LAN)
        self.approve(("laptop", LAN))
        self.networks.look()
        self.assertEqual([kind for kind, _ in self.told].count("host-trouble"), 1)
        self.assertIn("not permitted", self.networks.warnings()[0])
        self.assertEqual(self.ground.asked, 1)
        self.ground.refuses = False
        self.clock.advance(AGAIN_AFTER)
        self.networks.look()
        self.assertEqual((self.ground.led, self.networks.warnings()), ([((LAN,), ())], ()))
