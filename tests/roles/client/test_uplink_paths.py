"""From where to where each uplink's path leads."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from morphnet.host.uplinks import Uplink
from morphnet.net.pump import Pump
from morphnet.net.udp import UdpDoor
from morphnet.rendezvous.ladder import SETTLE, STAGGER
from morphnet.roles.client.ladders import Ladders, Rung
from morphnet.roles.client.uplink_history import Standing
from morphnet.roles.client.uplink_paths import SEEK_AFTER, UplinkPaths, server_hosts
from morphnet.tunnel.events import Effects
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Endpoint
from morphnet.wire.shapes.masked import Masked
from tests.fakes_door import FakeUdp

FOUR, SIX, OTHER = Endpoint("203.0.113.1", 8000), Endpoint("2001:db8::1", 8000), Endpoint("192.0.2.1", 8000)
LTE = Uplink("lte", 3, True, ("10.0.0.3",), (), None, None, 1500, 200)
WAN = Uplink("wan", 2, True, ("192.168.1.2", "10.0.0.2"), ("2001:db8:1::2",), "192.168.1.1", "fe80::1", 1500, 100)


class EndsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.known: dict[tuple[str, str], str] = {}  # (device, host) -> what it is sent from

    def ends(self, uplink: Uplink, *servers: Endpoint) -> tuple[str, Endpoint] | None:
        """The two ends of its path."""

        def source(device: str, host: str) -> str:
            return self.known.get((device, host), "")

        uplink_paths = UplinkPaths(cast(Any, Clock()), cast(Any, None), lambda kind, text: None, source)
        uplink_paths._servers = servers
        return uplink_paths._ends(uplink)

    def test_source(self) -> None:
        """It is taken from the address that the route to the server is sent from, not from the first."""
        self.known = {("wan", FOUR.host): "10.0.0.2"}
        self.assertEqual(self.ends(WAN, FOUR), ("10.0.0.2", FOUR))

    def test_way(self) -> None:
        """The first of the server's addresses that there is a way to; without any, the first of a family we have."""
        self.known = {("wan", OTHER.host): "192.168.1.2"}
        self.assertEqual(self.ends(WAN, SIX, FOUR, OTHER), ("192.168.1.2", OTHER))
        self.known = {}
        self.assertEqual(self.ends(WAN, SIX, FOUR), ("2001:db8:1::2", SIX))

    def test_one_family(self) -> None:
        """An uplink of one family goes to the server's address of that family, or nowhere."""
        only4, only6 = (
            Uplink("x", 3, True, four, six, None, None, 1500, 0) for four, six in ((("10.0.0.2",), ()), ((), ("::2",)))
        )
        self.assertEqual(self.ends(only4, SIX, FOUR), ("10.0.0.2", FOUR))
        self.assertEqual(self.ends(only6, FOUR, SIX), ("::2", SIX))
        self.assertIsNone(self.ends(only6, FOUR))


