"""Requests of all kinds for a few uploads, cut and overtaken at any moment, on a slow store and a slow disk."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from tests import EXAMPLES
from tests.fakes_upload import Answer, Line, Service, slot

A = bytes(range(100))
B = A[:60] + bytes(40)  # begins like A
SIZE, STEPS = len(A), 150
STORMS = EXAMPLES // 5
PATHS = ("s/a", "s/b")
STORE = ("begin", "announce", "sized", "grow", "complete", "forget", "moved", "used")
TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
ALL = {"Upload-Length": str(SIZE)}


class Later:
    """Work of a thread: done when it is told to be."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Deferred[Any], Callable[[], Any]]] = []

    def ask(self, work: Callable[[], Any]) -> Deferred[Any]:
        """Some of it."""
        done = Deferred[Any]()
        self._waiting.append((done, work))
        return done

    def go_on(self, number: int = 0) -> bool:
        """Do one; False: there is none."""
        if not self._waiting:
            return False
        done, work = self._waiting.pop(number % len(self._waiting))
        maybeDeferred(work).chainDeferred(done)
        return True


class Slow(Service):
    """A server with both: the store answers in order, the disk in any."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory, quota=0)
        self.store, self.disk = Later(), Later()
        for name in STORE:
            setattr(self.uploads, name, self._slowly(getattr(self.uploads, name)))
        self.shelf._beside = self.shelf._ahead._beside = self.disk.ask

    def _slowly(self, call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: self.store.ask(lambda: call(*arguments))

    def settle(self) -> None:
        """Until nothing waits."""
        for _ in range(4):
            while self.store.go_on() or self.disk.go_on():
                pass
            self.clock.advance(3.0)

    def final(self, verb: str, target: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        """One request when nothing else is under way."""
        line = Line(self)
        line.begin(verb, target, headers, body)
        self.settle()
        return [each for each in line.answers(head=verb == "HEAD") if each.status > 199][-1]


class Asked:
    """A request that is under way, and what is left of its body."""

    def __init__(self, service: Slow, path: str, told: int, chance: random.Random) -> None:
        self.path, self.told, self._chance, self.line = path, told, chance, Line(service)  # told: when it was asked
        data = chance.choice((A, A, A, B))
        self.verb, headers, body = chance.choice((self._put, self._tus, self._draft, self._draft))(data)
        self._rest = body
        self.line.begin(self.verb, slot(path, SIZE), {**headers, "Content-Length": str(len(body))})

    def _put(self, data: bytes) -> tuple[str, dict[str, str], bytes]:
        return "PUT", {}, data

    def _from(self) -> int:
        return self._chance.choice((self.told, self._chance.randrange(SIZE)))

    def _tus(self, data: bytes) -> tuple[str, dict[str, str], bytes]:
        at, end = self._from(), self._chance.choice((SIZE, self._chance.randrange(SIZE)))
        append = ("PATCH", {**TUS, "Upload-Offset": str(at)}, data[at:end])
        return self._chance.choice(
            (append, append, ("HEAD", {**TUS, **ALL}, b""), ("POST", {**TUS, **ALL}, data[:end]))
        )

    def _draft(self, data: bytes) -> tuple[str, dict[str, str], bytes]:
        at, known = self._from(), {"Upload-Draft-Interop-Version": str(self._chance.choice((5, 6)))}
        flag, kind = {"Upload-Complete": "?1"}, {"Content-Type": "application/partial-upload"}
        append = ("PATCH", {**known, **flag, **kind, "Upload-Offset": str(at)}, data[at:])
        return self._chance.choice((append, ("HEAD", {**known, **ALL}, b""), ("PUT", {**known, **flag}, data)))

    def go_on(self) -> None:
        """Some more of its body."""
        count = self._chance.choice((len(self._rest), self._chance.randrange(len(self._rest) + 1)))
        if count and not self.line.aborted and not self.line.transport.disconnecting:
            piece, self._rest = self._rest[:count], self._rest[count:]
            self.line.send(piece)


class StormTests(SynchronousTestCase):
    timeout = 600

    def setUp(self) -> None:
        # Twisted's real transports take it when somebody goes on with one that is about to end; that of its tests not.
        self.patch(StringTransport, "_checkState", lambda transport: None)

    def test_storms(self) -> None:
        """Nothing fails or hangs, no offset that was told goes back, a whole file stays, and each upload arrives."""
        for seed in range(STORMS):
            self.storm(Slow(self.mktemp()), random.Random(seed), seed)

    def storm(self, service: Slow, chance: random.Random, seed: int) -> None:
        asked, told, whole = list[Asked](), dict.fromkeys(PATHS, 0), dict[str, bytes]()
        for _ in range(STEPS):
            what = chance.random()
            if what < 0.3:
                path = chance.choice(PATHS)
                asked.append(Asked(service, path, told[path], chance))
            elif what < 0.6 and asked:
                chance.choice(asked).go_on()
            elif what < 0.95:
                chance.choice((service.store.go_on, lambda: service.disk.go_on(chance.randrange(9))))()
            elif asked:
                asked.pop(chance.randrange(len(asked))).line.cut()
            self.look(service, asked, told, whole, seed)
        service.settle()
        for each in asked:
            each.line.cut()
        service.settle()
        self.assertEqual((len(service.shelf.turns), service.factory._running), (0, set()), seed)
        for path in PATHS:
            self.finish(service, path, seed)

    def look(self, service: Slow, asked: list[Asked], told: dict[str, int], whole: dict[str, bytes], seed: int) -> None:
        """What has come of it by now."""
        for each in asked:
            for answer in each.line.answers(head=each.verb == "HEAD"):
                self.assertNotEqual(answer.status, 500, (seed, self.flushLoggedErrors()))
                if each.verb == "HEAD" and answer.status in (200, 204):
                    offset = int(answer.headers["upload-offset"])
                    self.assertGreaterEqual(offset, each.told, seed)
                    told[each.path] = max(told[each.path], offset)
        for each in [each for each in asked if each.line.aborted]:
            each.line.cut()  # the network hears of it
            asked.remove(each)
        for path in PATHS:
            if (found := service.stored(path)) is not None:
                self.assertEqual((found, len(found)), (whole.setdefault(path, found), SIZE), seed)
        self.assertEqual(self.flushLoggedErrors(), [], seed)

    def finish(self, service: Slow, path: str, seed: int) -> None:
        """Whoever asks how far it is, and goes on from there, comes to its end."""
        head = service.final("HEAD", slot(path, SIZE), {**TUS, **ALL})
        if head.status == 404:
            self.assertEqual(service.final("PUT", slot(path, SIZE), {}, A).status, 201, seed)
        elif (at := int(head.headers["upload-offset"])) < SIZE:
            more = {**TUS, "Upload-Offset": str(at)}
            self.assertEqual(service.final("PATCH", slot(path, SIZE), more, A[at:]).status, 204, seed)
        stored = service.stored(path) or b""
        self.assertTrue(len(stored) == SIZE and all(x in pair for x, *pair in zip(stored, A, B, strict=True)), seed)
