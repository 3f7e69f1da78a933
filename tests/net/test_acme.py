"""Certificates by ACME, of a real CA: pebble, Let's Encrypt's own for tests."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from morphnet.net.acme import Authority, NoCertificate, apart, issue, make_key
from morphnet.roles.coordinator.plaindoor import WHERE
from tests.pebble import WITHOUT, Pebble
from tests.ports import free_port

NAMES = ("home.example.org", "other.example.org")


class Shown:
    """What is on port 80 of every name."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.asked: list[str] = []
        outer = self

        class Answering(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.headers["Host"].partition(":")[0])
                said = outer.answers.get(self.path.removeprefix(WHERE))
                self.send_response(404 if said is None else 200)
                self.end_headers()
                self.wfile.write(said or b"")

            def log_message(self, *words: Any) -> None:
                """Nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Answering)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def show(self, token: str, said: bytes) -> None:
        self.answers[token] = said

    def end(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class IssueTests(SynchronousTestCase):
    skip = WITHOUT
    timeout = 60

    def setUp(self) -> None:
        self.shown = Shown()
        self.addCleanup(self.shown.end)
        self.ca = Pebble(self.shown.server.server_port)
        self.addCleanup(self.ca.end)
        self.ca.start()
        self.authority = Authority(self.ca.url, make_key(), "anna@example.org", str(self.ca.ca_file))

    def test_issue(self) -> None:
        """
        A certificate for all names, under a key that came with it, and its chain; the account is made once. Where the
        CA finds nothing there is none, and it is said of which name.
        """
        for again in range(2):
            pem = issue(self.authority, NAMES, self.shown.show)
            chain = x509.load_pem_x509_certificates(pem)
            key: Any = load_pem_private_key(pem, None)
            self.assertGreaterEqual(len(chain), 2)
            self.assertEqual(chain[0].public_key(), key.public_key())
            chain[0].verify_directly_issued_by(chain[1])
            found = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName)
            self.assertEqual(set(found.value.get_values_for_type(x509.DNSName)), set(NAMES), again)
        self.assertEqual(set(self.shown.asked), set(NAMES))
        said = (self.ca.directory / "log").read_text()
        self.assertEqual(said.count("There are now 1 accounts"), 1)
        trouble = self.assertRaises(NoCertificate, issue, self.authority, ("third.example.org",), lambda *_: None)
        self.assertIn("third.example.org and says", str(trouble))


class TroubleTests(SynchronousTestCase):
    def test_away(self) -> None:
        """A CA that is not there is one sentence."""
        port = free_port()
        authority = Authority(f"https://127.0.0.1:{port}/dir", make_key())
        trouble = self.assertRaises(NoCertificate, issue, authority, NAMES, lambda *_: None)
        self.assertEqual(str(trouble), "the CA is not reached: ConnectionError")


class ApartTests(TestCase):
    def test_result(self) -> Deferred[Any]:
        """What a thread finds arrives, and what it fails with."""
        done = apart(reactor, lambda: threading.current_thread().name.encode())
        done.addCallback(self.assertEqual, b"acme")
        done.addCallback(lambda _: self.assertFailure(apart(reactor, lambda: bytes(1 // 0)), ZeroDivisionError))
        return done
