"""Which ports are asked for at which routers, and when they are given back: with the lab's router at the other end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.host.uplinks import Uplink
from morphnet.lab.portmapper import Leases, PortMapper
from morphnet.net.pcp import RouterDoor
from morphnet.roles.peers.portmaps import GIVING_BACK, PortMaps, is_elsewhere
from morphnet.wire.candidates import MAPPED, Candidate

HOME, OUTSIDE = "192.168.1.1", "198.51.100.2"
WIFI = Uplink("wifi", 2, True, ("192.168.1.2",), ("2001:db8::2",), HOME, None, 1500, 100)
LTE = Uplink("lte", 3, True, ("100.64.0.2",), (), "", None, 1500, 200)
SOCKET = ("wifi", "192.168.1.2", 5000)


class Routers:
    """Every router that is there, by its address inside."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.there = clock, dict[str, PortMapper]()
        self.heard = 0  # datagrams
        self.refused = False  # whether the machine gives no sockets
        self.open = 0  # sockets

    def add(self, inside: str, outside: str) -> PortMapper:
        self.there[inside] = PortMapper(outside, Leases(), ("pcp", "pmp"), self.clock.seconds())
        return self.there[inside]

    def door(self) -> type[RouterDoor]:
        """A RouterDoor that leads to them."""
        routers = self

        class Door(RouterDoor):
            def __init__(self, reactor: Any, received: Callable[[bytes], None], **way: str) -> None:
                self.way, self.received, self.up = way, received, False

            def open(self) -> None:
                if routers.refused:
                    raise HostError("no such device")
                self.up, routers.open = True, routers.open + 1

            def ask(self, request: bytes) -> None:
                router = routers.there.get(self.way["gateway"])
                routers.heard += self.up
                said = router.answer(request, self.way["host"], routers.clock.seconds()) if router and self.up else None
                if said is not None:
                    routers.clock.callLater(0.01, self.received, said)

            def done(self) -> None:
                routers.open -= self.up
                self.up = False

        return Door


class MappedDoorsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.routers = Routers(self.clock)
        self.home = self.routers.add(HOME, OUTSIDE)
        self.there = [SOCKET, ("wifi", "2001:db8::2", 5000), ("lte", "100.64.0.2", 5001)]
        self.told: list[str] = []
        self.doors = self.make()

    def sockets(self) -> list[tuple[str, str, int]]:
        return self.there

    def make(self, secret: bytes = b"ours") -> PortMaps:
        doors = PortMaps(self.clock, self, secret, self.told.append)
        doors.door = self.routers.door()
        return doors

    def run_for(self, seconds: float) -> None:
        for _ in range(round(seconds * 20)):
            self.clock.advance(0.05)

    def use(self, *uplinks: Uplink) -> None:
        self.doors.uplinks_are(uplinks)
        self.run_for(0.1)

    def given(self, router: PortMapper) -> list[tuple[str, int]]:
        return [(each.host, each.port) for each in router.leases.mappings()]

    def test_mapped(self) -> None:
        """One for the IPv4 socket behind a gateway, none for IPv6 or without a gateway; told once."""
        self.use(WIFI, LTE)
        self.assertEqual(self.doors.candidates(), [Candidate(MAPPED, OUTSIDE, 5000)])
        self.assertEqual((self.routers.open, self.given(self.home)), (1, [("192.168.1.2", 5000)]))
        self.assertEqual(self.told, [f"the router at {HOME} leads its port 5000 to us"])
        places = ("192.168.1.2", 5000), ("192.168.1.2", 5001), ("100.64.0.2", 5001)
        self.assertEqual([self.doors.outside_of(*place) for place in places], [5000, None, None])

    def test_gone(self) -> None:
        """With the socket its place is gone at once, without a word of its own, and the port is given back."""
        self.use(WIFI)
        self.there = []
        self.assertEqual(self.doors.candidates(), [])
        self.use()
        self.assertEqual((self.given(self.home), self.routers.open, len(self.told)), ([], 0, 1))

    def test_other_gateway(self) -> None:
        """Another router on the same uplink is asked, and the one before gets its port back."""
        self.use(WIFI)
        other = self.routers.add("192.168.1.254", "198.51.100.77")
        self.use(replace(WIFI, gateway4="192.168.1.254"))
        self.assertEqual(self.doors.candidates(), [Candidate(MAPPED, "198.51.100.77", 5000)])
        self.assertEqual((self.given(self.home), self.given(other)), ([], [("192.168.1.2", 5000)]))

    def test_asked_again(self) -> None:
        """When its uplink changed, or nothing did that could be seen; not when another uplink comes or goes."""
        for uplinks, more in (([WIFI], 1), ([WIFI, LTE], 0), ([WIFI], 0), ([WIFI], 1), ([replace(WIFI, mtu=1400)], 1)):
            before = self.routers.heard
            self.use(*uplinks)
            self.assertEqual(self.routers.heard - before, more, uplinks)
        self.assertEqual(len(self.told), 1)

    def test_lost(self) -> None:
        """A router that is another, and silent, ends what we tell."""
        self.use(WIFI)
        del self.routers.there[HOME]
        self.use(WIFI)
        self.run_for(300)
        self.assertEqual(self.doors.candidates(), [])
        self.assertEqual(self.told[1:], [f"the router at {HOME} leads no port to us any more: no router answers"])

    def test_silent(self) -> None:
        """Where nobody answers few datagrams are lost, nothing is told, and the end waits for nobody."""
        self.routers.there.clear()
        self.use(WIFI)
        self.run_for(600)
        self.assertLess(self.routers.heard, 13)
        self.assertEqual((self.told, self.doors.candidates()), ([], []))
        self.successResultOf(self.doors.close())

    def test_close(self) -> None:
        """The end waits for the router, and no longer than it may."""
        self.use(WIFI)
        ended = self.doors.close()
        self.assertNoResult(ended)
        self.run_for(0.1)
        self.successResultOf(ended)
        self.assertEqual((self.given(self.home), self.routers.open), ([], 0))
        self.doors = self.make()
        self.use(WIFI)
        self.routers.there.clear()
        ended = self.doors.close()
        self.run_for(GIVING_BACK)
        self.successResultOf(ended)
        self.assertEqual((self.clock.getDelayedCalls(), self.routers.open), ([], 0))

    def test_close_never_longer(self) -> None:
        """Not even if giving back never ended."""
        self.use(WIFI)
        for mapped in self.doors._mapped.values():
            mapped.done = lambda: None  # type: ignore[method-assign]
        ended = self.doors.close()
        self.run_for(GIVING_BACK - 0.5)
        self.assertNoResult(ended)
        self.run_for(0.6)
        self.successResultOf(ended)

    def test_back_at_once(self) -> None:
        """A socket that is there again while its port is given back keeps the port."""
        self.use(WIFI)
        del self.routers.there[HOME]
        self.doors.uplinks_are([replace(WIFI, up=False)])
        self.run_for(0.1)
        self.routers.there[HOME] = self.home
        self.use(WIFI)
        self.run_for(5)
        self.assertEqual(self.given(self.home), [("192.168.1.2", 5000)])
        self.assertEqual((self.doors.candidates(), self.routers.open), ([Candidate(MAPPED, OUTSIDE, 5000)], 1))

    def test_after_a_crash(self) -> None:
        """What the router gave before a crash is ours again; to somebody else with our address it is refused."""
        self.use(WIFI)
        for secret, places in ((b"ours", 1), (b"another", 0)):
            self.doors = self.make(secret)
            self.use(WIFI)
            self.assertEqual(len(self.doors.candidates()), places)

    def test_no_socket(self) -> None:
        """A machine that gives no socket is asked again with the next change."""
        self.routers.refused = True
        self.use(WIFI)
        self.routers.refused = False
        self.use(WIFI, LTE)
        self.assertEqual(len(self.doors.candidates()), 1)

    def test_double_nat(self) -> None:
        """A private address outside is told, unless it is in our own network or nobody can be there."""
        for outside, kept in (
            ("203.0.113.9", True),
            ("100.64.7.7", True),  # a carrier's: neighbours there may use it
            ("192.168.0.7", True),  # of the router before ours
            ("192.168.1.254", False),
            ("127.0.0.1", False),
            ("224.0.0.1", False),
        ):
            self.assertEqual(is_elsewhere(outside, "192.168.1.2"), kept, outside)
        self.assertTrue(is_elsewhere("8.8.8.8", "8.8.8.9"))
        self.routers.add(HOME, "192.168.1.200")
        self.use(WIFI)
        self.assertEqual((len(self.told), self.doors.candidates()), (1, []))
