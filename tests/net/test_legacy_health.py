"""What `/health` and `/metrics` say."""

from __future__ import annotations

import json

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.legacy_health import health_site


class HealthTests(SynchronousTestCase):
    def get(self, path: str) -> tuple[bytes, bytes]:
        """First line and body of the answer."""
        site = health_site(lambda: {"status": "ok"}, lambda: {"legacy_sessions": 2})
        protocol, transport = site.buildProtocol(None), StringTransport()
        assert protocol is not None
        protocol.makeConnection(transport)
        protocol.dataReceived(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        head, _, body = transport.value().partition(b"\r\n\r\n")
        return head.partition(b"\r\n")[0].split(b" ")[1], body

    def test_pages(self) -> None:
        """Two of JSON, and nothing else."""
        status, body = self.get("/health")
        self.assertEqual((status, json.loads(body)), (b"200", {"status": "ok"}))
        self.assertEqual(json.loads(self.get("/metrics")[1]), {"legacy_sessions": 2})
        for path in ("/", "/x", "/../etc/passwd"):
            self.assertEqual(self.get(path), (b"404", b""))
