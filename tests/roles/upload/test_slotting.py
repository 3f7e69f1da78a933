"""Who is given a slot."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.upload.slotting import FOR_EVER, OPENS, Allowance, Slotting
from morphnet.wire.messages.upload.requests import SlotGiven, SlotNotGiven, SlotRequest
from tests.fakes_upload import NOW, SECRET, Service

ONE = SlotRequest("a@x", "ä b.txt", 400, "text/plain", "message")


class SlottingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service, self.counts = Service(self.mktemp()), Counter[str]()
        self.slotting = Slotting(
            "https://x/up/",
            Allowance(("x",), 1000, 1000, 3),
            self.service.uploads,
            lambda: SECRET,
            lambda: self.service.now,
            self.counts,
        )

    def ask(self, request: SlotRequest = ONE) -> SlotGiven:
        return self.successResultOf(Deferred.fromCoroutine(self.slotting.slot(request)))

    def refused(self, request: SlotRequest = ONE) -> SlotNotGiven:
        failed = self.failureResultOf(Deferred.fromCoroutine(self.slotting.slot(request)), SlotNotGiven)
        assert isinstance(failed.value, SlotNotGiven)
        return failed.value

    def put(self, given: SlotGiven, body: bytes = b"x" * 400) -> int:
        return self.service.ask("PUT", given.put.removeprefix("https://x"), given.headers, body).status

    def test_used(self) -> None:
        """A slot is good at our own desk: for its user, its type, and its time."""
        given = self.ask(replace(ONE, purpose="permanent"))
        self.assertEqual(self.put(given), 201)
        (record,) = self.service.uploads._records.values()
        self.assertEqual((record.user, record.kind, record.lasts_until), ("a@x", "text/plain", int(NOW) + FOR_EVER))
        self.assertEqual(self.service.ask("GET", given.get.removeprefix("https://x")).body, b"x" * 400)
        self.assertEqual(list(given.headers), ["Authorization"])
        self.assertTrue(given.put.endswith("/%C3%A4%20b.txt"), given.put)

    def test_too_late(self) -> None:
        """It must begin in time."""
        given = self.ask()
        self.service.now += OPENS + 1
        self.assertEqual(self.put(given), 410)

    def test_refused(self) -> None:
        """Somebody of elsewhere; a file that is too large."""
        self.assertEqual(self.refused(replace(ONE, user="a@y")).condition, "forbidden")
        large = self.refused(replace(ONE, size=1001))
        self.assertEqual((large.condition, large.kind, large.max_size), ("not-acceptable", "modify", 1000))
        self.assertEqual(dict(self.counts), {"slots_refused": 2})

    def test_quota(self) -> None:
        """What is on its way counts for a while, what is there for ever; others are not concerned."""
        self.slotting.allowance = replace(self.slotting.allowance, slots_an_hour=100)
        self.assertEqual([self.put(self.ask()) for _ in range(2)], [201, 201])
        full = self.refused()
        self.assertEqual((full.condition, full.kind), ("resource-constraint", "cancel"))
        self.assertIn("room for 200 more", str(full))
        self.ask(replace(ONE, size=200))
        self.assertEqual(self.refused(replace(ONE, size=100)).again_at, self.service.now + OPENS)
        self.ask(replace(ONE, user="b@x"))

    def test_too_often(self) -> None:
        """So many an hour, and it is told when again."""
        for _ in range(3):
            self.ask(replace(ONE, size=1))
            self.service.now += 1
        often = self.refused(replace(ONE, size=1))
        self.assertEqual((often.condition, often.kind, often.again_at), ("resource-constraint", "wait", NOW + 3600))
        self.service.now = NOW + 3601
        self.ask(replace(ONE, size=1))

    def together(self, request: SlotRequest, times: int) -> list[str]:
        """What comes of so many requests that come before the store has answered one: a condition, "" for a slot."""
        uploads, waiting = self.service.uploads, list[Deferred[int]]()
        used = uploads.used

        def later(user: str) -> Deferred[int]:
            waiting.append(Deferred())
            return waiting[-1]

        def condition(failure: Failure) -> str:
            return str(getattr(failure.value, "condition", failure))

        self.patch(uploads, "used", later)
        results: list[Deferred[Any]] = [Deferred.fromCoroutine(self.slotting.slot(request)) for _ in range(times)]
        for each in waiting:
            used(request.user).chainDeferred(each)
        self.patch(uploads, "used", used)
        for slotted in results:
            slotted.addErrback(condition)
        return [said if isinstance(said, str) else "" for said in map(self.successResultOf, results)]

    def test_together(self) -> None:
        """Requests that come at once have no more slots than one after the other; a refused one takes nothing."""
        refused = "resource-constraint"
        self.assertEqual(self.together(replace(ONE, size=10), 5), ["", "", "", refused, refused])
        self.service.now += 3601
        self.assertEqual(self.together(ONE, 3), ["", "", refused])
        self.ask(replace(ONE, size=200))
