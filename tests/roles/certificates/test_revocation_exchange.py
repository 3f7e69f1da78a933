"""How a list of revoked certificates gets from one process to all others."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.pki.revocations import RevocationList
from morphnet.roles.certificates.revocation_exchange import MOST_REFUSED, PATIENCE, PORTION
from morphnet.wire.messages.revocations import PartsWanted, Revocations, RevokedPart
from tests.fakes_pki import NOW, an_authority
from tests.fakes_revoking import FakeLink, Process, Wire, settle
from tests.pki.test_revocations import many


class ExchangeTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        """The CA's host, a relay, and two machines; nobody is connected."""
        self.clock, self.authority = Clock(), an_authority()
        self.last: RevocationList | None = None
        self.root, self.relay, self.anna, self.bert = (self.process(name) for name in ("root", "relay", "anna", "bert"))

    def process(self, name: str) -> Process:
        """One more."""
        return Process(self.authority, Path(self.mktemp()) / name, self.clock)

    def revoke(self, count: int) -> RevocationList:
        """So many are revoked in all."""
        self.last = signed = self.authority.revocations(many(count), now=NOW, before=self.last)
        self.root.exchange.publish(signed)
        return signed

    def settle(self, *wires: Wire) -> None:
        """Until nobody has anything to say."""
        settle(self.clock, *wires)


