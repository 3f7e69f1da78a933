"""Files for browsers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.home.streams import WINDOW
from morphnet.roles.home.beneath import Beneath
from morphnet.roles.home.services.files import Files
from morphnet.wire.messages.home.frames import Kind
from tests.rendezvous.home.browser import Browser

SIZE = 3 * WINDOW + 17


class FilesCase(SynchronousTestCase):
    """A directory with a large file, a service for it, and a browser."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        self.root.mkdir()
        self.clock = Clock()
        self.disk: list[tuple[Callable[[], Any], Deferred[Any]]] | None = None  # what a slow one was asked
        self.content = os.urandom(SIZE)
        (self.root / "big").write_bytes(self.content)
        self.files = self.make(writable=True)
        self.browser = Browser(self.clock, self.files.opened)

    def make(self, *, writable: bool) -> Files:
        files = Files(Beneath(self.root), self.work, writable=writable)
        self.addCleanup(files.close)
        return files

    def work(self, what: Callable[[], Any]) -> Deferred[Any]:
        """A thread, done in no time, or once `disk` is gone through."""
        if self.disk is None:
            return maybeDeferred(what)
        done = Deferred[Any]()
        self.disk.append((what, done))
        return done

    def disk_turns(self) -> int:
        """A slow disk does what it was asked; how many things that was."""
        assert self.disk is not None  # it is slow
        asked, self.disk[:] = self.disk[:], []
        for what, done in asked:
            maybeDeferred(what).chainDeferred(done)
        return len(asked)

    def turns(self, number: int = 200) -> None:
        for _ in range(number):
            self.clock.advance(0.0)
            self.browser.read()

    def parts(self) -> list[str]:
        return [name for name in os.listdir(self.root) if name.startswith(".morphnet-")]


