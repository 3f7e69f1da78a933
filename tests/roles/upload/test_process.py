"""A real upload server on loopback."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes_certificates import Pair
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
