"""What the parts of a file are known by."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.upload.parts import MOST, part_path, parts_of, whole_of
from morphnet.store.base import UploadRecord
from morphnet.store.memory_uploads import MemoryUploads


class PartsTests(SynchronousTestCase):
    def test_found(self) -> None:
        """All of one file, whatever gaps there are, and none of another; each knows its file."""
        uploads = MemoryUploads()
        for path in (part_path("a", 3), part_path("a", MOST - 1), part_path("ab", 1), "a"):
            self.successResultOf(uploads.begin(UploadRecord(path, 1, "", "", 1)))
        for path, numbers in (("a", [3, MOST - 1]), ("b", []), (part_path("a", 3), [])):
            found = self.successResultOf(Deferred.fromCoroutine(parts_of(uploads, path)))
            self.assertEqual(list(found), numbers)
            self.assertEqual({whole_of(each.path) for each in found.values()} - {path}, set())
