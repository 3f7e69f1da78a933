"""The upload server's picture."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.upload import UploadConfig
from morphnet.roles.upload.node import UploadNode


class UploadNodeTests(SynchronousTestCase):
    def test_status(self) -> None:
        """What it has counted, and what runs now; it is well while it serves."""
        node = UploadNode(UploadConfig(), lambda: {"uploads_running": 2, "uploads_begun": 3}, now=lambda: 1.0)
        self.assertFalse(node.status().well)
        node.state = "serving"
        status = node.status()
        self.assertEqual((status.role, status.well), ("upload", True))
        self.assertEqual((status.counters, status.levels), ({"uploads_begun": 3}, {"uploads_running": 2}))

    def test_component(self) -> None:
        """That the XMPP server does not let us in is a warning, and a line when it changes."""
        node = UploadNode(UploadConfig(), dict, now=lambda: 1.0)
        self.assertEqual(node.status().warnings, ())
        for said in ("it was not reached yet", "", "", "the connection was lost"):
            node.component_is(said)
        self.assertEqual(node.status().warnings, ("no slots by XMPP: the connection was lost",))
        self.assertEqual([each.kind for each in node.happenings(0)], ["component-up", "component-lost"])

    def test_certificate(self) -> None:
        """That a new certificate is none is a warning until one is read."""
        node = UploadNode(UploadConfig(), dict, now=lambda: 1.0)
        for said in ("it is none", ""):
            node.certificate_is(said)
            self.assertEqual(len(node.status().warnings), bool(said))
        self.assertEqual([each.kind for each in node.happenings(0)], ["certificate", "certificate"])

    def test_redis(self) -> None:
        """That Redis is away is a warning, and a line when it changes."""
        node = UploadNode(UploadConfig(), dict, now=lambda: 1.0)
        for said in ("", "gone", "still gone", ""):
            node.redis_is(said)
            self.assertEqual(len(node.status().warnings), bool(said))
        self.assertEqual([each.kind for each in node.happenings(0)], ["redis-lost", "redis-up"])

    def test_reload(self) -> None:
        """It reads the secrets again when it is asked."""
        node, read = UploadNode(UploadConfig(), dict), list[int]()
        node.read_again = lambda: read.append(1)
        (verb,) = node.verbs()
        self.assertIn("secrets", verb.call())
        self.assertEqual(read, [1])
