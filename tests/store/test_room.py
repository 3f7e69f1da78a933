"""Room on a disk, as the test says that it is."""

from __future__ import annotations

import errno
import os

from twisted.trial.unittest import SynchronousTestCase

from morphnet.store.room import MOST, Room

FREE = 1000  # bytes that others have


class RoomTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.free, self.looks = 0, 0
        self.room = Room(FREE, self.look)

    def look(self, file: int) -> os.statvfs_result:
        self.looks += 1
        return os.statvfs_result((1, 1, 0, 0, FREE + self.free, 0, 0, 0, 0, 255))

    def written(self, size: int, count: int) -> int:
        """As many pieces of so many bytes as there is room for: the disk gets full by them."""
        for number in range(count):
            try:
                self.room.take(0, size)
            except OSError as full:
                self.assertEqual(full.errno, errno.ENOSPC)
                return number
            self.free -= size
        return count

    def test_exact(self) -> None:
        """All that is free is given, and not a byte of what others have, in pieces of any size."""
        for size in (1, 7, 999, 5000):
            self.free = 10_000
            self.assertEqual(self.written(size, 20_000), 10_000 // size)
            self.assertGreaterEqual(self.free, 0)

    def test_looks(self) -> None:
        """Where there is much room it is looked at once for MOST bytes; what others take meanwhile is seen then."""
        self.free, piece = 100 * MOST, MOST // 64
        self.assertEqual((self.written(piece, 64), self.looks), (64, 1))
        self.free = piece - 1
        self.assertEqual((self.written(piece, 1), self.looks), (0, 2))
