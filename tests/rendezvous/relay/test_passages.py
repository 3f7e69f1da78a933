"""Who is joined to whom, how many may be, and what ends a passage."""

from __future__ import annotations

import random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Refused
from morphnet.rendezvous.relay import passages
from morphnet.rendezvous.relay.passages import (
    AMBIGUOUS,
    MOST_OF_ONE,
    NO_SERVER,
    NOBODY_COMES,
    WAIT,
    WHICH_SERVER,
    Passages,
)
from morphnet.rendezvous.relay.registry import BURST
from morphnet.wire.messages.relay import Asked, Joined, TurnedAway
from tests.rendezvous.relay.case import FakeLine

RATE = 1000.0  # bytes a second


class PassagesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.passages = Passages(self.clock, random.Random(1).randbytes, RATE)
        self.server = FakeLine("gateway")
        self.passages.serve(self.server)

    def asked(self, client: FakeLine, name: str = "gateway") -> str:
        """The token that the server is told."""
        self.passages.reach(client, name)
        (asked,) = self.server.news()
        assert isinstance(asked, Asked)
        return asked.token

    def joined(self) -> tuple[FakeLine, FakeLine]:
        """A client and the line of a server, joined."""
        client, server = FakeLine("laptop"), FakeLine("gateway")
        self.passages.meet(server, self.asked(client))
        self.assertEqual((client.news(), server.news()), ([Joined()], [Joined()]))
        return client, server

    def test_joined(self) -> None:
        """Each is the other's other end, and both are told once."""
        client, server = self.joined()
        self.assertIs(self.passages.other(client), server)
        self.assertIs(self.passages.other(server), client)
        self.assertEqual(self.passages.counters(), {"passages": 1, "passages_joined": 1, "passages_refused": 0})
        self.clock.advance(2 * WAIT)
        self.assertEqual((client.ended, server.ended), ("", ""))

    def test_only_one(self) -> None:
        """A host that is no name of a certificate is the only server there is."""
        self.assertTrue(self.asked(FakeLine("laptop"), "203.0.113.1"))

    def test_which(self) -> None:
        """Of several the one that is named, or none; a server that has gone is none."""
        other = FakeLine("second")
        self.passages.serve(other)
        self.passages.reach(FakeLine("laptop"), "SECOND")
        self.assertEqual((len(other.news()), self.server.news()), (1, []))
        self.assertIn(WHICH_SERVER, str(self.assertRaises(Refused, self.passages.reach, FakeLine("phone"), "x")))
        self.passages.gone(other)
        self.assertTrue(self.asked(FakeLine("phone"), "x"))

    def second(self, *also: str) -> FakeLine:
        """One more server, whose certificate carries these besides its name; the first one's has an address as well."""
        self.server.also = ("192.0.2.1", "vpn.example")
        other = FakeLine("second")
        other.also = also
        self.passages.serve(other)
        return other

    def reached(self, other: FakeLine, server: str, name: str = "") -> str:
        """Who is asked to come to a client, or why nobody is."""
        client = FakeLine("laptop")
        try:
            self.passages.reach(client, server, name)
        except Refused as refused:
            return refused.reason
        finally:
            self.passages.gone(client)
        asked = [line.name for line in (self.server, other) if line.news()]
        return " ".join(asked)

    def test_by_address(self) -> None:
        """Who calls its server by an address gets the one whose certificate carries that, not the last that came."""
        other = self.second("192.0.2.2")
        for server, name in (("192.0.2.1", "gateway"), ("192.0.2.2", "second"), ("vpn.example", "gateway")):
            self.assertEqual(self.reached(other, server), name)
        self.assertEqual(self.reached(other, "192.0.2.3"), WHICH_SERVER)

    def test_by_name(self) -> None:
        """The name that the client expects counts more than the address that it calls: a router may lead from there."""
        other = self.second("192.0.2.2")
        self.assertEqual(self.reached(other, "10.0.0.1", "second"), "second")
        self.assertEqual(self.reached(other, "192.0.2.1", "second"), "second")
        self.assertEqual(self.reached(other, "192.0.2.1", "third"), WHICH_SERVER)

    def test_ambiguous(self) -> None:
        """Where several carry the name the address decides; where that does not either, nobody is asked."""
        other = self.second("vpn.example", "192.0.2.2")
        self.assertEqual(self.reached(other, "192.0.2.2", "vpn.example"), "second")
        self.assertEqual(self.reached(other, "192.0.2.1", "vpn.example"), "gateway")
        self.assertEqual(self.reached(other, "192.0.2.3", "vpn.example"), AMBIGUOUS)
        self.assertEqual(self.reached(other, "vpn.example"), AMBIGUOUS)
        again = FakeLine("second")
        self.passages.serve(again)  # it has called anew, and the relay does not know yet that the first line is dead
        self.assertEqual(self.reached(again, "x", "second"), "second")

    def test_networks(self) -> None:
        """Neither a client nor a server of another network comes through, and the token stays good."""
        stranger = FakeLine("laptop", "office")
        self.assertIn(NO_SERVER, str(self.assertRaises(Refused, self.passages.reach, stranger, "gateway")))
        client = FakeLine("laptop")
        token = self.asked(client)
        self.assertRaises(Refused, self.passages.meet, FakeLine("gateway", "office"), token)
        self.passages.meet(FakeLine("gateway"), token)
        self.assertEqual(client.news(), [Joined()])

    def test_once(self) -> None:
        """A token is good once, and not for long."""
        client = FakeLine("laptop")
        token = self.asked(client)
        self.passages.meet(FakeLine("gateway"), token)
        self.assertRaises(Refused, self.passages.meet, FakeLine("gateway"), token)
        late = FakeLine("phone")
        token = self.asked(late)
        self.clock.advance(WAIT)
        self.assertEqual((late.news(), late.ended), ([TurnedAway(NOBODY_COMES)], NOBODY_COMES))
        self.assertRaises(Refused, self.passages.meet, FakeLine("gateway"), token)  # while the client says goodbye
        self.passages.gone(late)  # as its socket tells
        self.assertRaises(Refused, self.passages.meet, FakeLine("gateway"), token)
        self.assertEqual((len(self.passages), self.clock.getDelayedCalls()), (1, []))

    def test_bounds(self) -> None:
        """All together have so many; what is gone makes room."""
        self.patch(passages, "MOST", 2)
        held = [FakeLine(name) for name in ("laptop", "phone")]
        for line in held:
            self.asked(line)
        self.assertRaises(Refused, self.passages.reach, FakeLine("tablet"), "gateway")
        self.passages.gone(held[0])
        self.asked(FakeLine("tablet"))

    def test_too_many(self) -> None:
        """Of too many of one client the one goes that was not heard from for longest, both ends of it, and no other."""
        ends = [self.joined() for _ in range(MOST_OF_ONE)]
        self.clock.advance(1.0)
        for turn, (client, server) in enumerate(ends):
            self.passages.charge(server if turn == 2 else client, 1)  # what its server says is no sign of it
        for limit in (512, MOST_OF_ONE):  # also where there is no room for anybody else
            self.patch(passages, "MOST", limit)
            self.clock.advance(1.0)
            ends.append(self.joined())
            self.assertEqual(len(self.passages), MOST_OF_ONE)
        self.assertEqual(ends[2][0].ended, "made room")
        self.assertEqual(ends[2][1].ended, "the other end is gone")
        self.assertEqual([bool(client.ended) for client, _ in ends], [True, False, True, False, False, False])
        for line in ends[2]:
            self.passages.gone(line)  # as their sockets tell in the end
        self.assertEqual(len(self.passages), MOST_OF_ONE)

    def test_end(self) -> None:
        """With one end the other goes, and nothing is left; the server's own line stays."""
        for turn in (0, 1):
            ends = self.joined()
            self.passages.gone(ends[turn])
            self.assertEqual(ends[1 - turn].ended, "the other end is gone")
            self.passages.gone(ends[1 - turn])
        self.assertEqual((len(self.passages), self.server.ended), (0, ""))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_rate(self) -> None:
        """All passages of a client have one rate, both ways."""
        client, server = self.joined()
        second, _ = self.joined()
        self.passages.charge(client, int(BURST * RATE))
        self.passages.charge(server, 100)
        self.passages.charge(second, 100)
        self.assertEqual((client.pauses, server.pauses, second.pauses), ([], [0.1], [0.2]))
        self.clock.advance(0.2)
        self.passages.charge(server, 0)
        self.assertEqual(server.pauses, [0.1])
