"""Two upload servers, one Redis, one directory: real processes on loopback."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.redis_server import WITHOUT, RedisServer
from tests.upload_nodes import UploadNode

OLD, NEW = b"o" * 400_000, b"n" * 400_000


def until(holds: Callable[[], bool]) -> None:
    """:raises AssertionError: it does not."""
    for _ in range(1000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it does not come")


class SharingTests(SynchronousTestCase):
    skip = WITHOUT
    timeout = 120

    def setUp(self) -> None:
        self.redis = RedisServer()
        self.addCleanup(self.redis.end)
        self.redis.start()
        self.files = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.files, ignore_errors=True)
        lines = f'[shared]\nredis_url = "{self.redis.url}"\nfiles = "{self.files}"\npatience_s = 0.02'
        self.one, self.other = UploadNode(lines), UploadNode(lines)
        for each in (self.one, self.other):
            self.addCleanup(each.end)
            each.start()
            until(lambda each=each: each.status()["warnings"] == [])  # type: ignore[misc]

    def begun(self, path: str) -> socket.socket:
        """A PUT to the first, whose half has arrived there."""
        line = self.one.begin("PUT", self.one.slot(path, len(OLD)), len(OLD), OLD[: len(OLD) // 2])
        self.addCleanup(line.close)
        return line

    def stored(self, node: UploadNode, path: str, length: int) -> Callable[[], bool]:
        """Whether so much has arrived."""
        return lambda: any(each["path"] == path and each["stored_bytes"] >= length for each in node.status()["uploads"])

    def test_goes_on(self) -> None:
        """An upload goes on at the other server from the same byte, and the first one's connection ends at once."""
        target = self.one.slot("s/a", len(OLD))
        line = self.begun("s/a")
        until(self.stored(self.one, "s/a", len(OLD) // 2))
        status, headers, _ = self.other.ask("HEAD", target, {"Tus-Resumable": "1.0.0"})
        self.assertEqual((status, int(headers["upload-offset"])), (200, len(OLD) // 2))
        with contextlib.suppress(ConnectionError):
            self.assertEqual(line.recv(1), b"")
        more = {"Tus-Resumable": "1.0.0", "Upload-Offset": str(len(OLD) // 2)}
        more |= {"Content-Type": "application/offset+octet-stream"}
        self.assertEqual(self.other.ask("PATCH", target, more, OLD[len(OLD) // 2 :])[0], 204)
        for each in (self.one, self.other):
            self.assertEqual(each.ask("GET", "/upload/s/a")[2], OLD)
        self.assertEqual(self.one.counter("uploads_complete") + self.other.counter("uploads_complete"), 1)

    def test_stopped(self) -> None:
        """Of servers that are stopped while they write none writes a byte when it wakes, once another has finished."""
        for turn in range(20):
            path = f"s/{turn}"
            line = self.begun(path)
            if turn % 2:
                until(self.stored(self.one, path, 1))
            self.one.stand_still(True)
            line.settimeout(1.0)
            with contextlib.suppress(TimeoutError):
                line.sendall(OLD[len(OLD) // 2 :])  # it is there for it when it wakes
            self.assertEqual(self.other.ask("PUT", self.other.slot(path, len(NEW)), {}, NEW)[0], 201)
            before = self.written()
            self.one.stand_still(False)
            line.settimeout(30.0)
            with contextlib.suppress(ConnectionError):
                while line.recv(4096):
                    pass
            self.assertLess(self.written() - before, 1000)  # of its log, and to wake its threads
            self.assertEqual(self.one.ask("GET", f"/upload/{path}")[2], NEW)
        self.assertEqual(list((self.files / "partial").iterdir()), [])

    def written(self) -> int:
        """Bytes that the first has written to files and pipes; what goes to sockets is sent, not written."""
        assert self.one.process is not None
        words = Path(f"/proc/{self.one.process.pid}/io").read_text().split()
        return int(words[words.index("wchar:") + 1])

    def test_redis_away(self) -> None:
        """Without Redis uploads that began go on, cut ones too, at both servers, and both give out what is whole."""
        self.begun("s/a")
        half = len(OLD) // 2
        until(self.stored(self.one, "s/a", half))
        line = self.begun("s/b")
        until(self.stored(self.one, "s/b", half))
        for still in (False, True):
            if still:
                self.redis.start()
                until(lambda: self.one.status()["warnings"] == [])
                line = self.begun("s/c")
                until(self.stored(self.one, "s/c", half))
                self.redis.stand_still(True)
            else:
                self.redis.stop()
                until(lambda: self.one.status()["warnings"] != [])
            line.sendall(OLD[half:])
            self.assertIn(b" 201 ", line.recv(4096))
            target = self.one.slot("s/a", len(OLD))
            _, headers, _ = self.one.ask("HEAD", target, {"Tus-Resumable": "1.0.0"})
            self.assertEqual(int(headers["upload-offset"]), half if not still else len(OLD))
            if not still:
                _, headers, _ = self.other.ask("HEAD", target, {"Tus-Resumable": "1.0.0"})
                self.assertEqual(int(headers["upload-offset"]), half)
                self.assertEqual(self.other.ask("GET", "/upload/s/b")[2], OLD)
                self.assertEqual(self.one.ask("PUT", target, {}, OLD)[0], 201)
            status, headers, body = self.one.ask("PUT", self.one.slot("s/new", 1), {}, b"x")
            self.assertEqual((status, headers["retry-after"]), (503, "5"), body)
        self.redis.stand_still(False)
        until(lambda: self.other.status()["warnings"] == [] == self.one.status()["warnings"])
        for path in "abc":
            self.assertEqual(self.other.ask("GET", f"/upload/s/{path}")[2], OLD)
        self.assertEqual(self.other.ask("PUT", self.other.slot("s/new", 1), {}, b"x")[0], 201)

    def test_redis_forgets(self) -> None:
        """Redis has forgotten everything, and both servers begin anew: uploads go on, and files are the same."""
        half, whole = len(OLD) // 2, self.one.slot("s/whole", len(NEW))
        self.assertEqual(self.one.ask("PUT", whole, {}, NEW)[0], 201)
        tag = self.one.ask("HEAD", "/upload/s/whole")[1]["etag"]
        self.begun("s/a")
        until(self.stored(self.one, "s/a", half))
        for each in (self.one, self.other):
            each.kill()
        self.redis.forget()
        for each in (self.one, self.other):
            each.start()
            until(lambda each=each: each.status()["warnings"] == [])  # type: ignore[misc]
        target = self.one.slot("s/a", len(OLD))
        _, headers, _ = self.other.ask("HEAD", target, {"Tus-Resumable": "1.0.0"})
        self.assertEqual(int(headers["upload-offset"]), half)
        self.assertEqual(self.one.ask("PUT", target, {}, OLD)[0], 201)
        self.assertEqual(self.other.counter("uploaded_bytes") + self.one.counter("uploaded_bytes"), half)
        status, headers, body = self.other.ask("GET", "/upload/s/whole")
        self.assertEqual((status, headers["etag"], body), (200, tag, NEW))
        self.assertEqual(self.other.ask("PUT", whole, {}, NEW)[0], 409)
        self.assertEqual(self.other.ask("GET", "/upload/s/a")[2], OLD)

    def test_session(self) -> None:
        """Who uploads is known to both."""
        target = self.one.slot("s/a", 100)
        self.begun_small(target)
        _, headers, _ = self.other.ask("HEAD", target)
        said = json.loads(self.other.ask("GET", f"{target}&session_id={headers['x-session-id']}")[2])
        self.assertEqual((said["uploaded_bytes"], said["completed"]), (30, False))

    def begun_small(self, target: str) -> None:
        """Thirty bytes at the first server, and the line is cut."""
        line = self.one.begin("PUT", target, 100, b"x" * 30)
        until(self.stored(self.one, "s/a", 30))
        line.close()
