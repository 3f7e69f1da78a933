"""Browsers of the original at a home."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError
from morphnet.legacy.homechannel import apps
from morphnet.net.rtc_frames import BINARY, CLOSED, OPENED, TEXT
from morphnet.roles.home.beneath import Beneath
from morphnet.roles.home.old_files import OldFiles
from morphnet.roles.home.old_visits import AppFiles, OldVisit

Late = tuple["Deferred[Any]", Callable[..., Any], tuple[Any, ...]]
MANIFEST = {"name": "files", "version": "1", "description": "", "format": "iife", "entry": "ui.js"}


class Wire:
    """A channel to a browser, which may be slow."""

    def __init__(self) -> None:
        self.transport, self.sent, self.closed = self, list[bytes](), False
        self.producer: Any = None
        self.turns: list[str] = []

    def registerProducer(self, producer: object, streaming: bool) -> None:
        self.producer = producer

    def pauseProducing(self) -> None:
        self.turns.append("pause")

    def resumeProducing(self) -> None:
        self.turns.append("resume")

    def send(self, message: bytes) -> None:
        self.sent.append(message)

    def close(self) -> None:
        self.closed = True


def now(what: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
    return maybeDeferred(what, *arguments)


class OldVisitTests(SynchronousTestCase):
    wire: Any

    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        self.root.mkdir()
        beneath = Beneath(self.root)
        self.addCleanup(beneath.close)
        self.told: list[str] = []
        files = OldFiles(beneath, self.root.absolute(), writable=True)
        self.visit = OldVisit(AppFiles(MANIFEST, "bundle"), files, now, self.told.append)
        self.wire = Wire()  # in the place of a Channel
        self.visit.opened(self.wire)
        for number, label in enumerate(("homechannel", "apps-control", "files")):
            self.visit.message(self.wire, bytes((number, OPENED)) + label.encode())
        self.bundle = self.came()

    def came(self) -> list[tuple[int, Any]]:
        """Frames that have come in the channel of the app."""
        found = []
        for message in self.wire.sent:
            self.assertEqual(message[:2], bytes((2, BINARY)))
            for kind, payload in apps.frames(message[2:]):
                found.append((kind, payload if kind == apps.CHUNK else json.loads(payload)))
        self.wire.sent.clear()
        return found

    def say(self, kind: int, payload: bytes | dict[str, Any]) -> None:
        self.visit.message(self.wire, bytes((2, BINARY)) + apps.frame(kind, payload))

    def ask(self, operation: str, request: object = "r", **params: object) -> list[tuple[int, Any]]:
        self.say(apps.JSON, {"requestId": request, "operation": operation, "params": params})
        return self.came()

    def test_bundle(self) -> None:
        """The app's part for the browser comes first; the list names it; the unused channel is left alone."""
        told = {"type": "app:bundle", "name": "files", "version": "1", "format": "iife", "bundle": "bundle"}
        self.assertEqual(self.bundle, [(apps.JSON, told)])
        self.visit.message(self.wire, bytes((1, TEXT)) + b'{"type":"apps:list","requestId":1}')
        (answer,) = self.wire.sent
        self.assertEqual((answer[:2], json.loads(answer[2:])["apps"]), (bytes((1, TEXT)), [MANIFEST]))
        self.wire.sent.clear()
        self.visit.message(self.wire, bytes((0, TEXT)) + b"hello")
        self.assertEqual((self.wire.sent, self.wire.closed), ([], False))

    def test_upload(self) -> None:
        """The original's page waits for a word that its server never says: here it is said."""
        self.assertEqual(self.ask("writeFile", path="up", size=6)[0][1], {"requestId": "r", "uploading": True})
        self.assertEqual(self.ask("writeFile", "other", path="up2", size=6)[0][1]["success"], False)
        self.ask("writeFile", path="up", size=6)
        self.say(apps.CHUNK, b"abc")
        self.say(apps.CHUNK, b"def")
        self.say(apps.END, {"requestId": "r"})
        done, shown = (told for _, told in self.came())
        self.assertEqual((done["success"], shown["type"], shown["requestId"]), (True, "upload:done", "r"))
        self.assertEqual((self.root / "up").read_text(), "abcdef")

    def test_refused_meanwhile(self) -> None:
        """What else is asked, and refused, while an upload is on its way does not end it, and leaves nothing behind."""
        before = len(os.listdir("/proc/self/fd"))
        self.ask("writeFile", path="up", size=3)
        for number in range(3):
            self.assertFalse(self.ask("getFileInfo", f"i{number}", path="none")[0][1]["success"])
            self.assertIn("Another", self.ask("writeFile", f"w{number}", path="up2", size=6)[0][1]["error"])
        self.say(apps.CHUNK, b"abc")
        self.say(apps.END, {"requestId": "r"})
        self.assertEqual([told["requestId"] for _, told in self.came()], ["r", "r"])
        self.assertEqual([each.name for each in self.root.iterdir()], ["up"])
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_cancelled(self) -> None:
        """An upload that the browser cancels is gone, and another one may begin; a cancel of something else is none."""
        self.ask("writeFile", path="up", size=3)
        self.say(apps.CHUNK, b"ab")
        self.say(apps.CANCEL, {"requestId": "another"})
        self.assertEqual(len(list(self.root.iterdir())), 1)
        self.say(apps.CANCEL, {"requestId": "r"})
        self.assertEqual(list(self.root.iterdir()), [])
        self.assertTrue(self.ask("writeFile", path="up", size=1)[0][1]["uploading"])
        self.say(apps.CHUNK, b"x")
        self.say(apps.END, {"requestId": "r"})
        self.assertEqual((self.root / "up").read_text(), "x")

    def make_slow(self) -> list[Late]:
        """From now on what is done is done when the test says so."""
        late: list[Late] = []

        def later(what: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
            waiting: Deferred[Any] = Deferred()
            late.append((waiting, what, arguments))
            return waiting

        self.visit._work = later
        return late

    def test_slow_disk(self) -> None:
        """A browser that sends faster than the disk writes is held, and goes on; all arrives in its order."""
        late = self.make_slow()
        self.visit.message(self.wire, bytes((3, OPENED)) + b"files")
        asked = {"requestId": "r", "operation": "writeFile", "params": {"path": "up", "size": 200}}
        frames = [apps.frame(apps.JSON, asked), *(apps.frame(apps.CHUNK, bytes([at])) for at in range(200))]
        for frame in (*frames, apps.frame(apps.END, {})):
            self.visit.message(self.wire, bytes((3, BINARY)) + frame)
        self.assertEqual(self.wire.turns, ["pause"])
        while late:
            waiting, what, arguments = late.pop(0)
            waiting.callback(what(*arguments))
        self.assertEqual(self.wire.turns, ["pause", "resume"])
        self.assertEqual((self.root / "up").read_bytes(), bytes(range(200)))

    def test_too_long(self) -> None:
        """What is more than was announced ends the upload, and its request is told."""
        self.ask("writeFile", path="up", size=1)
        self.say(apps.CHUNK, b"abc")
        self.say(apps.END, {"requestId": "r"})
        ((_, told),) = self.came()
        self.assertEqual((told["requestId"], told["success"]), ("r", False))
        self.assertEqual(list(self.root.iterdir()), [])

    def test_read(self) -> None:
        """In pieces of 64 KiB; a browser that is slow holds it, and may cancel it."""
        (self.root / "down").write_bytes(bytes(200_000))
        came = self.ask("readFile", path="/down")
        self.assertEqual(came[0][1]["result"]["size"], 200_000)
        self.assertEqual([len(each) for kind, each in came if kind == apps.CHUNK], [65536, 65536, 65536, 3392])
        self.assertEqual(came[-1], (apps.END, {"requestId": "r", "size": 200_000}))
        self.wire.producer.pauseProducing()
        self.assertEqual(len(self.ask("readFile", "slow", path="/down")), 2)
        self.say(apps.CANCEL, {"requestId": "slow"})
        self.wire.producer.resumeProducing()
        self.assertEqual(self.came(), [(apps.END, {"requestId": "slow", "size": 65536})])

    def test_refused(self) -> None:
        """Words for what cannot be; what is no frame ends the connection."""
        self.assertEqual(self.ask("toString")[0][1]["error"], "Unknown operation: toString")
        self.assertEqual(self.ask("listDirectory", None, path="")[0][1]["error"], "Missing requestId")
        self.assertEqual(self.ask("readFile", path="none")[0][1]["error"], "File not found")
        self.say(apps.JSON, b"x")
        self.assertEqual(self.came()[0][1]["error"], "Invalid request")
        self.visit.message(self.wire, bytes((2, BINARY)) + b"\x09")
        self.assertTrue(self.wire.closed)

    def test_gone(self) -> None:
        """A browser that goes in the middle of an upload leaves nothing, whoever closes what."""
        self.ask("writeFile", path="up", size=6)
        self.visit.message(self.wire, bytes((2, CLOSED)))
        self.visit.closed(self.wire)
        self.assertEqual(list(self.root.iterdir()), [])
        self.say(apps.JSON, {"requestId": 1, "operation": "listDirectory", "params": {"path": ""}})
        self.assertEqual(self.came(), [])

    def test_gone_at_work(self) -> None:
        """A browser that goes while a thread is at work leaves no file, and none is closed in the thread's hands."""
        late, before = self.make_slow(), len(os.listdir("/proc/self/fd"))
        asked: dict[str, Any] = {"requestId": "r", "operation": "writeFile", "params": {"path": "up", "size": 6}}
        for number, frames in enumerate(([], [(apps.CHUNK, b"abc")]), 3):
            self.visit.message(self.wire, bytes((number, OPENED)) + b"files")
            for frame in (apps.frame(apps.JSON, asked), *(apps.frame(*each) for each in frames)):
                self.visit.message(self.wire, bytes((number, BINARY)) + frame)
            for _ in frames:
                waiting, what, arguments = late.pop()
                waiting.callback(what(*arguments))
            ((waiting, what, arguments),) = late
            late.clear()
            self.visit.message(self.wire, bytes((number, CLOSED)))
            self.assertEqual(len(os.listdir("/proc/self/fd")), before + 2 * len(frames), "the thread has its file")
            waiting.callback(what(*arguments))
            self.assertEqual((list(self.root.iterdir()), len(os.listdir("/proc/self/fd"))), ([], before), number)
        self.visit.closed(self.wire)
        self.assertEqual((late, self.flushLoggedErrors()), ([], []))

    def test_app(self) -> None:
        """The app is read as it comes; what is none is told of."""
        self.assertRaises(ConfigError, AppFiles.read, self.root)
        (self.root / "manifest.json").write_text(json.dumps(MANIFEST))
        self.assertRaises(ConfigError, AppFiles.read, self.root)
        (self.root / "ui.js").write_text("x")
        self.assertEqual(AppFiles.read(self.root), AppFiles(MANIFEST, "x"))
