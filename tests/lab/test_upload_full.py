"""A disk that is full: a tmpfs of a few megabytes below a real upload server."""

from __future__ import annotations

import json
import sys

from morphnet.lab.vpn import wait_for
from tests.lab.test_upload import UploadCase

ROOM = 4_000_000  # bytes


class FullTests(UploadCase):
    """What found room is kept, and goes on when there is more."""

    def setUp(self) -> None:
        super().setUp()
        self.daemon.stop()
        state = self.daemon.dir / "state"
        self.node.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM},mode=700", "tmpfs", str(state)])
        with (self.daemon.etc / "upload.toml").open("a") as file:
            file.write("keep_free = 500_000\n")
        self.daemon.start()

    def offset(self, url: str) -> int:
        """As the server tells it."""
        done = self.node.run(["curl", "-sSI", "-H", "Upload-Draft-Interop-Version: 6", url])
        lines = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
        return int(lines["Upload-Offset"])

    def test_full(self) -> None:
        """507, not a byte lost; with more room the same PUT succeeds; a phone is hung up on, never told 5xx."""
        size = 2_500_000
        first, second, phone = (self.file(each, size) for each in ("first", "second", "phone"))
        self.assertEqual(self.curl("-T", str(first), self.slot("f/first", size)), "201")
        self.assertEqual(self.curl("-T", str(second), self.slot("f/second", size)), "507")
        kept = self.offset(self.slot("f/second", size))
        self.assertGreater(kept, 300_000)
        self.assertEqual(self.daemon.counter("uploads_without_room"), 1)
        words = [sys.executable, "-m", "tests.lab.cut_put", self.slot("f/phone", size), str(phone), str(size)]
        said = self.node.run([*words, json.dumps({"Upload-Draft-Interop-Version": "6", "Upload-Complete": "?1"})])
        self.assertNotIn(" 5", said.stdout + said.stderr)
        wait_for("the phone was hung up on", lambda: self.daemon.counter("uploads_without_room") == 2)
        self.same(f"{self.slot('f/first', size).partition('?')[0]}", first)
        self.node.run(["mount", "-o", f"remount,size={3 * ROOM}", str(self.daemon.dir / "state")])
        self.assertEqual(self.curl("-T", str(second), self.slot("f/second", size)), "201")
        self.same(f"{self.slot('f/second', size).partition('?')[0]}", second)
        self.assertEqual(self.daemon.counter("uploaded_bytes"), 2 * size + self.offset(self.slot("f/phone", size)))
