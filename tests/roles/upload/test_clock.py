"""Clocks that are set while files come in (F4): nothing is lost by that, and nobody is sent away."""

from __future__ import annotations

import json
import os

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.upload.expiry import Patience
from morphnet.wire.messages.upload.slots import jwt, mac_v3
from tests.fakes_upload import NOW, SECRET, Service, bearer, slot

DATA = bytes(range(100))
HOUR, DAY = 3600.0, 86400.0


class ClockTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.steady = 5.0
        self.service = Service(self.mktemp())
        self.service.shelf._patience = Patience(lambda: self.service.now, lambda: self.steady)

    def passes(self, seconds: float, step: float = 0.0) -> None:
        """Time passes, and the clock is set by so much."""
        self.steady += seconds
        self.service.now += seconds + step

    def cut(self, target: str, headers: dict[str, str], path: str) -> None:
        self.service.cut_put(target, headers, 100, DATA[:40])
        self.written_now(path)

    def written_now(self, path: str) -> None:
        """By the clock of the test."""
        os.utime(self.service.vault._here(path), (self.service.now, self.service.now))

    def sweep(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.service.shelf.sweep(2 * HOUR, 12 * HOUR)))

    def token(self, name: str, **more: object) -> dict[str, str]:
        claims = {"sub": "a@x", "slot": "s", "filename": name, "filesize": 100, "exp": NOW + 300, **more}
        return {"Authorization": f"Bearer {jwt(SECRET, claims)}"}

    def each(self) -> list[tuple[str, str, dict[str, str]]]:
        """A path, its slot's address and headers, of each scheme; begun as long as it may."""
        until = int(NOW) + 300
        v3 = f"/up/s/v3?v3={mac_v3(SECRET, 'PUT', 's/v3', str(until))}&expires={until}"
        return [
            ("s/v1", slot("s/v1", 100), {}),
            ("s/v3", v3, {}),
            ("s/jwt", "/up/s/jwt", self.token("jwt", expires=NOW + 7 * DAY)),
            ("s/day", "/up/s/day", self.token("day")),
            ("s/bearer", bearer("s/bearer", 100, "a@x", until), {}),
        ]

    def test_set(self) -> None:
        """Set by an hour or a day, there or back, an upload goes on from its byte, its session too; it stays whole."""
        for step in (HOUR, -HOUR, DAY, -DAY):
            self.setUp()
            self.sweep()
            for path, target, headers in self.each():
                self.cut(target, headers, path)
            said = self.service.ask("HEAD", "/up/s/jwt", {**self.token("jwt"), "Tus-Resumable": "1.0.0"})
            self.passes(60.0, step)
            self.sweep()
            for path, target, headers in self.each():
                got = self.service.ask("HEAD", target, {**headers, "Tus-Resumable": "1.0.0"})
                self.assertEqual((got.status, got.headers.get("upload-offset")), (200, "40"), (path, step))
            session = f"/up/s/jwt?session_id={said.headers['x-session-id']}"
            fresh = json.loads(self.service.ask("POST", session, self.token("jwt")).body)
            self.passes(60.0, -step / 2)
            for path, target, headers in self.each():
                headers = {"Authorization": fresh["authorization"]} if path == "s/jwt" else headers
                self.assertEqual(self.service.ask("PUT", target, headers, DATA).status, 201, (path, step))
            self.passes(60.0, -step / 2)
            self.sweep()
            for path, *_ in self.each():
                self.assertEqual(self.service.ask("GET", f"/up/{path}").body, DATA)
            self.assertEqual(self.service.shelf.counts["uploads_expired"], 0)

    def test_running(self) -> None:
        """One that is just written to is not swept, whatever the clock says, and time that does pass counts."""
        line = self.service.begun_put(slot("s/a", 100), 100, DATA[:40])
        self.written_now("s/a")
        self.passes(0.0, 400 * DAY)
        self.sweep()
        line.send(DATA[40:])
        self.assertEqual([each.status for each in line.answers()], [201])
        self.cut(slot("s/b", 100), {}, "s/b")
        self.sweep()
        self.passes(HOUR)
        self.sweep()
        self.assertEqual(self.service.vault.length("s/b"), 40)
        self.passes(2 * HOUR + DAY)
        self.sweep()
        self.assertEqual(self.service.vault.length("s/b"), 0)
