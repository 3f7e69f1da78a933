"""TLS for browsers."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path
from threading import Thread
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from OpenSSL import SSL
from twisted.internet import reactor as _reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from morphnet.errors import ConfigError
from morphnet.net.bulk import BulkServer
from morphnet.net.gate import OpenGate
from morphnet.net.http import Exchange, HttpFactory, Piece
from morphnet.net.listen import listen_tcp
from morphnet.net.slices import SLICE
from morphnet.net.webtls import WebTls
from tests.fakes_certificates import certificate, secret

reactor = cast(Any, _reactor)
DATA = bytes(range(256)) * 800


class WebTlsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.key = generate_private_key(SECP256R1())
        self.files = Path(self.mktemp()), Path(self.mktemp())
        self.files[0].write_bytes(certificate(self.key, "first"))
        self.files[1].write_bytes(secret(self.key))
        self.tls = WebTls(*self.files)

    def shown(self) -> str:
        """What a client is shown, in memory."""
        server = self.tls.serverConnectionForTLS(None)  # type: ignore[arg-type]
        client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        server.set_accept_state()
        client.set_connect_state()
        for _ in range(4):
            for one, other in ((client, server), (server, client)):
                try:
                    one.do_handshake()
                except SSL.WantReadError:
                    pass
                try:
                    other.bio_write(one.bio_read(65536))
                except SSL.WantReadError:
                    pass
        found = client.get_peer_certificate()
        assert found is not None
        return str(found.get_subject().CN)

    def test_renewed(self) -> None:
        """A certificate that was renewed is shown from then on; one that is none changes nothing."""
        self.assertEqual(self.shown(), "first")
        self.files[0].write_bytes(certificate(self.key, "second"))
        self.tls.read_again()
        self.assertEqual(self.shown(), "second")
        self.files[0].write_bytes(b"")
        self.assertRaises(ConfigError, self.tls.read_again)
        self.assertEqual(self.shown(), "second")

    def test_none_yet(self) -> None:
        """Who may be without one refuses all who call, and shows what comes."""
        self.files[0].rename(later := Path(self.mktemp()))
        self.assertRaises(ConfigError, WebTls, *self.files)
        self.tls = WebTls(*self.files, optional=True)
        self.assertRaises(SSL.Error, self.shown)
        later.rename(self.files[0])
        self.tls.read_again()
        self.assertEqual(self.shown(), "first")

    def test_another_key(self) -> None:
        """A key that does not belong to it is told at the start."""
        self.files[1].write_bytes(secret(generate_private_key(SECP256R1())))
        self.assertRaises(ConfigError, WebTls, *self.files)

    def test_passphrase(self) -> None:
        """A key with a passphrase is no key for a server: nobody is asked for it."""
        self.files[1].write_bytes(secret(self.key, b"a passphrase"))
        self.assertRaises(ConfigError, WebTls, *self.files)


class TurnsTests(TestCase):
    """In TLS as well, of many that send at once as many have a turn of the loop as there is time for."""

    timeout = 60

    def setUp(self) -> None:
        key, files = generate_private_key(SECP256R1()), (Path(self.mktemp()), Path(self.mktemp()))
        files[0].write_bytes(certificate(key, "x"))
        files[1].write_bytes(secret(key))
        self.turns, self.pieces = list[int](), 0  # pieces of each turn, and of this one
        factory = WebTls(*files).wrap(HttpFactory(self.answer, reactor, 30.0))
        self.port = cast(Any, listen_tcp(OpenGate(reactor), "127.0.0.1", 0, factory))
        self.timer = reactor.callLater(0, self.turn)

    async def answer(self, exchange: Exchange) -> None:
        came: list[bytes] = []

        def take(data: Piece) -> None:
            self.pieces += 1
            time.sleep(SLICE / 2)  # a disk that is busy
            came.append(bytes(data))

        await exchange.stream(take)
        exchange.answer(201 if b"".join(came) == DATA else 400, {})

    def turn(self) -> None:
        self.turns.append(self.pieces)
        self.pieces, self.timer = 0, reactor.callLater(0, self.turn)

    def client(self, count: int) -> list[bytes]:
        """That many at once: the first line of each answer."""
        about = ssl.create_default_context()
        about.check_hostname, about.verify_mode = False, ssl.CERT_NONE
        where = "127.0.0.1", self.port.getHost().port
        lines = [about.wrap_socket(socket.create_connection(where, timeout=30)) for _ in range(count)]
        head = f"PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(DATA)}\r\n\r\n".encode()
        threads = [Thread(target=each.sendall, args=(head + DATA,)) for each in lines]
        for thread in threads:
            thread.start()
        said = [each.recv(12) for each in lines]
        for thread, line in zip(threads, lines, strict=True):
            thread.join()
            line.close()
        return said

    async def test_turns(self) -> None:
        """Each piece takes half a slice: there are some of them in a turn, never all, and all end."""
        try:
            self.assertEqual(await deferToThread(self.client, 30), [b"HTTP/1.1 201"] * 30)
        finally:
            self.timer.cancel()
            self.port.stopListening()
        self.assertLessEqual(max(self.turns), 2 * 5 + 2)  # of what is read at once, 64 KiB, a record of TLS has 16
        while any(isinstance(each, BulkServer) for each in (*reactor.getReaders(), *reactor.getWriters())):
            await deferToThread(time.sleep, 0.02)
