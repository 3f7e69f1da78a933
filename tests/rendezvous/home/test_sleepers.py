"""Homes as records: what is written is read, and nobody is lost or found in another's place."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.home.sleepers import MOST, Record, Sleepers
from morphnet.wire.batch import Endpoint

PLACES = (
    Endpoint("192.0.2.1", 1),
    Endpoint("192.0.2.1", 65535, "198.51.100.7"),
    Endpoint("2001:db8::1", 4000, "2001:db8::2"),
    Endpoint("::ffff:192.0.2.1", 4000),
    Endpoint("fe80::1%eth0", 4000, "fe80::2%eth0"),
    Endpoint("", 0),
)


def a_record(key: bytes, where: Endpoint = PLACES[0], at: int = 1) -> Record:
    return Record(key.ljust(32, b"k"), b"s" * 32, where, b"salt", at, 2, 3, 4, 0b1011)


@dataclass
class Both:
    """Sleepers, and a dictionary that must say the same."""

    sleepers: Sleepers = field(default_factory=Sleepers)
    slots: dict[bytes, int] = field(default_factory=dict)

    def add(self, key: bytes) -> None:
        """It registers, or registers again."""
        slot, before = self.sleepers.reserve(0), self.slots.get(key)
        if before is not None:
            self.sleepers.release(before)
        self.sleepers.write(slot, a_record(key))
        self.slots[key] = slot

    def drop(self, key: bytes) -> None:
        """It goes, if it was here."""
        slot = self.slots.pop(key, None)
        if slot is not None:
            self.sleepers.release(slot)

    def wrong(self) -> list[bytes]:
        """Keys that are not found where they are."""
        assert len(self.sleepers) == len(self.slots)
        return [key for key, slot in self.slots.items() if self.sleepers.find(key.ljust(32, b"k")) != slot]


class SleepersTests(SynchronousTestCase):
    def test_records(self) -> None:
        """All places, and numbers up to the largest, come back as they were."""
        sleepers = Sleepers()
        for number, where in enumerate(PLACES):
            for seen, highest in ((0, -1), ((1 << 128) - 1, MOST - 1)):
                record = a_record(b"%d" % number, where, (1 << 53) - 1)._replace(
                    seen=seen, highest=highest, number=MOST, message=MOST
                )
                slot = sleepers.reserve(5)
                sleepers.write(slot, record)
                self.assertEqual(sleepers.read(slot), record)
                sleepers.write(slot, a_record(b"%d" % number))
                self.assertEqual(sleepers.read(slot), a_record(b"%d" % number))

    def test_many_addresses_of_ours(self) -> None:
        """However many those are: the one that was used is used."""
        sleepers = Sleepers()
        records = [a_record(b"%d" % n, Endpoint("192.0.2.1", 1, f"198.51.100.{n}")) for n in range(100)]
        for record in records:
            sleepers.write(sleepers.reserve(0), record)
        self.assertEqual([sleepers.read(slot) for slot in range(100)], records)

    def test_nobody(self) -> None:
        """An empty slot, one that is reserved, and one that there is not, have no record."""
        sleepers = Sleepers()
        slot = sleepers.reserve(0)
        self.assertEqual([sleepers.read(each) for each in (slot, 1, MOST)], [None] * 3)
        sleepers.write(slot, a_record(b"a"))
        sleepers.release(slot)
        self.assertEqual((sleepers.read(slot), sleepers.find(b"a".ljust(32, b"k")), len(sleepers)), (None, -1, 0))
        self.assertNotIn(b"s" * 32, sleepers._chunks[0])

    def test_silent(self) -> None:
        """Those that were not heard for long; empty slots are nobody's."""
        sleepers = Sleepers()
        first, second, third = (sleepers.reserve(now) for now in (1, 5, 9))
        sleepers.heard(first, 7)
        sleepers.release(third)
        self.assertEqual((sleepers.silent(6), sleepers.silent(8)), ([second], [first, second]))

    def test_parts(self) -> None:
        """The parts together are all, and none is in two."""
        both = Both()
        for number in range(100):
            both.add(b"%d" % number)
        for number in range(0, 100, 3):
            both.drop(b"%d" % number)
        parts = [[key.rstrip(b"k") for key, _ in both.sleepers.part(number, 7)] for number in range(7)]
        self.assertEqual(sorted(key for part in parts for key in part), sorted(both.slots))

    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, 1 << 32), st.integers(1, 400))
    def test_comes_and_goes(self, seed: int, many: int) -> None:
        """Whatever comes and goes, everybody is found, slots are used again, and who is gone is not found."""
        chance, both = random.Random(seed), Both()
        for _ in range(3 * many):
            key = b"%d" % chance.randrange(many)
            (both.add if chance.random() < 0.6 else both.drop)(key)
        self.assertEqual(both.wrong(), [])
        gone = [b"%d" % each for each in range(many) if b"%d" % each not in both.slots]
        self.assertEqual({both.sleepers.find(key.ljust(32, b"k")) for key in gone} - {-1}, set())
        self.assertLessEqual(len(both.sleepers._heard), many + 1)
