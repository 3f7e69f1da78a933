"""A real upload server on loopback."""

from __future__ import annotations

import json
import time

from twisted.trial.unittest import SynchronousTestCase

from tests import upload_cuts
from tests.ports import free_port
from tests.upload_floods import token
from tests.upload_nodes import SECRET, UploadNode


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

    def test_cuts(self) -> None:
        """Over 20 cuts at any byte, each time from another address: no offset goes back, nothing old is left open."""
        node = UploadNode()
        self.addCleanup(node.end)
        node.start()
        sent = upload_cuts.send(node, 8 << 20, 20)
        self.assertEqual((sent.same, sent.went_back, sent.left_open, len(sent.twice)), (True, 0, 0, 21))
        self.assertGreaterEqual(node.counter("uploads_taken_over"), 10)

    def test_session_outlives(self) -> None:
        """A session outlives its address, its token, the secret and the process: the upload goes on from its byte."""
        node = UploadNode()
        self.addCleanup(node.end)
        node.start()
        target, slot = "/upload/s/a", token("a", 100, expires=int(time.time()) + 1)
        name, shown = slot.strip().split(": ", 1)
        with node.begin("PUT", target, 100, b"x" * 30, more=slot):
            while not node.status()["uploads"] or not node.status()["uploads"][0]["stored_bytes"]:
                time.sleep(0.01)
            said = node.ask("HEAD", target, {name: shown, "Tus-Resumable": "1.0.0"})[1]
        session = f"{target}?session_id={said['x-session-id']}"
        node.kill()
        (node.directory / "secret").write_text(f"another secret\n{SECRET}\n")
        time.sleep(1.5)
        node.start()
        self.assertEqual(node.ask("PUT", target, {name: shown}, b"x" * 100)[0], 410)
        told = json.loads(node.ask("GET", session, {name: shown})[2])
        self.assertEqual((told["session_id"], told["uploaded_bytes"]), (said["x-session-id"], 30))
        fresh = json.loads(node.ask("POST", session, {name: shown})[2])["authorization"]
        with node.begin("PUT", target, 100, b"x" * 100, "127.0.0.2", more=f"Authorization: {fresh}\r\n") as line:
            self.assertIn(b" 201 ", line.recv(4096))
        moves = json.loads(node.ask("GET", session, {name: fresh})[2])["network_history"]
        self.assertEqual([each["client_ip"] for each in moves], ["127.0.0.1", "127.0.0.2"])
        self.assertEqual(node.counter("uploaded_bytes"), 70)
