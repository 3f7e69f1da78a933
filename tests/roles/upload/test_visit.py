"""Requests from pages of other sites."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.upload.chunking import NAME, NUMBER, SESSION, SIZE
from tests.fakes_upload import Service, slot

SENT = (
    NAME,
    NUMBER,
    SESSION,
    SIZE,
    "content-digest",
    "content-disposition",
    "if-range",
    "if-none-match",
    "upload-concat",
)
SAFE = {"cache-control", "content-type", "content-length", "last-modified"}  # a page sees them in any answer
OURS = {"connection", "x-content-type-options", "content-security-policy", "cross-origin-resource-policy"}


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

    def test_names(self) -> None:
        """A page may send each header that is read, and see each that is for it."""
        service = Service(self.mktemp())
        options = service.ask("OPTIONS", "/up/s/a")
        may_send = options.headers["access-control-allow-headers"].lower().split(", ")
        self.assertEqual([each for each in SENT if each not in may_send], [])
        shown = {each.lower() for each in options.headers["access-control-expose-headers"].split(", ")}
        self.assertIn("retry-after", shown)
        target, told = slot("s/a", 3), {"Tus-Resumable": "1.0.0", "Upload-Length": "3"}
        for answer in (
            options,
            service.ask("POST", target, told),
            service.ask("HEAD", target, {"Upload-Draft-Interop-Version": "6"}),
            service.ask("PUT", target, {}, b"abc"),
            service.ask("GET", "/up/s/a", {"Range": "bytes=1-1"}),
        ):
            names = {each for each in answer.headers if not each.startswith("access-control-")}
            self.assertEqual(names - shown - SAFE - OURS, set())
