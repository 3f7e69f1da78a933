"""Uplinks: what counts as one, and when a watch tells."""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.host.facts import (
    DELADDR,
    DELLINK,
    DELROUTE,
    IFF_LOOPBACK,
    NEWADDR,
    NEWLINK,
    NEWROUTE,
    AddressFact,
    Facts,
    LinkFact,
    RouteFact,
)
from morphnet.host.netlink import message
from morphnet.host.uplinks import LONGEST_WAIT, QUIET, Uplink, UplinkWatch, providers_of, served_addresses, uplinks_of
from tests.host.rtnetlink import ADDRESS4, ON, ROUTE4, link


class ChoiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.links = [LinkFact(n, name, ON, 6, 1500) for n, name in enumerate(("wan", "lte", "docker0", "morph0"), 2)]
        self.links.append(LinkFact(1, "lo", ON | IFF_LOOPBACK, 0, 65536))
        self.addresses = [AddressFact(n, f"10.0.{n}.2", 0) for n in (1, 2, 3, 4, 5)]
        self.addresses += [AddressFact(2, "fd00::2", 2), AddressFact(2, "2001:db8::2", 1)]
        self.routes = [RouteFact(3, 4, "10.0.3.1", 50, 3), RouteFact(2, 4, "", 100, 3)]

    def facts(self) -> Facts:
        return Facts(tuple(self.links), tuple(self.addresses), tuple(self.routes))

    def names(self, *chosen: str) -> list[str]:
        return [each.name for each in uplinks_of(self.facts(), chosen, {"morph0"})]

    def test_found(self) -> None:
        """Devices with a default route, the lowest metric first."""
        self.assertEqual(self.names(), ["lte", "wan"])

    def test_chosen(self) -> None:
        """Named devices in the order named, also without default route; never the loopback or our own."""
        self.assertEqual(self.names("docker0", "wan", "lo", "morph0"), ["docker0", "wan"])

    def test_values(self) -> None:
        """No gateway needed is not the same as no default route; the better addresses come first."""
        wan = next(each for each in uplinks_of(self.facts()) if each.name == "wan")
        expected = Uplink("wan", 2, True, ("10.0.2.2",), ("2001:db8::2", "fd00::2"), "", None, 1500, 100)
        self.assertEqual(wan, expected)

    def test_own_table(self) -> None:
        """A default route in another table makes no uplink by itself; of a named one it is the way."""
        self.routes = [RouteFact(3, 4, "10.0.3.1", 50, 3, table=100), RouteFact(2, 4, "", 100, 3)]
        self.routes.append(RouteFact(4, 4, "", 0, 73, table=7301))
        self.assertEqual(self.names(), ["wan"])
        (lte,) = uplinks_of(self.facts(), ["lte"])
        self.assertEqual((lte.gateway4, lte.metric), ("10.0.3.1", 50))
        self.assertEqual([each.name for each in providers_of(self.facts(), [], ["morph0"])], ["wan", "lte"])
        self.assertEqual([each.name for each in providers_of(self.facts(), ["docker0"], ["wan"])], ["lte", "docker0"])

    def test_best_gateway(self) -> None:
        """Of several default routes by one device the one with the lowest metric counts."""
        self.routes.append(RouteFact(3, 4, "10.0.3.254", 10, 3))
        self.assertEqual(uplinks_of(self.facts())[0].gateway4, "10.0.3.254")

    def test_best_address(self) -> None:
        """What the default route names is sent from first, then what is in its router's network; aliases are last."""
        self.addresses = [
            AddressFact(3, "169.254.7.7", 0, 16),
            AddressFact(3, "10.9.9.9", 0, 24),
            AddressFact(3, "10.0.3.7", 1, 24),
            AddressFact(3, "10.0.3.2", 0, 24),
        ]
        self.assertEqual(self.addresses4(), ("10.0.3.2", "169.254.7.7", "10.9.9.9", "10.0.3.7"))
        self.routes = [RouteFact(3, 4, "10.0.3.1", 50, 3, "10.0.3.7")]
        self.assertEqual(self.addresses4()[0], "10.0.3.7")
        self.routes = [RouteFact(3, 4, "", 50, 3)]
        self.assertEqual(self.addresses4()[0], "169.254.7.7")

    def addresses4(self) -> tuple[str, ...]:
        return uplinks_of(self.facts())[0].addresses4

    def test_no_address(self) -> None:
        """A device without address is none, whatever its routes."""
        self.addresses = []
        self.assertEqual(self.names("wan"), [])