class SeekTests(SynchronousTestCase):
    """A path that nothing ever came back on; sockets and sessions are left out."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.path = SimpleNamespace(state=State.PROBING, since=0.0, moved_at=float("-inf"), remote=SIX)
        pump = SimpleNamespace(now=self.clock.seconds)
        self.uplink_paths = UplinkPaths(
            cast(Any, self.clock), cast(Any, pump), lambda kind, text: None, lambda device, host: ""
        )
        self.uplink_paths._settle = self.settle  # type: ignore[method-assign]
        self.uplink_paths.session = cast(Any, SimpleNamespace(paths={0: self.path}))
        self.uplink_paths._paths[Rung("wan")] = cast(Any, SimpleNamespace(path=0))
        self.uplink_paths._servers, self.uplink_paths._uplinks = (SIX, FOUR), [WAN]

    def settle(self) -> None:
        ends = self.uplink_paths._ends(WAN)
        if ends is not None and ends[1] != self.path.remote:
            self.path.remote, self.path.moved_at = ends[1], self.clock.seconds()

    def seek(self, seconds: int) -> Endpoint:
        """Where the path leads after that time."""
        for _ in range(seconds):
            self.clock.advance(1.0)
            self.uplink_paths.seek()
        return cast(Endpoint, self.path.remote)

    def test_each_once(self) -> None:
        """It goes to each other address of the server once, and stays at the first when none answers."""
        self.assertEqual([self.seek(2), self.seek(1), self.seek(2), self.seek(1)], [SIX, FOUR, FOUR, SIX])
        self.assertEqual(self.seek(60), SIX)

    def test_answered(self) -> None:
        """Where something came back it stays, also when it falls silent later, or the same things are told again."""
        self.seek(4)
        for state in (State.ACTIVE, State.SILENT):
            self.path.state = state
            self.assertEqual(self.seek(60), FOUR)
        self.uplink_paths.serve(cast(Any, self.uplink_paths.session), [SIX, FOUR])
        self.uplink_paths.uplinks_are([WAN])
        self.assertEqual(self.path.remote, FOUR)

    def test_begun_anew(self) -> None:
        """With another uplink, or other addresses of the server, it begins anew."""
        self.seek(4)
        self.uplink_paths.uplinks_are([replace(WAN, mtu=1400)])
        self.assertEqual(self.path.remote, SIX)
        self.seek(4)
        self.uplink_paths.serve(cast(Any, self.uplink_paths.session), [SIX, FOUR, OTHER])
        self.assertEqual(self.path.remote, SIX)


class PathsTestCase(SynchronousTestCase):
    """A session with the server, and sockets that are none."""

    def setUp(self) -> None:
        self.clock, FakeUdp.made = Clock(), []
        self.pump = Pump(self.clock, Tunnel(server=False, entropy=bytes), self.clock.seconds)
        self.uplink_paths = UplinkPaths(
            cast(Any, self.clock), self.pump, lambda kind, text: None, lambda *_: "", cast(type[UdpDoor], FakeUdp)
        )
        self.serve()

    def serve(self) -> None:
        """Begin a session."""
        self.session = self.pump.tunnel.add_session("gateway", b"n" * 16, Tuning())
        self.session.install(bytes(32), bytes(32), 64, self.clock.seconds())
        self.uplink_paths.serve(self.session, [FOUR])

    def used(self) -> dict[str, int]:
        """Uplink and number of each path that is not closed."""
        return {each.uplink: each.id for each in self.session.paths.values() if each.state is not State.CLOSED}


class CutTests(PathsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.uplink_paths.uplinks_are([WAN, LTE])
        self.number = self.used()["wan"]
        self.uplink_paths.cut(self.number)

    def test_left_alone(self) -> None:
        """Its uplink is not used until it is restored, whatever it does meanwhile."""
        self.assertEqual(list(self.used()), ["lte"])
        for uplinks in ([LTE], [replace(WAN, addresses4=("10.9.9.9",)), LTE]):
            self.uplink_paths.uplinks_are(uplinks)
            self.assertEqual(list(self.used()), ["lte"])

    def test_shown(self) -> None:
        """It is shown as cut, since when and how it is restored, also while there is no path of that name."""
        self.serve()
        self.assertEqual(
            self.uplink_paths.idle(), {"wan": Standing("cut", 0.0, "by the operator, until `restore('wan')`")}
        )
        self.uplink_paths.restore("wan")
        self.assertEqual(self.uplink_paths.idle(), {})

    def test_unused(self) -> None:
        """So is one that has no address of a kind that the server has too, and one whose socket is refused."""
        only6 = replace(LTE, name="six", addresses4=(), addresses6=("2001:db8::9",))
        self.uplink_paths.uplinks_are([only6])
        self.clock.advance(1.0)
        self.patch(FakeUdp, "refused", True)
        for _ in range(2):
            self.uplink_paths.uplinks_are([only6, LTE])
            self.clock.advance(1.0)
        shown = {name: (each.state, each.since, each.why) for name, each in self.uplink_paths.idle().items()}
        reason = "it has no address of a kind that the server has too"
        self.assertEqual(shown["six"], ("unused", 0.0, reason))
        self.assertEqual(shown["lte"], ("unused", 1.0, "no more files"))

    def test_restored(self) -> None:
        """It is called as it was when it was cut: by uplink or number, with another address, in another session."""
        for by_name in (True, False):
            called = "wan" if by_name else self.number
            self.uplink_paths.uplinks_are([LTE])
            self.serve()
            self.uplink_paths.uplinks_are([replace(WAN, index=9, addresses4=("10.9.9.9",)), LTE])
            self.assertEqual(list(self.used()), ["lte"])
            self.assertTrue(self.uplink_paths.restore(called))
            self.assertEqual(sorted(self.used()), ["lte", "wan"])
            self.assertFalse(self.uplink_paths.restore(called))
            self.number = self.used()["wan"]
            self.uplink_paths.cut(self.number)

    def test_twice(self) -> None:
        """A number that two of them had in their time means the one that was cut last."""
        self.serve()
        self.uplink_paths.cut(self.used()["lte"])
        self.assertEqual(self.used(), {})
        self.uplink_paths.restore(self.number)
        self.assertEqual(list(self.used()), ["lte"])
        self.uplink_paths.restore("wan")
        self.assertEqual(sorted(self.used()), ["lte", "wan"])


class ClimbTests(PathsTestCase):
    """Where it is to be found out what gets through."""

    def setUp(self) -> None:
        super().setUp()
        self.masked = Masked(bytes(32), bytes)
        ladders = Ladders(self.clock.seconds, lambda kind, text: None)
        ladders.climb({"plain": None, "masked": self.masked})
        self.uplink_paths = UplinkPaths(
            cast(Any, self.clock), self.pump, lambda *_: None, lambda *_: "", cast(type[UdpDoor], FakeUdp), ladders
        )
        self.serve()
        self.uplink_paths.uplinks_are([WAN])

    def open_ones(self, seconds: float) -> dict[str, Path]:
        """The paths after that time, by what they wear."""
        for _ in range(round(seconds / 0.1)):
            for path in self.session.paths.values():
                path.delivery.unanswered_at = None  # what works goes on to
            self.clock.advance(0.1)
            self.uplink_paths.climb()
        paths = [each for each in self.session.paths.values() if each.state is not State.CLOSED]
        self.assertEqual({each.uplink for each in paths}, {"wan"})
        return {each.shape.name if each.shape is not None else "plain": each for each in paths}

    def answer(self, path: Path) -> None:
        """The server does, by this path."""
        self.session.table.change(path, State.ACTIVE, self.clock.seconds(), Effects())

    def test_one_after_the_other(self) -> None:
        """Each shape has a socket and a path of its own, from its first datagram on; what works is left, alone."""
        self.assertEqual(list(self.open_ones(0.0)), ["plain"])
        found = self.open_ones(STAGGER + 0.1)
        self.assertEqual(sorted(found), ["masked", "plain"])
        self.assertNotEqual(found["plain"].door, found["masked"].door)
        self.answer(found["masked"])
        self.assertEqual(list(self.open_ones(SETTLE + 0.2)), ["masked"])

    def test_moves(self) -> None:
        """A path whose uplink has another address goes on by another socket, and wears what it wore."""
        found = self.open_ones(STAGGER + 0.1)
        doors = {name: path.door for name, path in found.items()}
        self.uplink_paths.uplinks_are([replace(WAN, addresses4=("10.9.9.9",), addresses6=())])
        after = self.open_ones(0.0)
        self.assertEqual(
            {name: path.id for name, path in after.items()}, {name: path.id for name, path in found.items()}
        )
        self.assertEqual([name for name, path in after.items() if path.door == doors[name]], [])

    def test_cut(self) -> None:
        """All that an uplink has are cut with it."""
        self.uplink_paths.cut(self.open_ones(STAGGER + 0.1)["masked"].id)
        self.assertEqual(self.used(), {})
        self.assertTrue(self.uplink_paths.restore("wan"))
        self.assertEqual(sorted(self.open_ones(0.0)), ["masked", "plain"])

    def test_seek(self) -> None:
        """Where one shape works the others do not have it go to another address of the server."""
        self.uplink_paths.serve(self.session, [FOUR, OTHER])
        found = self.open_ones(STAGGER + 0.1)
        self.answer(found["masked"])
        self.clock.advance(SEEK_AFTER + 1.0)
        self.uplink_paths.seek()
        self.assertEqual({path.remote for path in found.values()}, {FOUR})


class ServerHostsTests(SynchronousTestCase):
    def test_order(self) -> None:
        """Where the server answered, what it says of itself, where it was: at most eight."""
        told = ["::1", "0.0.0.0", "224.0.0.1", SIX.host, FOUR.host]
        self.assertEqual(server_hosts(FOUR.host, told, [OTHER.host]), (FOUR.host, SIX.host, OTHER.host))
        self.assertEqual(len(server_hosts(FOUR.host, [f"192.0.2.{n}" for n in range(20)], ())), 8)
