"""What is noted of an upload beside its bytes."""

from __future__ import annotations

import json
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.store.base import OPEN, UploadRecord
from morphnet.store.upload_notes import note_of, record_of
from morphnet.store.vault import Noted

ONE = UploadRecord("s/ä b\0\x01", 10, "image/png", "a@x", 100, 0, lasts_until=900)
WHOLE = replace(ONE, completed_at=200)


class NoteTests(SynchronousTestCase):
    def test_both_ways(self) -> None:
        """All comes back; whether its length was told the files say, and what it counts as is found out anew."""
        for record, told, size in ((ONE, False, None), (replace(ONE, size=OPEN), True, None), (WHOLE, True, 10)):
            found = record_of(Noted(note_of(replace(record, room=7)), told, size))
            self.assertEqual(found, replace(record, announced=told and size is None))

    def test_none(self) -> None:
        """Nothing, half a note, one with something else in it, and one of other bytes are none."""
        note = note_of(ONE)
        self.assertIsNone(record_of(None))
        said = json.loads(note)
        others = [{**said, "size": "10"}, {**said, "user": 1}, {**said, "created_at": True}, {"path": "a"}, [], 1]
        for bad in (b"", note[:-1], b"\xff", b"[" * 100_000, *(json.dumps(each).encode() for each in others)):
            self.assertIsNone(record_of(Noted(bad, False, None)))
        for record, size in ((ONE, 10), (WHOLE, None), (WHOLE, 11)):
            self.assertIsNone(record_of(Noted(note_of(record), False, size)))
