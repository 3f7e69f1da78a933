"""Uploads that are under way."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.upload.underway import SHOWN, UnderWay
from morphnet.store.base import UploadRecord
from tests.fakes_upload import Service, slot

DATA = bytes(range(100))


class UnderWayTests(SynchronousTestCase):
    def test_story(self) -> None:
        """Seen while it is sent and while it waits, with each move; gone when it is whole."""
        service = Service(self.mktemp())
        line = service.begun_put(slot("s/a", 100), 100, DATA[:30])
        (seen,) = service.shelf.under_way.statuses()
        self.assertEqual((seen.path, seen.size_bytes, seen.stored_bytes, seen.running), ("s/a", 100, 30, True))
        line.cut()
        (seen,) = service.shelf.under_way.statuses()
        self.assertEqual((seen.running, seen.moves), (False, 0))
        self.assertEqual(service.ask("PUT", slot("s/a", 100), {}, DATA).status, 201)
        self.assertEqual(service.shelf.under_way.statuses(), ())

    def test_moves(self) -> None:
        """Another address is a move; the latest are shown first, and not all of many."""
        under_way = UnderWay(lambda path: 1, lambda: 5.0)
        for number in range(SHOWN + 5):
            under_way.begins(UploadRecord(str(number), 9, "", "a@x", 1), "192.0.2.1")
        for address in ("192.0.2.1", "198.51.100.1", "192.0.2.1"):
            under_way.begins(UploadRecord("3", 9, "", "a@x", 1), address)
        first, *rest = under_way.statuses()
        self.assertEqual((first.path, first.moves, len(rest)), ("3", 2, SHOWN - 1))
        under_way.over("3")
        self.assertNotIn("3", [each.path for each in under_way.statuses()])
