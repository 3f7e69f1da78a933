"""A real upload server on loopback."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.ports import free_port
from tests.upload_nodes import UploadNode


class ProcessTests(SynchronousTestCase):
    timeout = 60

    def test_metrics(self) -> None:
        """Prometheus reads what was counted, and nothing else is there."""
        port = free_port()
        node = UploadNode(f'metrics = "127.0.0.1:{port}"')
        self.addCleanup(node.end)
        node.start()
        self.assertEqual(node.ask("PUT", node.slot("s/a", 3), {}, b"abc")[0], 201)
        node.port = port
        status, headers, said = node.ask("GET", "/metrics")
        self.assertEqual((status, headers["content-type"].partition(";")[0]), (200, "text/plain"))
        self.assertIn(b'morphnet_uploads_complete_total{role="upload",name="upload"} 1\n', said)
        self.assertEqual(node.ask("GET", "/upload/s/a")[0], 404)
