"""Plaintexts in pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.tunnel.fragments import MAX_BYTES, MAX_PENDING, MAX_PIECES, PATIENCE, Assembly, cut_fragments


class FragmentTests(SynchronousTestCase):
    @given(st.binary(min_size=200, max_size=3000), st.integers(210, 1500), st.randoms())
    def test_round_trip(self, plaintext: bytes, room: int, chance: object) -> None:
        """Pieces fit into the room, and make the plaintext again in whatever order and however often they come."""
        pieces = cut_fragments(plaintext, room)
        self.assertLessEqual(max(map(len, pieces)), room)
        if len(pieces) < 2:
            return
        chance.shuffle(pieces)  # type: ignore[attr-defined]
        assembly = Assembly()
        for piece in pieces[:-1]:
            self.assertIsNone(assembly.add(1, 7, piece, 0.0))
            self.assertIsNone(assembly.add(1, 7, piece, 0.0))
        self.assertEqual(assembly.add(1, 7, pieces[-1], 0.0), plaintext)
        self.assertEqual((assembly.bytes, len(assembly)), (0, 0))

    def test_two_widths(self) -> None:
        """Pieces of one plaintext, cut for paths of different width, are never mixed."""
        plaintext = bytes(range(256)) * 6
        wide, narrow = cut_fragments(plaintext, 1000), cut_fragments(plaintext, 600)
        assembly = Assembly()
        self.assertIsNone(assembly.add(0, 0, narrow[0], 0.0))
        self.assertIsNone(assembly.add(0, 0, wide[1], 0.0))
        self.assertIsNone(assembly.add(0, 0, narrow[2], 0.0))
        self.assertEqual(assembly.add(0, 0, wide[0], 0.0), plaintext)

    def test_bounded(self) -> None:
        """However many begin and never end, few are kept: by number, by bytes and by time."""
        assembly = Assembly()
        for sequence in range(10_000):
            assembly.add(sequence & 0xFF, sequence, b"\x0f" + bytes(50), 0.0)
        self.assertEqual(len(assembly), MAX_PENDING)
        for sequence in range(200):
            assembly.add(0, 20_000 + sequence, b"\x0f" + bytes(60_000), 0.0)
        self.assertLessEqual(assembly.bytes, MAX_BYTES)
        assembly.add(0, 0, b"\x02x", PATIENCE + 0.1)
        self.assertEqual(len(assembly), 1)
        self.assertEqual(assembly.abandoned, 10_200)

    def test_too_many(self) -> None:
        """What would take more than 15 pieces is refused."""
        with self.assertRaises(MalformedFrame):
            cut_fragments(bytes(1000), 1000 // MAX_PIECES)

    @given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=5)), max_size=40))
    def test_junk(self, pieces: list[tuple[int, bytes]]) -> None:
        """Arbitrary pieces are kept, put together or malformed, nothing else."""
        assembly = Assembly()
        for sequence, piece in pieces:
            try:
                assembly.add(0, sequence, piece, 0.0)
            except MalformedFrame:
                pass
