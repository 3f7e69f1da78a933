"""
A new request ends the hung old one: at once, in the turn of the loop in which its head is read (F2).

How long a turn takes is another matter (`net/slices`); what is asserted here are turns, and what comes before what.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from tests.fakes_upload import Line, Service, slot
from tests.upload_nodes import UploadNode

DATA = bytes(range(100))
HALF = len(DATA) // 2
TUS = {"Tus-Resumable": "1.0.0"}
_TUS_BODY = {**TUS, "Upload-Offset": str(HALF), "Content-Type": "application/offset+octet-stream"}
_DRAFT = {"Upload-Draft-Interop-Version": "6"}
_DRAFT_BODY = {
    **_DRAFT,
    "Upload-Offset": str(HALF),
    "Upload-Complete": "?1",
    "Content-Type": "application/partial-upload",
}
# What the same client comes with: verb, headers, body, and the status of its answer.
NEW: tuple[tuple[str, Mapping[str, str], bytes, int], ...] = (
    ("HEAD", TUS, b"", 200),
    ("PATCH", _TUS_BODY, DATA[HALF:], 204),
    ("HEAD", _DRAFT, b"", 204),
    ("PATCH", _DRAFT_BODY, DATA[HALF:], 200),
    ("PUT", {}, DATA, 201),
    ("DELETE", TUS, b"", 204),
)


class TurnTests(SynchronousTestCase):
    def test_same_turn(self) -> None:
        """Whichever it is, the old connection is ended before a byte of the new body is read; no timer fires."""
        service = Service(self.mktemp())
        for number, (verb, headers, body, status) in enumerate(NEW):
            target = slot(f"s/{number}", len(DATA))
            old = service.begun_put(target, len(DATA), DATA[:HALF])
            new = Line(service)
            length = {} if verb == "HEAD" else {"Content-Length": str(len(body))}
            new.begin(verb, target, {**headers, **length})
            self.assertTrue(old.aborted, verb)
            new.send(body)
            self.assertEqual([each.status for each in new.answers(head=verb == "HEAD")][-1], status, verb)

    def test_hundred(self) -> None:
        """Of a hundred in a row each ends the one before, and only that; the last one's bytes are the file."""
        service = Service(self.mktemp())
        target = slot("s/a", len(DATA))
        lines = [service.begun_put(target, len(DATA), DATA[:number]) for number in range(len(DATA))]
        self.assertEqual([each.aborted for each in lines], [True] * 99 + [False])
        other = service.begun_put(slot("s/b", len(DATA)), len(DATA), DATA[:1])
        lines[-1].send(DATA[99:])
        self.assertEqual(([each.status for each in lines[-1].answers()], other.aborted), ([201], False))
        self.assertEqual((service.stored("s/a"), service.shelf.turns.taken_over), (DATA, 99))


class OrderTests(SynchronousTestCase):
    """A real server, with its threads and its disk, on loopback."""

    timeout = 60

    def test_before_the_answer(self) -> None:
        """Who has the answer to the new request finds the hung connection ended already, each time."""
        node = UploadNode()
        self.addCleanup(node.end)
        node.start()
        for number in range(4 * len(NEW)):
            verb, headers, body, status = NEW[number % len(NEW)]
            target = node.slot(f"o/{number}", len(DATA))
            with node.begin("PUT", target, len(DATA), DATA[:HALF]) as old:
                while self.stored(node, f"o/{number}") != HALF:
                    self.assertEqual(self.ended(old), False)
                self.assertEqual(node.ask(verb, target, headers, body)[0], status, verb)
                self.assertEqual(self.ended(old), True, verb)
        self.assertEqual(node.counter("uploads_taken_over"), 4 * len(NEW))

    @staticmethod
    def stored(node: UploadNode, path: str) -> int:
        """Bytes that are there of it."""
        return sum(each["stored_bytes"] for each in node.status()["uploads"] if each["path"] == path)

    @staticmethod
    def ended(line: socket.socket) -> bool:
        """Whether the server has ended it by now; nothing is waited for."""
        if not select.select([line], [], [], 0.0)[0]:
            return False
        try:
            return not line.recv(1)
        except ConnectionResetError:
            return True