class ExchangeTests(ExchangeTestCase):
    def test_along_a_chain(self) -> None:
        """A list of any size gets from the CA's host by a machine to a relay, and by that to another machine."""
        wires = Wire(self.root, self.anna), Wire(self.anna, self.relay), Wire(self.relay, self.bert)
        for count in (1, 513, 10_000, 10_001):
            signed = self.revoke(count)
            self.settle(*wires)
            for process in (self.anna, self.relay, self.bert):
                self.assertEqual(process.exchange.revoked.whole, signed)

    def test_once(self) -> None:
        """Everybody is told a list once, though there are many ways, and each part is sent once by one of them."""
        wires = [
            Wire(one, other)
            for one, other in ((self.root, self.anna), (self.root, self.bert), (self.anna, self.relay),
                               (self.bert, self.relay), (self.root, self.relay))
        ]  # fmt: skip
        self.revoke(3000)
        self.settle(*wires)
        told = [kind for wire in wires for link in wire.links for kind in link.kinds()]
        self.assertEqual(told.count("part"), 3 * 3)
        self.assertLessEqual(told.count("list"), len(wires) + 1)

    def test_next_one_is_small(self) -> None:
        """One more revocation among ten thousand sends the list, and no part."""
        wire = Wire(self.root, self.relay)
        self.revoke(10_000)
        self.settle(wire)
        wire.links[0].told.clear()
        self.revoke(10_001)
        self.settle(wire)
        self.assertEqual(wire.links[0].kinds(), ["list"])

    def test_later_comers(self) -> None:
        """Who comes later gets the list; who has it already is told nothing, also after a restart of either."""
        self.revoke(3000)
        for _ in range(2):
            wire = Wire(self.root, self.anna)
            self.settle(wire)
            wire.cut()
        self.assertEqual(wire.links[0].kinds(), [])
        for process in (self.root, self.anna):
            process.start()
            self.assertEqual(process.serials, set(many(3000)))
            wire = Wire(self.root, self.anna)
            self.settle(wire)
            self.assertEqual(wire.links[0].kinds(), [])

    def test_cut_in_between(self) -> None:
        """A link that ends before all parts have come costs nothing: the rest comes by another one."""
        self.revoke(10_000)
        wire = Wire(self.root, self.anna)
        for _ in range(4):
            wire.carry()
        wire.cut()
        self.assertTrue(self.anna.exchange.revoked.missing)
        self.anna.start()
        self.assertTrue(set(self.last.recent if self.last else ()) <= self.anna.serials)
        wire = Wire(self.root, self.anna)
        self.settle(wire)
        self.assertEqual(self.anna.exchange.revoked.whole, self.last)

    def test_half_a_list_is_not_told(self) -> None:
        """Nobody is told a list whose parts cannot be had from who tells it."""
        signed = self.revoke(3000)
        onwards = Wire(self.anna, self.relay)
        silent = FakeLink()
        self.anna.exchange.joined(silent, 0)
        self.anna.exchange.heard(silent, Revocations(signed.pem))
        self.settle(onwards)
        self.assertEqual((silent.kinds(), onwards.links[0].kinds()), (["wanted"], []))
        honest = Wire(self.root, self.anna)  # another way has the parts as well
        self.settle(honest, onwards)
        self.assertIsNone(self.relay.exchange.revoked.whole)
        self.clock.advance(PATIENCE)
        self.settle(honest, onwards)
        self.assertEqual(self.relay.exchange.revoked.whole, signed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_slow(self) -> None:
        """Who answers late is heard all the same, and goes on to be asked."""
        signed = self.revoke(10_000)
        wire = Wire(self.root, self.anna)
        for _ in range(20):
            wire.carry()
            self.clock.advance(2 * PATIENCE)
        self.assertEqual(self.anna.exchange.revoked.whole, signed)
        self.assertEqual(wire.links[0].kinds().count("part"), 10)

    def test_source_goes(self) -> None:
        """When the one who was asked goes, another one who has the list is asked at once."""
        signed = self.revoke(3000)
        silent = FakeLink()
        self.anna.exchange.joined(silent, 0)
        self.anna.exchange.heard(silent, Revocations(signed.pem))
        honest = Wire(self.root, self.anna)
        self.settle(honest)
        self.anna.exchange.left(silent)
        self.settle(honest)
        self.assertEqual(self.anna.exchange.revoked.whole, signed)

    def test_node_of_before(self) -> None:
        """A node that tells no number gets lists, the latest at once and whole or not, and is never asked for parts."""
        wire = Wire(self.root, self.anna, old=True)
        self.revoke(3000)
        self.revoke(3001)
        self.settle(wire)
        self.assertEqual(wire.links[0].kinds(), ["list", "list"])
        old = FakeLink()
        self.anna.exchange.joined(old, -1)
        assert self.last is not None
        self.anna.exchange.heard(old, Revocations(self.last.pem))
        self.assertEqual((old.told, self.anna.serials), ([], set(self.last.recent)))

    def test_many(self) -> None:
        """So many are told that others are heard in between: some at a time, and all of them."""
        links = [FakeLink() for _ in range(3 * PORTION)]
        for link in links:
            self.root.exchange.joined(link, 0)
        self.revoke(1)
        self.assertEqual(sum(bool(link.told) for link in links), PORTION)
        self.clock.advance(0)
        self.assertEqual({len(link.told) for link in links}, {1})

    def test_changes(self) -> None:
        """Whoever cuts off is told with the list already, and with each part."""
        wire = Wire(self.root, self.anna)
        self.revoke(3000)
        self.settle(wire)
        self.assertEqual(self.anna.changes, 1 + 3)


class HostileTests(ExchangeTestCase):
    def test_foreign_lists(self) -> None:
        """Lists that our CA has not signed change nothing, and after some of them a link is heard no more."""
        signed, bad = self.revoke(1), an_authority(2).revocations({"1f"}, now=NOW + 1e6)
        link = FakeLink()
        self.anna.exchange.joined(link, 0)
        for _ in range(MOST_REFUSED - 1):
            self.anna.exchange.heard(link, Revocations(bad.pem))
        self.anna.exchange.heard(link, Revocations(signed.pem))
        self.assertEqual(self.anna.serials, signed.serials)
        for _ in range(2):
            self.anna.exchange.heard(link, Revocations("nonsense"))
        later = self.revoke(2)
        self.anna.exchange.heard(link, Revocations(later.pem))
        self.assertEqual(self.anna.serials, signed.serials)

    def test_parts_that_nobody_wants(self) -> None:
        """A part that the list does not name is forgotten, and none is given twice to one who asks again and again."""
        signed = self.revoke(3000)
        link = FakeLink()
        self.root.exchange.joined(link, signed.number)
        for _ in range(5):
            self.root.exchange.heard(link, PartsWanted(signed.digests[:2]))
            self.root.exchange.heard(link, PartsWanted(("ab" * 32,)))
        self.assertEqual(link.kinds(), ["part", "part"])
        self.anna.exchange.joined(link, 0)
        self.anna.exchange.heard(link, RevokedPart("1f 1\n"))
        self.assertEqual((self.anna.serials, self.anna.changes), (frozenset(), 0))

    def test_nobody(self) -> None:
        """A link that was never there, or is gone, says and is told nothing."""
        signed = self.revoke(1)
        for _ in range(2):
            self.anna.exchange.heard(FakeLink(), Revocations(signed.pem))
            self.anna.exchange.left(FakeLink())
        self.assertEqual(self.anna.serials, frozenset())
