"""The files app of the original, with its words."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Refused
from morphnet.roles.home import old_files
from morphnet.roles.home.beneath import Beneath
from morphnet.roles.home.old_files import OldFiles


class OldFilesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()
        (self.root / "in").mkdir(parents=True)
        (self.root / "a..b.txt").write_text("text")
        (self.root / "out").symlink_to("/etc")
        beneath = Beneath(self.root)
        self.addCleanup(beneath.close)
        self.files = OldFiles(beneath, self.root, writable=True)
        self.reader = OldFiles(beneath, self.root, writable=False)

    def no(self, operation: str, **params: Any) -> str:
        return str(self.assertRaises(Refused, self.files.run, operation, params).reason)

    def test_look(self) -> None:
        """A directory and a file, named from our directory or by the path that it has."""
        for path in ("/", "", str(self.root)):
            items = self.files.run("listDirectory", {"path": path})["items"]
            self.assertEqual(
                [(each["name"], each["type"]) for each in items], [("a..b.txt", "file"), ("in", "directory")]
            )
        info = self.files.run("getFileInfo", {"path": "/a..b.txt"})
        self.assertEqual((info["name"], info["size"], info["permissions"]["writable"]), ("a..b.txt", 4, True))
        self.assertFalse(self.reader.run("getFileInfo", {"path": "in"})["permissions"]["writable"])

    def test_write(self) -> None:
        """As text, as base64, over what was there; and all that a directory allows."""
        self.assertEqual(self.files.run("writeFile", {"path": "in/x", "content": "é"}), {"success": True, "size": 2})
        raw = {"path": "in/x", "content": base64.b64encode(b"\x00\xff").decode(), "encoding": "base64"}
        self.files.run("writeFile", raw)
        self.assertEqual((self.root / "in/x").read_bytes(), b"\x00\xff")
        self.files.run("createDirectory", {"path": "in/new"})
        for operation, path in (("deleteDirectory", "in/new"), ("deleteFile", "in/x")):
            self.assertEqual(self.files.run(operation, {"path": path}), {"success": True})
        self.assertEqual(os.listdir(self.root / "in"), [])

    def test_words(self) -> None:
        """Each trouble has the original's words."""
        (self.root / "in/x").write_text("")
        for words, operation, params in (
            ("Path traversal not allowed", "listDirectory", {"path": "../x"}),
            ("Access denied: path outside allowed directories", "listDirectory", {"path": "out"}),
            ("Directory not found", "listDirectory", {"path": "none"}),
            ("Not a directory", "listDirectory", {"path": "a..b.txt"}),
            ("File not found", "getFileInfo", {"path": "none"}),
            ("File not found", "deleteFile", {"path": "none"}),
            ("Not a file", "deleteFile", {"path": "in"}),
            ("Not a directory", "deleteDirectory", {"path": "a..b.txt"}),
            ("Directory not empty", "deleteDirectory", {"path": "in"}),
            ("Directory already exists", "createDirectory", {"path": "in"}),
            ("Content is required", "writeFile", {"path": "y"}),
            ("Path is required", "getFileInfo", {}),
            ("Unknown operation: toString", "toString", {"path": "in"}),
        ):
            self.assertEqual(self.no(operation, **params), words, operation)
        for operation in ("writeFile", "deleteFile", "createDirectory", "deleteDirectory"):
            no = self.assertRaises(Refused, self.reader.run, operation, {"path": "in", "content": ""})
            self.assertEqual(no.reason, "Access denied")

    def test_read(self) -> None:
        """A file, its size and kind; no directory, no pipe, nothing too large."""
        opened, size, kind = self.files.open("a..b.txt")
        self.assertEqual((os.read(opened, 9), size, kind), (b"text", 4, "text/plain"))
        os.close(opened)
        os.mkfifo(self.root / "pipe")
        for path in ("in", "pipe"):
            self.assertEqual(self.assertRaises(Refused, self.files.open, path).reason, "Not a file")
        self.patch(old_files, "MOST", 3)
        self.assertIn("too large: 4", self.assertRaises(Refused, self.files.open, "a..b.txt").reason)
        self.assertIn("too large: 9", self.assertRaises(Refused, self.files.upload, "y", 9).reason)

    def test_upload(self) -> None:
        """It appears when it is whole; one that is cut, too long or dropped leaves nothing."""
        upload = self.files.upload("in/up", 6)
        upload.write(b"abc")
        self.assertFalse((self.root / "in/up").exists())
        upload.write(b"def")
        self.assertEqual(upload.end(), {"success": True, "size": 6})
        self.assertEqual((self.root / "in/up").read_text(), "abcdef")
        cut = self.files.upload("in/cut", 6)
        self.assertRaises(Refused, cut.end)
        long = self.files.upload("in/long", 1)
        self.assertRaises(Refused, long.write, b"abc")
        self.files.upload("in/dropped", 1).drop()
        self.assertEqual(os.listdir(self.root / "in"), ["up"])
