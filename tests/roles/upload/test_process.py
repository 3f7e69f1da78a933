"""A real upload server on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from tests import upload_cuts
from tests.fakes_certificates import Pair
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
        self.assertLessEqual(max(sent.twice), 1 << 20)
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


class TlsTests(SynchronousTestCase):
    """A real server that speaks TLS, and real clients."""

    timeout = 60

    def setUp(self) -> None:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        self.pair = Pair(directory)
        self.node = UploadNode(f'[tls]\ncertificate = "{self.pair.certificate}"\nkey = "{self.pair.key}"')
        self.addCleanup(self.node.end)

    def call(self) -> ssl.SSLSocket:
        about = ssl.create_default_context()
        about.check_hostname, about.verify_mode = False, ssl.CERT_NONE
        made = about.wrap_socket(socket.create_connection(("127.0.0.1", self.node.port), timeout=20))
        self.addCleanup(made.close)
        return made

    def shown(self) -> str:
        """The name in the certificate that a new client is shown."""
        with self.call() as made:
            found = x509.load_der_x509_certificate(made.getpeercert(binary_form=True) or b"")
        return str(found.subject.rdns[0].rfc4514_string())

    def until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            time.sleep(0.05)

    def test_renewed(self) -> None:
        """A new certificate is shown when its files are there, or at SIGHUP; an upload goes on over both."""
        self.pair.renew("first")
        self.node.start()
        data = os.urandom(900_000)
        line = self.call()
        head = f"PUT {self.node.slot('t/a', len(data))} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
        line.sendall(head.encode() + data[:300_000])
        self.assertEqual(self.shown(), "CN=first")
        self.pair.renew("second")
        self.until(lambda: self.shown() == "CN=second")
        line.sendall(data[300_000:600_000])
        self.pair.renew("third")
        assert self.node.process is not None
        self.node.process.send_signal(signal.SIGHUP)
        self.until(lambda: self.shown() == "CN=third")
        self.pair.renew("fourth", key_too=False)
        self.until(lambda: bool(self.node.status()["warnings"]))
        self.assertIn("no certificate and its key", self.node.status()["warnings"][0])
        self.assertEqual(self.shown(), "CN=third")
        line.sendall(data[600_000:] + b"GET /upload/t/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with line.makefile("rb") as answers:
            said = answers.read()
        self.assertTrue(said.startswith(b"HTTP/1.1 201 "))
        self.assertTrue(said.endswith(b"\r\n\r\n" + data))

    def test_wrong_pair(self) -> None:
        """It does not start with a wrong pair, and says so in one sentence."""
        self.pair.renew("first")
        self.pair.renew("second", key_too=False)
        self.node.begin_process()
        assert self.node.process is not None
        self.assertEqual(self.node.process.wait(30), os.EX_CONFIG)
        said = [each for each in (self.node.directory / "log").read_text().splitlines() if each.startswith("morphnet:")]
        wrong = f"{self.pair.certificate} and {self.pair.key} are no certificate and its key, in PEM"
        self.assertEqual(said, [f"morphnet: {wrong}"])
