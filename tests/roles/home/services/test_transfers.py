"""Files on their way, with disks that take their time."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from morphnet.rendezvous.home.streams import WINDOW
from morphnet.wire.messages.home.frames import Kind, credit
from tests.rendezvous.home.browser import Browser
from tests.roles.home.services.test_files import SIZE, FilesCase

LARGE = 24 << 20  # bytes, twenty-four windows


def open_files() -> int:
    """Descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


class TransferTests(FilesCase):
    def test_large(self) -> None:
        """However large a file is, no more of it than a window is in memory, and all of it arrives."""
        with (self.root / "large").open("wb") as file:
            file.truncate(LARGE)
        self.browser.reads = False
        got = self.browser.open(do="get", path="large")
        number = self.browser.last
        arrived = most = 0
        while got.over is None:
            most = max(most, self.browser.session.kept)
            size, got.data = len(got.data), b""
            arrived += size
            self.browser.acknowledge()
            self.browser.item(number, Kind.CREDIT, credit(size))
        self.assertEqual(arrived + len(got.data), LARGE)
        self.assertEqual(got.over, "")
        self.assertLess(most, WINDOW * 1.01)  # what is in front of each piece as well
        self.assertGreater(most, WINDOW // 2)

    def test_slow_disk_up(self) -> None:
        """While a disk does not write, nothing is granted: no more than a window of an upload is in memory."""
        self.browser.open(do="put", path="new", size=SIZE, mark="m")
        self.disk = []
        self.browser.write(self.content[:WINDOW])
        self.assertEqual((self.browser.granted, len(self.disk)), (0, 1))
        while self.disk_turns():
            pass
        self.assertEqual(self.browser.granted, WINDOW)
        for at in range(WINDOW, SIZE, WINDOW):
            self.browser.write(self.content[at : at + WINDOW])
            while self.disk_turns():
                pass
        self.browser.item(self.browser.last, Kind.END)
        while self.disk_turns():
            pass
        self.assertEqual((self.root / "new").read_bytes(), self.content)

    def test_gone_meanwhile(self) -> None:
        """Whatever ends while the disk is at work leaves no file open, and nothing more of it is said."""
        before = open_files()
        self.disk = []
        puts, gets = {"do": "put", "path": "new", "size": 9, "mark": "m"}, {"do": "get", "path": "big"}
        for asked in (gets, puts):
            for turns in range(3):  # it is being opened; read or written; it is over
                stream = self.browser.open(**asked)
                number = self.browser.last
                for _ in range(turns):
                    self.disk_turns()
                if turns and asked is puts:
                    self.browser.write(b"x", number)
                self.browser.item(number, Kind.RESET)
                while self.disk_turns():
                    pass
                self.assertIsNone(stream.over)
                self.assertEqual(open_files(), before, (asked, turns))

    def test_disk_fails(self) -> None:
        """A disk that fails on the way is told, and nothing of it stays open."""
        before = open_files()
        self.disk = []
        got = self.browser.open(do="get", path="big")
        self.disk_turns()
        (_, reading), self.disk[:] = self.disk[0], []
        reading.errback(OSError(5, "Input/output error"))
        self.assertEqual(got.over, "that does not work")
        self.assertEqual(open_files(), before)

    def test_disk_fails_later(self) -> None:
        """The same when nobody waits for it any more."""
        before = open_files()
        self.disk = []
        for asked in ({"do": "get", "path": "big"}, {"do": "put", "path": "new", "size": SIZE, "mark": "m"}):
            opened = self.browser.open(**asked)
            self.disk_turns()
            if asked["do"] == "put":
                self.browser.write(self.content[: WINDOW // 2])
            self.browser.item(self.browser.last, Kind.RESET)
            (_, work), self.disk[:] = self.disk[0], []
            work.errback(OSError(28, "No space left on device"))
            self.assertEqual((opened.over, open_files()), (None, before))

    def test_few_turns(self) -> None:
        """A thread is asked once for each quarter of a window, not for each piece that comes."""
        asked = list[object]()

        def work(what: Callable[[], Any]) -> Deferred[Any]:
            asked.append(what)
            return self.work(what)

        self.patch(self.files, "_work", work)
        put = Browser(self.clock, self.files.opened)
        opened = put.open(do="put", path="new", size=SIZE, mark="m")
        put.write(self.content)
        put.item(put.last, Kind.END)
        self.assertEqual(opened.over, "")
        self.assertLessEqual(len(asked), 2 + SIZE * 4 // WINDOW)  # it is opened and it gets its name as well

    def test_disk_fails_up(self) -> None:
        """After what could not be written nothing is: it would be where something else belongs."""
        before = open_files()
        self.disk = []
        put = self.browser.open(do="put", path="new", size=SIZE, mark="m")
        self.disk_turns()
        self.browser.write(self.content[: WINDOW // 2])
        (_, writing), self.disk[:] = self.disk[0], []
        writing.errback(OSError(28, "No space left on device"))
        (part,) = self.parts()
        self.assertEqual((put.over, (self.root / part).stat().st_size), ("the disk is full", 0))
        self.assertEqual(open_files(), before)
