"""The search for the largest datagram (B7)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.mtu import BASE, BLACK_HOLE, LADDER, LASTS, RAISE_AFTER, SETTLING, MtuSearch


def search(mtu: MtuSearch, true: int, now: float) -> tuple[float, int]:
    """Run the search to its end over a path that carries `true` bytes: (time, probes)."""
    probes = 0
    while mtu.due_at() < float("inf"):
        now = max(now, mtu.due_at())
        size = mtu.due(now)
        if not size:
            break
        mtu.sent(probes, size, 0.05, now)
        if mtu.probing == probes:
            probes += 1
            if size <= true:
                mtu.acknowledged(probes - 1, now + 0.05)
        assert probes < 100
    return now, probes


class MtuTests(SynchronousTestCase):
    @given(st.integers(BASE, 1500), st.integers(BASE, 9000))
    def test_finds(self, true: int, ceiling: int) -> None:
        """The search ends at the largest size of the ladder that passes, within seconds, and rests."""
        mtu = MtuSearch(ceiling)
        now, probes = search(mtu, true, 0.0)
        self.assertEqual(mtu.proven, max((s for s in {*LADDER, ceiling} if s <= min(true, ceiling)), default=BASE))
        self.assertLess(now, 8.0)
        self.assertLess(probes, 20)
        self.assertEqual(mtu.due(now + 1.0), 0)

    def test_clean_path(self) -> None:
        """On a path that carries everything one probe is enough."""
        self.assertEqual(search(MtuSearch(1466), 1500, 0.0), (0.0, 1))

    def test_black_hole(self) -> None:
        """When only large datagrams are lost the size is given up; a few losses are no reason."""
        mtu = MtuSearch(1466)
        search(mtu, 1500, 0.0)
        for _ in range(BLACK_HOLE - 1):
            self.assertFalse(mtu.lost(1466, 1.0, 1.0))
        mtu.delivered(1466, 0.5)
        for _ in range(BLACK_HOLE - 1):
            self.assertFalse(mtu.lost(1466, 1.0, 1.0))
        self.assertFalse(mtu.shrinks(1.0))
        self.assertTrue(mtu.lost(1466, 1.0 + LASTS, 1.2))
        self.assertEqual((mtu.shrinks(1.2), mtu.shrinks(1.2 + SETTLING)), (True, False))
        self.assertEqual(mtu.proven, BASE)
        search(mtu, 1280, 1.0)
        self.assertEqual(mtu.proven, 1252)

    def test_full_queue(self) -> None:
        """What is lost before others of that size pass was lost to a full queue, however many it took at once."""
        mtu = MtuSearch(1466)
        search(mtu, 1500, 0.0)
        mtu.delivered(1466, 2.0)
        for _ in range(3 * BLACK_HOLE):
            self.assertFalse(mtu.lost(1466, 1.9, 2.5))
        self.assertEqual(mtu.proven, 1466)

    def test_full_for_a_moment(self) -> None:
        """A dozen lost in a row that were sent within some milliseconds found a full queue, and no black hole."""
        mtu = MtuSearch(1466)
        search(mtu, 1500, 0.0)
        for each in range(2 * BLACK_HOLE):
            self.assertFalse(mtu.lost(1466, 1.0 + each / 1000, 1.1))
        self.assertEqual(mtu.proven, 1466)

    def test_usual_loss(self) -> None:
        """Where every other one is lost six in a row are chance; a size that never passes is given up all the same."""
        mtu = MtuSearch(1466)
        search(mtu, 1500, 0.0)
        for each in range(200):
            mtu.lost(1466, each / 100, each / 100)
            mtu.delivered(1466, each / 100)
        for each in range(BLACK_HOLE):
            self.assertFalse(mtu.lost(1466, 3.0 + each / 10, 3.0 + each / 10))
        self.assertTrue(any(mtu.lost(1466, 4.0 + each / 10, 4.0 + each / 10) for each in range(3 * BLACK_HOLE)))

    def test_tried_again(self) -> None:
        """A size below the ceiling is tried again after ten minutes."""
        mtu = MtuSearch(1466)
        now, _ = search(mtu, 1300, 0.0)
        self.assertEqual(mtu.due(now + RAISE_AFTER - 1), 0)
        self.assertEqual(mtu.due(now + RAISE_AFTER + 1), 1466)

    def test_refused(self) -> None:
        """A size that the device does not take is never used again in this search."""
        mtu = MtuSearch(1466)
        search(mtu, 1500, 0.0)
        mtu.refused(1466, 1.0)
        self.assertEqual(mtu.proven, 1452)
        mtu.refused(1200, 2.0)
        self.assertEqual(mtu.proven, BASE)

    def test_narrow_ceiling(self) -> None:
        """A ceiling below the base is kept to."""
        mtu = MtuSearch(600)
        self.assertEqual((mtu.proven, mtu.due(0.0), mtu.due_at()), (600, 0, float("inf")))
