"""Who is at other relays, from what these tell."""

from __future__ import annotations

from collections import Counter
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.relay.cluster import AnyMember, RemoteMember
from morphnet.rendezvous.relay.members import Line, Member
from morphnet.rendezvous.relay.remote import LAPSE, MOST_TURNS, RemoteMembers
from morphnet.wire.messages.cluster import Here, Left, number_in
from tests.rendezvous.relay.case import FakeLine

ONE, TWO = 7, 9  # relays, by block


class FakeLocal:
    """Those at our own relay."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.announced: list[tuple[int | None, int | None]] = []  # numbers, before and after
        self.sent_away: list[str] = []

    def named(self, network: str, name: str) -> Member | None:
        """The member of that name in that network, if there is one."""
        return next((each for each in self.members if (each.network, each.name) == (network, name)), None)

    def prove(self, number: int) -> None:
        """Nothing: no test looks at it."""

    def send_away(self, member: Member, reason: str) -> None:
        self.sent_away.append(member.name)

    def announce(self, before: AnyMember | None, after: AnyMember | None) -> None:
        """Keep both numbers; None for nobody."""
        self.announced.append((before.number if before else None, after.number if after else None))

    def deliver(self, sender: RemoteMember, shown: int, envelope: bytes) -> None:
        """Nothing: no test looks at it."""


def here(block: int, name: str, number: int = 1, instance: int = 1, network: str = "home") -> Here:
    """What a relay tells of a member."""
    return Here(number_in(block, number), network, name, f"{instance:016x}", ())


class RemoteMembersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.local, self.carried, self.counts = FakeLocal(), list[tuple[int, bytes, int]](), Counter[str]()
        self.remote = RemoteMembers(self.local, frozenset(["home"]), self.carry, self.counts)

    def carry(self, to: int, envelope: bytes, sender: int) -> bool:
        """It is taken."""
        self.carried.append((to, envelope, sender))
        return True

    def numbers(self) -> list[int]:
        """Who is known, one for each name."""
        return [each.number for each in self.remote.everybody("home")]

    def test_reached(self) -> None:
        """Who is told of is found by number and by name, and is sent envelopes through its relay."""
        told = here(ONE, "bert")
        self.remote.tell(told, 0.0)
        found = self.remote.find(told.number)
        assert found is not None
        self.assertIs(self.remote.named("home", "bert"), found)
        self.assertTrue(found.hand(b"sealed", 5))
        self.assertEqual(self.carried, [(told.number, b"sealed", 5)])
        self.assertEqual(self.local.announced, [(None, told.number)])

    def test_other_network(self) -> None:
        """Those of networks that do not meet here are nobody's business."""
        self.remote.tell(here(ONE, "bert", network="other"), 0.0)
        self.assertEqual((len(self.remote), self.local.announced), (0, []))

    def test_left(self) -> None:
        """A name that is at two relays stands for the later one, and for the other when that has left."""
        first, second = here(ONE, "bert"), here(TWO, "bert")
        for told in (first, second, Left(second.number)):
            self.remote.tell(told, 0.0)
        changes = [(None, first.number), (first.number, second.number), (second.number, first.number)]
        self.assertEqual(self.local.announced, changes)

    def test_recital(self) -> None:
        """Who is not among those that a relay tells of, from beginning to end, is gone; who comes meanwhile is not."""
        for name, number in (("anna", 1), ("bert", 2)):
            self.remote.tell(here(ONE, name, number), 0.0)
        self.remote.begin(ONE, 4)
        self.remote.tell(here(ONE, "bert", 2), 0.0)
        self.remote.tell(here(ONE, "carl", 3), 0.0)
        self.remote.end(ONE, 4)
        self.assertEqual(self.numbers(), [number_in(ONE, 2), number_in(ONE, 3)])

    def test_recitals_without_end(self) -> None:
        """A relay that only begins to tell costs no more than the last few beginnings."""
        self.remote.tell(here(ONE, "anna"), 0.0)
        for turn in range(3 * MOST_TURNS):
            self.remote.begin(ONE, turn)
        self.remote.end(ONE, 0)  # forgotten
        self.assertEqual(len(self.remote), 1)
        self.remote.end(ONE, 3 * MOST_TURNS - 1)
        self.assertEqual(len(self.remote), 0)

    def test_silent(self) -> None:
        """A relay of which nothing was heard for long is gone with all its members; another one is not."""
        self.remote.tell(here(ONE, "anna"), 0.0)
        self.remote.tell(here(TWO, "bert"), 0.0)
        self.remote.heard(TWO, 1.0)
        self.remote.lose_silent(LAPSE + 0.5)
        self.assertEqual((self.numbers(), self.remote.relays), ([number_in(TWO, 1)], 1))

    def test_two_of_one_name(self) -> None:
        """Of two instances the one with the lower number stays: ours goes, or hides the other."""
        line = FakeLine("bert")
        for number, away in ((number_in(ONE, 2), ["bert"]), (number_in(ONE, 0), [])):
            self.local.sent_away.clear()
            ours = Member(cast(Line, line), number, f"{2:016x}", frozenset(), b"", b"")
            self.local.members = [ours]
            self.remote.tell(here(ONE, "bert", 1), 0.0)
            self.assertEqual((self.local.sent_away, self.local.announced), (away, []))
            self.remote.lose(ONE)
