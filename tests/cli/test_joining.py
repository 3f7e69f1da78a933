"""The machine's side of joining, against a server in memory."""

from __future__ import annotations

import socket
import time

from cryptography import x509
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from morphnet.cli import joining
from morphnet.cli.joining import _Deadline, request_certificate, request_over_network
from morphnet.errors import ConfigError, HostError
from morphnet.pki.authority import Authority, as_pem, check, describe
from morphnet.pki.invitation import Invitation, decode, encode
from morphnet.rendezvous.enrolment import Enrolment
from morphnet.store.base import CertificateRecord
from morphnet.store.memory import MemoryStore
from morphnet.wire.messages.control import Join, Joined, Ping, Refusal
from morphnet.wire.messages.control import encode as encode_signal
from tests.fakes_joining import Answer, FakeServer, server_identity
from tests.fakes_pki import FakeSigner, a_client, a_key, an_authority, an_invitation

KEY = a_key(9)


def _always(answer: bytes) -> Answer:
    return lambda join, serial, name: answer


class JoiningTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A network with one open invitation. OpenSSL looks at the real clock, so it is the test's as well."""
        self.now = time.time()
        self.authority = an_authority(now=self.now)
        self.invitation = decode(encode(an_invitation(self.authority, now=self.now)))
        self.store = MemoryStore()
        self.enrolment = Enrolment(FakeSigner(self.authority, lambda: self.now), self.store, lambda: self.now)
        self.shown = describe(self.invitation.certificate)
        serial = self.shown.serial
        self.store.add_certificate(CertificateRecord(serial, "laptop", "invite", int(self.invitation.not_after)))

    def _enrol(self, join: Join, serial: str, name: str) -> bytes:
        self.assertEqual((serial, name), (self.shown.serial, self.shown.name))
        asked = Deferred.fromCoroutine(self.enrolment.join(self.shown, join.csr))
        answers: list[Joined | Refusal] = []
        asked.addCallback(lambda pem: answers.append(Joined(pem, as_pem(self.authority.certificate).decode())))
        asked.addErrback(lambda failure: answers.append(Refusal(str(failure.value))))
        return encode_signal(answers[0])

    def _server(self, authority: Authority | None = None, name: str = "gw") -> FakeServer:
        return FakeServer(server_identity(authority or self.authority, now=self.now, name=name), self._enrol)

    def _ask(self, server: FakeServer, invitation: Invitation | None = None) -> x509.Certificate:
        return request_certificate(invitation or self.invitation, KEY, server, now=self.now).certificate

    def _told(self, server: FakeServer, invitation: Invitation | None = None) -> str:
        told = str(self.assertRaises(ConfigError, self._ask, server, invitation))
        self.assertNotIn("\n", told)
        return told

    def test_joins(self) -> None:
        """The machine ends with a client certificate for a key that it never sent."""
        certificate = self._ask(self._server())
        check(certificate, self.authority.certificate, "client", "laptop", now=self.now)
        self.assertEqual(certificate.public_key(), KEY.public_key())

    def test_twice(self) -> None:
        """The second time the server says no, and the operator reads why."""
        self._ask(self._server())
        self.assertIn("this invitation was used", self._told(self._server()))

    def test_revoked(self) -> None:
        """A revoked invitation is turned away before it can ask."""
        server = FakeServer(server_identity(self.authority, now=self.now), self._enrol, lambda serial: True)
        self.assertIn("revoked", self._told(server))
        self.assertEqual(server.asked, 0)

    def test_foreign_server(self) -> None:
        """A server of another CA, or of another name, learns nothing: not even the request."""
        for server, words in (
            (self._server(an_authority(2, now=self.now)), "not the server of this invitation"),
            (self._server(name="other"), "another name"),
        ):
            self.assertIn(words, self._told(server))
            self.assertEqual(server.asked, 0)

    def test_expired(self) -> None:
        """An invitation that has expired is not even tried."""
        old = an_invitation(an_authority(now=self.now - 99999), now=self.now - 90000)
        self.assertIn("has expired", self._told(self._server(), old))

    def test_bad_answers(self) -> None:
        """A certificate for another name, key or usage, or none at all, is not written anywhere."""
        ca = as_pem(self.authority.certificate).decode()
        public = KEY.public_key()
        wrong = (
            a_client(self.authority, now=self.now),  # of another key
            self.authority.client(public, "other", now=self.now),
            self.authority.invite(public, "laptop", now=self.now),
            an_authority(2, now=self.now).client(public, "laptop", now=self.now),
        )
        answers = [encode_signal(Joined(as_pem(each).decode(), ca)) for each in wrong]
        answers += [encode_signal(Joined("garbage", ca)), encode_signal(Ping(1)), b"\xff\xff\xff\xff", b""]
        for answer in answers:
            server = FakeServer(server_identity(self.authority, now=self.now), _always(answer))
            self.assertRaises((ConfigError, ConnectionResetError), self._ask, server)

    def test_hung_up(self) -> None:
        """A connection that ends in the middle is an OSError, for the caller to name the address."""

        class Deaf:
            def sendall(self, data: bytes, /) -> None:
                pass

            def recv(self, size: int, /) -> bytes:
                return b""

        self.assertRaises(OSError, request_certificate, self.invitation, KEY, Deaf(), now=self.now)

    def test_not_morphnet(self) -> None:
        """Something else on that port is one sentence."""

        class Chatty:
            def sendall(self, data: bytes, /) -> None:
                pass

            def recv(self, size: int, /) -> bytes:
                return b"SSH-2.0-OpenSSH_9.9\r\n"

        told = self.assertRaises(ConfigError, request_certificate, self.invitation, KEY, Chatty(), now=self.now)
        self.assertIn("not the server", str(told))

    def test_not_there(self) -> None:
        """A name that nobody knows, and a server that does not answer, are two sentences."""

        def fails(trouble: OSError) -> str:
            def connected(host: str, port: int) -> socket.socket:
                raise trouble

            self.patch(joining, "_connected", connected)
            return str(self.assertRaises(HostError, request_over_network, self.invitation, KEY, "gw.example"))

        unknown = fails(socket.gaierror(-2, "Name or service not known"))
        self.assertTrue(unknown.startswith("cannot find the server gw.example: Name or service not known: "), unknown)
        closed = fails(ConnectionRefusedError(111, "Connection refused"))
        self.assertTrue(
            closed.endswith("gw.example:8443: Connection refused: is it running, and TCP 8443 open?"), closed
        )

    def test_deadline(self) -> None:
        """When the time is over nothing is sent any more, and nothing waited for."""
        one, other = socket.socketpair()
        self.addCleanup(one.close)
        self.addCleanup(other.close)
        over = _Deadline(one, time.monotonic() - 1)
        self.assertRaises(TimeoutError, over.sendall, b"x")
        self.assertRaises(TimeoutError, over.recv, 1)
