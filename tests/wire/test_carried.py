"""Carried datagrams."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.wire.carried import (
    MOST,
    Carried,
    CarriedRun,
    alike,
    decode_carried,
    decode_run,
    encode_carried,
    encode_run,
    even,
)

U16 = st.integers(0, 0xFFFF)


def singles(carried: Carried | CarriedRun) -> list[Carried]:
    """Each datagram of it."""
    if isinstance(carried, Carried):
        return [carried]
    return [Carried(carried.carry, carried.local, data) for data in carried.datagrams]


def runs_of(batch: Iterable[Carried]) -> list[CarriedRun]:
    """What follows one another and is of one program together."""
    grouped = groupby(batch, lambda each: (each.carry, each.local))
    return [CarriedRun(*which, [each.data for each in run]) for which, run in grouped]


class CarriedTests(SynchronousTestCase):
    @given(st.builds(Carried, U16, U16, st.binary(max_size=2000)))
    def test_round_trip(self, carried: Carried) -> None:
        """What is encoded is decoded again."""
        self.assertEqual(decode_carried(encode_carried(carried)), carried)

    def test_known(self) -> None:
        """As docs/protocol says it."""
        self.assertEqual(encode_carried(Carried(1, 0x0203, b"wg")), bytes.fromhex("00010203") + b"wg")

    def test_alike(self) -> None:
        """What follows one another and is of one program is together, whole and in its order."""
        told = [("a", 1, b"x"), ("a", 1, b""), ("a", 2, b"y"), ("b", 2, b"z"), ("b", 2, b"w"), ("a", 1, b"v")]
        batch = [(peer, Carried(7, local, data)) for peer, local, data in told]
        found = [(peer, which[1], datagrams) for (peer, which), datagrams in alike(batch)]
        self.assertEqual(found, [("a", 1, [b"x", b""]), ("a", 2, [b"y"]), ("b", 2, [b"z", b"w"]), ("a", 1, [b"v"])])
        self.assertEqual(list(alike([])), [])
        as_runs = [(peer, each) for peer, single in batch[:2] for each in runs_of([single])] + batch[2:]
        self.assertEqual(list(alike(as_runs)), list(alike(batch)))

    @given(st.lists(st.builds(Carried, st.integers(1, 2), U16, st.binary(max_size=9)), min_size=1, max_size=5), U16)
    def test_runs(self, batch: list[Carried], local: int) -> None:
        """A run travels as each of its datagrams does; several programs', or what has no head, is none."""
        run = CarriedRun(1, local, [each.data for each in batch])
        plaintexts = [encode_carried(each) for each in singles(run)]
        self.assertEqual(encode_run(run), b"".join(plaintexts))
        self.assertEqual(decode_run(plaintexts), run)
        self.assertIsNone(decode_run([*plaintexts, encode_carried(Carried(3, local, b""))]))
        self.assertIsNone(decode_run([b"123", b"123"]))
        self.assertIsNone(decode_run([*plaintexts, plaintexts[0][:4] + bytes(MOST + 1)]))
        mixed = decode_run([encode_carried(each) for each in batch])
        self.assertEqual([mixed] if mixed is not None else [], runs_of(batch) if len(runs_of(batch)) == 1 else [])

    @given(st.lists(st.integers(0, 2), min_size=1, max_size=5))
    def test_even(self, sizes: list[int]) -> None:
        """All but the last as long as the first, which none is longer than."""
        naive = all(size == sizes[0] for size in sizes[:-1]) and sizes[-1] <= sizes[0]
        self.assertEqual(even(sizes), naive)

    def test_malformed(self) -> None:
        """What has no head, or is longer than any datagram, is none."""
        for wrong in (b"", b"123", bytes(4 + MOST + 1)):
            self.assertRaises(MalformedFrame, decode_carried, wrong)
        self.assertEqual(len(decode_carried(bytes(4 + MOST)).data), MOST)