class ServedTests(SynchronousTestCase):
    def test_wildcards(self) -> None:
        """What is bound to every address is at those of the uplinks, family by family; what is not, is where it is."""
        both = Uplink("wan", 2, True, ("192.0.2.1", "192.0.2.2"), ("2001:db8::1",), "192.0.2.9", "", 1500, 100)
        expected = {
            ("0.0.0.0", "::"): ["192.0.2.1", "192.0.2.2", "2001:db8::1"],
            ("0.0.0.0",): ["192.0.2.1", "192.0.2.2"],
            ("198.51.100.1", "::"): ["198.51.100.1", "2001:db8::1"],
            ("198.51.100.1",): ["198.51.100.1"],
        }
        for bound, served in expected.items():
            self.assertEqual(served_addresses(lambda: [both], bound), served)


class _Reactor(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.readers = list[IReadDescriptor]()

    def addReader(self, reader: IReadDescriptor) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: IReadDescriptor) -> None:
        self.readers.remove(reader)


class _Socket:
    def __init__(self) -> None:
        self.waiting = list[bytes | OSError]()
        self.closed = False

    def fileno(self) -> int:
        return 7

    def recv(self, size: int) -> bytes:
        if not self.waiting:
            raise BlockingIOError
        first = self.waiting.pop(0)
        if isinstance(first, OSError):
            raise first
        return first

    def close(self) -> None:
        self.closed = True


WAN = Uplink("wan", 2, True, ("192.168.5.2",), (), "192.168.5.1", None, 1500, 100)
LTE = Uplink("lte", 3, True, ("10.64.0.7",), (), "", None, 1420, 200)


class WatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = _Reactor()
        self.socket: Any = _Socket()
        self.now: list[Uplink] | HostError = [WAN]
        self.told, self.scans = list[list[Uplink]](), 0
        self.watch = UplinkWatch(self.reactor, self.told.append, self.scan, self.open)
        self.watch.start()

    def scan(self) -> list[Uplink]:
        self.scans += 1
        if isinstance(self.now, HostError):
            raise self.now
        return list(self.now)

    def hear(self, *events: bytes | OSError) -> None:
        self.socket.waiting += events
        self.watch.doRead()

    def event(self, kind: int = NEWADDR, payload: bytes = ADDRESS4) -> bytes:
        return message(kind, 0, 0, payload)

    def test_start(self) -> None:
        """At the start it tells what there is, and listens."""
        self.assertEqual((self.told, self.reactor.readers), ([[WAN]], [self.watch]))

    def test_new_uplink(self) -> None:
        """A burst of events is one look and one call, soon after it ends."""
        self.now = [WAN, LTE]
        for _ in range(3):
            self.hear(self.event(NEWLINK, link(3, "lte")), self.event(), self.event(NEWROUTE, ROUTE4))
            self.reactor.advance(QUIET / 2)
        self.assertEqual(len(self.told), 1)
        self.reactor.advance(QUIET)
        self.assertEqual((self.told[1:], self.scans, self.watch.uplinks), ([[WAN, LTE]], 2, [WAN, LTE]))

    def test_endless_burst(self) -> None:
        """Events without end do not put a look off for longer than LONGEST_WAIT."""
        self.now = [WAN, LTE]
        passed = 0.0
        while len(self.told) == 1 and passed < 1:
            self.hear(self.event())
            self.reactor.advance(QUIET / 3)
            passed += QUIET / 3
        self.assertLess(passed, LONGEST_WAIT + QUIET)

    def test_no_difference(self) -> None:
        """Nobody is told when nothing differs."""
        self.hear(self.event())
        self.reactor.advance(1)
        self.assertEqual((self.scans, len(self.told)), (2, 1))

    def test_other_routes(self) -> None:
        """A route that is no way out is told as that, and the uplinks are as they were; the kernel's own is not."""
        networks: list[None] = []
        self.watch.networks_changed = lambda: networks.append(None)
        specific = ROUTE4[:1] + b"\x18" + ROUTE4[2:]
        self.hear(self.event(NEWROUTE, specific[:7] + b"\x02" + specific[8:]))
        self.reactor.advance(1)
        self.assertEqual((self.scans, len(networks)), (1, 0))
        for kind in (NEWROUTE, DELROUTE):
            self.hear(self.event(kind, specific))
            self.reactor.advance(1)
        self.assertEqual((self.scans, len(networks), len(self.told)), (3, 2, 1))

    def test_flap(self) -> None:
        """Though nothing differs, it tells when routes may be lost: a link was down, an address gone."""
        for kind, payload in (
            (NEWLINK, link(2, "wan", 0, 2)),
            (DELADDR, ADDRESS4),
            (DELLINK, link(9, "x")),
        ):
            before = len(self.told)
            self.hear(self.event(kind, payload))
            self.reactor.advance(1)
            self.assertEqual(len(self.told), before + 1)

    def test_overrun(self) -> None:
        """When the kernel had more to say than fits, it looks for itself."""
        self.now = []
        self.hear(OSError(errno.ENOBUFS, "no buffer space"))
        self.reactor.advance(1)
        self.assertEqual((self.told[1:], self.watch.overruns), ([[]], 1))

    def test_no_answer(self) -> None:
        """A look that fails is repeated."""
        self.now = HostError("no answer")
        self.hear(self.event())
        self.reactor.advance(QUIET)
        self.now = [LTE]
        self.reactor.advance(LONGEST_WAIT)
        self.assertEqual(self.told[1:], [[LTE]])

    def test_given_up(self) -> None:
        """A socket that the reactor gives up for an error is followed by another one, and a look."""
        before, self.socket = self.socket, _Socket()
        self.reactor.readers.clear()
        self.now = []
        self.watch.connectionLost(Failure(ConnectionDone()))
        self.reactor.advance(1)
        self.assertEqual((before.closed, self.reactor.readers, self.told[1:]), (True, [self.watch], [[]]))
        self.watch.stop()
        self.watch.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.reactor.readers, [])

    def test_deaf(self) -> None:
        """Where there is no other socket for now it asks for one again, and looks as soon as there is."""
        self.socket = HostError("no more files")
        self.reactor.readers.clear()
        self.watch.connectionLost(Failure(ConnectionDone()))
        self.reactor.advance(10 * LONGEST_WAIT)
        self.assertEqual((self.reactor.readers, len(self.told)), ([], 1))
        self.socket, self.now = _Socket(), []
        self.reactor.pump([LONGEST_WAIT, QUIET])
        self.assertEqual((self.reactor.readers, self.told[1:]), ([self.watch], [[]]))
        self.now = [LTE]
        self.hear(self.event())
        self.reactor.advance(QUIET)
        self.assertEqual(self.told[2:], [[LTE]])

    def test_stop_when_deaf(self) -> None:
        """Stopped meanwhile it asks for none."""
        self.socket = HostError("no more files")
        self.watch.connectionLost(Failure(ConnectionDone()))
        self.watch.stop()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def open(self) -> Any:
        """What the kernel gives."""
        if isinstance(self.socket, HostError):
            raise self.socket
        return self.socket

    def test_stop(self) -> None:
        """After `stop` it is silent, and holds nothing."""
        self.now = []
        self.hear(self.event())
        self.watch.stop()
        self.watch.stop()
        self.assertEqual((self.reactor.getDelayedCalls(), self.reactor.readers, self.socket.closed), ([], [], True))
        self.assertEqual(len(self.told), 1)
