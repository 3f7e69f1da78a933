"""Programs at a port of the client."""

from __future__ import annotations

from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.carry import carry_number, entry
from morphnet.net.pump import Pump
from morphnet.roles.carry.ports import IDLE, PROGRAMS, Ports
from morphnet.wire.carried import Carried, CarriedRun
from tests.roles.carry.fakes import FakeDoor, FakePump

WG, DNS = carry_number("wireguard"), carry_number("dns")
ONE, TWO = ("127.0.0.1", 5000), ("127.0.0.2", 5000)


class PortsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pump, self.server, self.doors = FakePump(), "gw", list[FakeDoor]()
        entries = [entry("127.0.0.1:51821=wireguard"), entry("127.0.0.1:5353=dns")]
        self.ports = Ports(cast(Any, None), cast(Pump, self.pump), entries, lambda: self.server, self.door)
        self.ports.open()

    def door(self, reactor: object, received: Any, inboxes: object) -> Any:
        self.doors.append(FakeDoor(reactor, received, inboxes))
        return self.doors[-1]

    def test_answered(self) -> None:
        """Each program is answered at its own address, though two have one port number."""
        self.doors[0].received([(b"a", ONE), (b"b", TWO)])
        self.assertEqual(self.pump.given, [("gw", Carried(WG, 5000, b"a")), ("gw", Carried(WG, 5001, b"b"))])
        self.pump.outlet([("gw", Carried(WG, 5001, b"B")), ("gw", Carried(WG, 5000, b"A"))])
        self.assertEqual(self.doors[0].sent, [(b"B", TWO), (b"A", ONE)])
        self.assertEqual([each.users for each in self.ports.statuses()], [2, 0])

    def test_runs(self) -> None:
        """What one program has sent at once is handed on as one, and so is what comes for it."""
        self.doors[0].received([(b"a", ONE), (b"b", ONE), (b"", ONE), (b"c", TWO), (b"d", ONE)])
        runs = [CarriedRun(WG, 5000, [b"a", b"b", b""]), CarriedRun(WG, 5001, [b"c"]), CarriedRun(WG, 5000, [b"d"])]
        self.assertEqual(self.pump.runs, [runs])
        self.assertEqual((self.ports.counters()["carried_sent"], self.ports.statuses()[0].sent_bytes), (5, 4))
        self.pump.outlet([("gw", CarriedRun(WG, 5000, [b"A", b"BB"]))])
        self.assertEqual(self.doors[0].sent, [(b"A", ONE), (b"BB", ONE)])
        self.assertEqual((self.ports.counters()["carried_received"], self.ports.statuses()[0].received_bytes), (2, 3))

    def test_not_asked(self) -> None:
        """What nobody asked for, or a peer that is not the server sends, goes to nobody."""
        self.doors[0].received([(b"a", ONE)])
        self.pump.outlet(
            [("gw", Carried(WG, 7, b"x")), ("gw", Carried(DNS, 5000, b"x")), ("peer", Carried(WG, 5000, b"x"))]
        )
        self.assertEqual([each.sent for each in self.doors], [[], []])
        self.assertEqual(self.ports.counters()["carried_unlisted"], 3)

    def test_early(self) -> None:
        """Before there is a session it is counted, and nobody is remembered."""
        self.server = ""
        self.doors[0].received([(b"a", ONE)])
        self.assertEqual((self.pump.given, self.ports.counters()["carried_early"]), ([], 1))
        self.assertEqual(self.ports.statuses()[0].users, 0)

    def test_forgotten(self) -> None:
        """Who is silent for long is forgotten, also when it is answered no more; there is a bound."""
        self.doors[0].received([(b"a", ONE)])
        self.pump.time = IDLE - 1
        self.pump.outlet([("gw", Carried(WG, 5000, b"A"))])
        self.pump.time = IDLE + 1
        self.ports.sweep()
        self.assertEqual(self.ports.statuses()[0].users, 1)
        self.pump.time = 3 * IDLE
        self.ports.sweep()
        self.assertEqual(self.ports.statuses()[0].users, 0)
        self.doors[0].received([(b"a", ("127.0.0.1", port)) for port in range(1, PROGRAMS + 50)])
        self.assertEqual(self.ports.statuses()[0].users, PROGRAMS)

    def test_missing(self) -> None:
        """An entry that the server has no service for is told."""
        self.assertEqual(len(self.ports.missing(("dns",))), 1)
        self.assertEqual(self.ports.missing(("dns", "wireguard")), ())
