"""Services that clients reach by name."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.carry import carry_number, service
from morphnet.net.pump import Pump
from morphnet.roles.carry.services import IDLE, LOOKS, OF_SESSION, QUIET, Services
from morphnet.wire.carried import Carried
from tests.roles.carry.fakes import FakeDoor, FakePump

WG = carry_number("wireguard")


class ServicesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pump, self.doors, self.clock = FakePump(), list[FakeDoor](), Clock()
        self.pump.tunnel.sessions = {"laptop": object(), "phone": object()}
        self.services = self.make(100_000)

    def make(self, most: int) -> Services:
        listed = [service("wireguard=127.0.0.1:51820")]
        services = Services(cast(Any, self.clock), cast(Pump, self.pump), listed, most, self.door)
        services.open()
        return services

    def door(self, reactor: object, received: Any, inboxes: object) -> Any:
        self.doors.append(FakeDoor(reactor, received, inboxes))
        return self.doors[-1]

    def standing(self) -> int:
        return sum(not each.closed for each in self.doors)

    def test_told_apart(self) -> None:
        """Each program of each client has a socket of its own towards the service, and its answers go back to it."""
        asked = [("laptop", Carried(WG, 1, b"a")), ("laptop", Carried(WG, 2, b"b")), ("phone", Carried(WG, 1, b"c"))]
        self.pump.outlet([*asked, asked[0]])
        self.assertEqual([each.sent for each in self.doors], [[b"a", b"a"], [b"b"], [b"c"]])
        self.assertEqual({each.place for each in self.doors}, {("127.0.0.1", 51820)})
        self.doors[2].received([(b"C", ("127.0.0.1", 51820))])
        self.assertEqual(self.pump.given, [("phone", Carried(WG, 1, b"C"))])

    def test_unlisted(self) -> None:
        """What is not listed is reached by no number."""
        self.pump.outlet([("laptop", Carried(number, 1, b"a")) for number in range(65536) if number != WG])
        self.assertEqual((self.doors, self.services.counters()["carried_unlisted"]), ([], 65535))

    def test_bounded(self) -> None:
        """A client has so many sockets and no more; it makes room among its own."""
        self.pump.outlet([("phone", Carried(WG, 1, b"a"))])
        self.pump.outlet([("laptop", Carried(WG, number, b"a")) for number in range(OF_SESSION + 9)])
        self.assertEqual((self.standing(), self.doors[0].closed), (OF_SESSION + 1, False))

    def test_full(self) -> None:
        """When all are taken a client has one of its own to give, or none."""
        self.services = self.make(2)
        self.pump.outlet([("laptop", Carried(WG, number, b"a")) for number in range(5)])
        self.pump.outlet([("phone", Carried(WG, 1, b"a"))])
        self.assertEqual((self.standing(), self.services.counters()["carried_full"]), (2, 1))

    def test_idle(self) -> None:
        """What is used neither way for long is closed, and what is of a client that is gone."""
        self.pump.outlet([("laptop", Carried(WG, 1, b"a")), ("phone", Carried(WG, 1, b"a"))])
        self.pump.time = IDLE - 1
        self.doors[0].received([(b"A", ("127.0.0.1", 51820))])
        self.pump.time = IDLE + 1
        self.services.sweep()
        self.assertEqual([each.closed for each in self.doors], [False, True])
        self.pump.tunnel.sessions.clear()
        self.services.sweep()
        self.assertEqual((self.standing(), self.services.statuses()[0].users), (0, 0))

    def last_answers(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.services.last_answers())

    def test_last_answers(self) -> None:
        """At the end answers are waited for as long as some come, and not for long; without a socket not at all."""
        self.successResultOf(self.last_answers())
        self.pump.outlet([("laptop", Carried(WG, 1, b"a"))])
        ended = self.last_answers()
        for _ in range(2):
            self.doors[0].received([(b"A", ("127.0.0.1", 51820))])
            self.assertNoResult(ended)
            self.clock.advance(QUIET)
        self.clock.advance(QUIET)
        self.successResultOf(ended)
        ended = self.last_answers()
        for _ in range(LOOKS):
            self.assertNoResult(ended)
            self.doors[0].received([(b"A", ("127.0.0.1", 51820))])
            self.clock.advance(QUIET)
        self.successResultOf(ended)
        self.assertEqual(len(self.pump.given), 2 + LOOKS)
