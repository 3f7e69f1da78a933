"""Requests from pages of other sites."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.fakes_upload import Service, slot


class VisitTests(SynchronousTestCase):
    def test_cors(self) -> None:
        """A page of any site may upload and see offsets: each answer says so, refusals too; credentials are no part."""
        service = Service(self.mktemp())
        for answer in (
            service.ask("OPTIONS", "/up/s/a"),
            service.ask("PUT", slot("s/a", 1), {}, b"x"),
            service.ask("PUT", "/up/s/a", {}, b"x"),
            service.ask("GET", "/up/s/a"),
        ):
            self.assertEqual(answer.headers["access-control-allow-origin"], "*")
            self.assertIn("Upload-Offset", answer.headers["access-control-expose-headers"])
            self.assertNotIn("access-control-allow-credentials", answer.headers)