class FilesTests(FilesCase):
    def test_list(self) -> None:
        """What is there."""
        (self.root / "d").mkdir()
        (self.root / ".morphnet-0.part").touch()  # of a file that is not whole yet
        listed = self.browser.open(do="list", path="")
        names = [entry[:3] for said in listed.said[:-1] for entry in said["entries"]]
        self.assertEqual(names, [["big", False, SIZE], ["d", True, names[1][2]]])
        self.assertEqual((listed.said[-1], listed.over), ({"writable": True, "whole": True}, ""))

    def test_list_of_the_longest(self) -> None:
        """Names that are as long as they may be, and grow sixfold as JSON, are told as any other."""
        names = [f"{number:02}" + "\1" * 253 for number in range(60)]
        (self.root / "many").mkdir()
        for name in names:
            (self.root / "many" / name).touch()
        opened = self.browser.open(do="list", path="many")
        self.assertEqual([entry[0] for said in opened.said[:-1] for entry in said["entries"]], names)
        self.assertEqual(opened.over, "")

    def test_download(self) -> None:
        """All of it; the rest of it; from the beginning when it is another file by now."""
        whole = self.browser.open(do="get", path="big")
        self.turns()
        self.assertEqual((whole.data == self.content, whole.over), (True, ""))
        mark = whole.said[0]["mark"]
        rest = self.browser.open(do="get", path="big", at=SIZE - 5, mark=mark)
        other = self.browser.open(do="get", path="big", at=SIZE - 5, mark="another")
        self.turns()
        self.assertEqual((rest.data, rest.said[0]["at"]), (self.content[-5:], SIZE - 5))
        self.assertEqual((len(other.data), other.said[0]["at"]), (SIZE, 0))

    def test_about(self) -> None:
        """The mark of a file, for who has the beginning of it; a directory has none."""
        about = self.browser.open(do="about", path="big")
        whole = self.browser.open(do="get", path="big")
        self.assertEqual((about.said, about.over), ([{"size": SIZE, "mark": whole.said[0]["mark"]}], ""))
        self.assertEqual(self.browser.open(do="about", path="").over, "that is no file")

    def test_half_a_character(self) -> None:
        """Names that no file can have are refused, wherever they are said."""
        for asked in (
            {"do": "list", "path": "\ud800"},
            {"do": "put", "path": "\ud800", "size": 1, "mark": "m"},
            {"do": "put", "path": "new", "size": 1, "mark": "\ud800"},
            {"do": "make", "path": "d/\udfff"},
            {"do": "rename", "path": "big", "to": "\ud800"},
        ):
            self.assertIn("is no text", str(self.browser.open(**asked).over))
        self.assertEqual(os.listdir(self.root), ["big"])

    def test_slow_reader(self) -> None:
        """Who does not read gets no more than one window, however large the file is."""
        self.browser.reads = False
        slow = self.browser.open(do="get", path="big")
        self.turns()
        self.assertEqual(len(slow.data), WINDOW)
        self.browser.item(self.browser.last, Kind.RESET)
        self.turns()

    def test_upload(self) -> None:
        """It appears when it is whole."""
        put = self.browser.open(do="put", path="new", size=SIZE, mark="m")
        self.assertEqual(put.said, [{"at": 0}])
        self.browser.write(self.content)
        self.assertFalse((self.root / "new").exists())
        self.browser.item(self.browser.last, Kind.END)
        self.assertEqual((put.said[-1], put.over), ({"done": SIZE}, ""))
        self.assertEqual((self.root / "new").read_bytes(), self.content)
        self.assertEqual(self.parts(), [])

    def test_upload_goes_on(self) -> None:
        """Cut with its session, and begun again in another one, it goes on from the byte."""
        self.browser.open(do="put", path="new", size=SIZE, mark="m")
        self.browser.write(self.content[:70000])
        self.browser.session.end()
        again = Browser(self.clock, self.files.opened)
        put = again.open(do="put", path="new", size=SIZE, mark="m")
        self.assertEqual(put.said, [{"at": 70000}])
        again.write(self.content[70000:])
        again.item(again.last, Kind.END)
        self.assertEqual((self.root / "new").read_bytes(), self.content)

    def test_upload_taken_over(self) -> None:
        """The same upload from a second session ends the first, which may not know that it is gone."""
        self.browser.open(do="put", path="new", size=100, mark="m")
        self.browser.write(b"a" * 40)
        again = Browser(self.clock, self.files.opened)
        put = again.open(do="put", path="new", size=100, mark="m")
        self.browser.write(b"x" * 60)
        again.write(b"b" * 60)
        again.item(again.last, Kind.END)
        self.assertEqual(put.over, "")
        self.assertEqual((self.root / "new").read_bytes(), b"a" * 40 + b"b" * 60)

    def test_wrong_size(self) -> None:
        """More or fewer bytes than were announced are refused; what is there is not written over."""
        short = self.browser.open(do="put", path="short", size=10, mark="m")
        self.browser.write(b"a")
        self.browser.item(self.browser.last, Kind.END)
        long = self.browser.open(do="put", path="long", size=1, mark="m")
        self.browser.write(b"ab")
        there = self.browser.open(do="put", path="big", size=1, mark="m")
        self.assertEqual(short.over, "fewer bytes than were announced")
        self.assertEqual(long.over, "more bytes than were announced")
        self.assertEqual(there.over, "there is one of that name")

    def test_changes(self) -> None:
        """Made, renamed, removed."""
        for asked in (
            {"do": "make", "path": "d"},
            {"do": "rename", "path": "big", "to": "d/b"},
            {"do": "remove", "path": "d/b"},
            {"do": "remove", "path": "d"},
        ):
            self.assertEqual(self.browser.open(**asked).over, "")
        self.assertEqual(os.listdir(self.root), [])

    def test_refused(self) -> None:
        """What makes no sense, or is not there, is told, and nothing of our paths with it."""
        (self.root / "link").symlink_to("/etc/passwd")
        os.mkfifo(self.root / "pipe")
        for asked in (
            {"do": "get", "path": "../x"},
            {"do": "get", "path": "link"},
            {"do": "get", "path": "pipe"},
            {"do": "get", "path": 7},
            {"do": "get", "path": "big", "at": -1},
            {"do": "__init__", "path": ""},
            {"do": "toString", "path": ""},
        ):
            over = self.browser.open(**asked).over
            assert over
            self.assertNotIn(str(self.root), over)

    def test_read_only(self) -> None:
        """Where nothing may be written, nothing is."""
        browser = Browser(self.clock, self.make(writable=False).opened)
        for asked in (
            {"do": "put", "path": "n", "size": 1, "mark": ""},
            {"do": "remove", "path": "big"},
            {"do": "make", "path": "d"},
        ):
            self.assertEqual(browser.open(**asked).over, "files are not written here")
        self.assertEqual(os.listdir(self.root), ["big"])
