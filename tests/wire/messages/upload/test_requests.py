"""Requests for slots."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.messages.upload.requests import (
    LONGEST_NAME,
    SlotNotGiven,
    SlotRequest,
    clean_name,
    read_request,
)


class RequestTests(SynchronousTestCase):
    def test_read(self) -> None:
        """All that is told; a purpose that nobody knows is a message."""
        said = {"filename": "a.png", "size": "12", "content-type": "image/png"}
        self.assertEqual(read_request("a@x", said, "profile"), SlotRequest("a@x", "a.png", 12, "image/png", "profile"))
        self.assertEqual(read_request("a@x", said, "odd").purpose, "message")

    def test_wrong(self) -> None:
        """No name, and sizes that are none."""
        for said in (
            {},
            {"filename": "a"},
            *({"filename": "a", "size": each} for each in ("0", "-1", "x", "1" * 30, "²")),
        ):
            refused = self.assertRaises(SlotNotGiven, read_request, "a@x", said, "message")
            self.assertEqual((refused.condition, refused.kind), ("bad-request", "modify"))

    def test_names(self) -> None:
        """No way out of a directory, nothing that cannot be shown, an ending that stays."""
        for said, name in (
            ("a b.png", "a b.png"),
            ("../../etc/passwd", "passwd"),
            ("C:\\x\\y.txt", "y.txt"),
            ("..", "file"),
            ("a\r\n\0\u202eb.txt", "ab.txt"),
            ("", "file"),
            ("ä" * 300 + ".jpeg", "ä" * ((LONGEST_NAME - 5) // 2) + ".jpeg"),
        ):
            self.assertEqual(clean_name(said), name)
