"""Datagrams of equal size, one behind the other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from morphnet.legacy.runs import cut, equal_runs, join


class RunTests(SynchronousTestCase):
    def test_equal_runs(self) -> None:
        """The last portion may be shorter, or all there is."""
        self.assertEqual(list(equal_runs(b"aabbc", 2)), [(b"aabb", 2), (b"c", 1)])
        self.assertEqual(list(equal_runs(b"aabb", 2)), [(b"aabb", 2)])
        self.assertEqual(list(equal_runs(b"a", 2)), [(b"a", 1)])
        self.assertEqual(list(equal_runs(b"", 2)), [])

    def test_join(self) -> None:
        """Neighbours of one size are one run, and no run is more than a system call takes."""
        self.assertEqual(list(join([b"aa", b"bb", b"c", b"dd"])), [(b"aabb", 2), (b"c", 1), (b"dd", 2)])
        self.assertEqual([len(run) for run, _ in join([b"x"] * 130)], [64, 64, 2])
        self.assertEqual([len(run) for run, _ in join([b"x" * 40000] * 2)], [40000, 40000])

    @given(some.lists(some.binary(min_size=1, max_size=3)))
    def test_back(self, datagrams: list[bytes]) -> None:
        """Nothing is lost, and nothing changes places."""
        self.assertEqual([each for run, size in join(datagrams) for each in cut(run, size)], datagrams)
