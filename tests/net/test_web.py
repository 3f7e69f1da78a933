"""A connection through a web server, as its two ends see it."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IProtocol, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, optionsForClientTLS
from twisted.trial.unittest import SynchronousTestCase
from txaio.tx import config as autobahn_config

from morphnet.net.alpn import HTTP
from morphnet.net.dial import Destination, Net
from morphnet.net.knock import knock
from morphnet.net.passage import PassageTransport
from morphnet.net.sockaddr import host_of
from morphnet.net.tls import ClientTls
from morphnet.net.tlstransport import TlsFactory
from morphnet.net.web import NoWay, WebDial, WebDoor, public_tls
from morphnet.net.webtls import WebTls
from morphnet.roles.signalling.control_client import ControlClient
from tests.fakes_control import SERVER_HOST, FakeListener, Gateway
from tests.net.test_passage import Talker

NAME, KEY = "www.example.org", bytes(32)


def public_certificate(name: str) -> tuple[bytes, bytes]:
    """One that signs itself, and its key."""
    key, called = generate_private_key(SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begins = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = x509.CertificateBuilder(called, called, key.public_key(), 1, begins, begins + datetime.timedelta(3650))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made.sign(key, SHA256()).public_bytes(Encoding.PEM), secret


class WebCase(SynchronousTestCase):
    """A web server that hands everything on to the door, and a client."""

    certificate, secret = public_certificate(NAME)

    def setUp(self) -> None:
        self.gateway = Gateway()
        self.net = self.gateway.net
        self.net.resolver.hosts[NAME] = [SERVER_HOST]
        self.patch(autobahn_config, "loop", self.net)  # the one clock that Autobahn knows
        self.came: list[Talker] = []
        self.serve(cast(IProtocolFactory, Factory.forProtocol(self.talker)))
        self.key = KEY

    def talker(self) -> Talker:
        """Who is at the other end."""
        self.came.append(Talker())
        return self.came[-1]

    def serve(self, inner: IProtocolFactory) -> None:
        """Those that come by the web server are `inner`'s."""
        self.door = WebDoor(self.net, inner, lambda said: said == knock(KEY, bytes(8)), lambda headers: "198.51.100.9")
        files = Path(self.mktemp()), Path(self.mktemp())
        for file, content in zip(files, (self.certificate, self.secret), strict=True):
            file.write_bytes(content)
        self.net.servers[SERVER_HOST] = cast(
            IProtocolFactory, TlsFactory(WebTls(*files), False, self.door.factory, self.net)
        )

    def trusting(self, name: str = NAME) -> IOpenSSLClientConnectionCreator:
        """As with that certificate in the machine's list."""
        root = Certificate.loadPEM(self.certificate)
        return optionsForClientTLS(name, trustRoot=root, acceptableProtocols=[HTTP])

    def dial(self, tls: IOpenSSLClientConnectionCreator | None = None) -> WebDial:
        to = Destination(NAME, 443)
        return WebDial(cast(Net, self.net), tls or self.trusting(), to, "/a", lambda: knock(self.key, bytes(8)))

    def call(self, tls: IOpenSSLClientConnectionCreator | None = None) -> Deferred[IProtocol]:
        """The client calls."""
        calling = self.dial(tls).connect(cast(IProtocolFactory, Factory.forProtocol(Talker)))
        self.net.settle()
        return calling


class ThroughTests(WebCase):
    def test_both_ways(self) -> None:
        """Megabytes arrive; the caller's address is the one that the web server names; the end is told."""
        here = cast(Talker, self.successResultOf(self.call()))
        (there,) = self.came
        assert here.transport is not None and there.transport is not None
        self.assertEqual(host_of(there.transport.getPeer()), "198.51.100.9")
        self.assertIsInstance(there.transport, PassageTransport)  # so `is_through` knows it
        here.transport.write(b"abcd" * 100_000)
        there.transport.write(b"hello")
        self.net.pass_by(1.0, 0.1)
        self.assertEqual((there.heard, here.heard), (b"abcd" * 100_000, b"hello"))
        self.assertEqual(self.door.counters(), {"web_callers": 1, "web_refused": 0})
        here.transport.loseConnection()
        self.net.settle()
        self.assertEqual((here.gone, there.gone), (True, True))
        self.assertEqual(self.door.counters(), {"web_callers": 0, "web_refused": 0})

    def test_stranger(self) -> None:
        """Who cannot knock finds nothing, and nothing of ours begins; the caller is told in a sentence."""
        self.key = bytes(range(32))
        failed = self.failureResultOf(self.call(), NoWay)
        self.assertEqual(str(failed.value), "www.example.org by HTTPS: it hands nothing on there")
        self.assertEqual((self.came, self.door.counters()["web_refused"]), ([], 1))

    def test_untrusted(self) -> None:
        """A web server whose certificate nobody vouches for hears nothing of us, nor does one of another name."""
        for tls, why in ((public_tls(NAME), "none that this machine trusts"), (self.trusting("b.example"), "another")):
            failed = self.failureResultOf(self.call(tls), NoWay)
            self.assertIn(why, str(failed.value))
        self.assertEqual((self.came, self.door.counters()["web_refused"]), ([], 0))

    def test_given_up(self) -> None:
        """A call that is cancelled leaves nothing behind."""
        calling = self.dial().connect(cast(IProtocolFactory, Factory.forProtocol(Talker)))
        calling.cancel()
        self.net.settle()
        self.failureResultOf(calling, CancelledError)
        self.assertEqual(self.came, [])

    def test_full(self) -> None:
        """Where there is no room inside the caller is hung up on."""

        class Full(Factory):
            def buildProtocol(self, addr: object) -> None:
                return None

        self.serve(cast(IProtocolFactory, Full()))
        self.failureResultOf(self.call(), NoWay)
        self.assertEqual(self.door.counters()["web_callers"], 0)

    def test_close(self) -> None:
        """The server stops: all are hung up on, and nobody comes in any more."""
        here = cast(Talker, self.successResultOf(self.call()))
        closed = self.door.close()
        self.net.settle()
        self.successResultOf(closed)
        self.assertTrue(here.gone)
        self.failureResultOf(self.call(), NoWay)


class ControlTests(WebCase):
    def test_control(self) -> None:
        """The control link comes up inside, with the server's own certificate, and the control port is not called."""
        self.serve(self.gateway.server.factory)
        self.gateway.net.called.clear()
        listener = FakeListener()
        tls = ClientTls(self.gateway.laptop, "gateway")
        client = ControlClient(self.net, tls, Destination("192.0.2.99", 8443), listener)
        client.web = self.dial
        client.connect()
        self.net.settle()
        self.assertEqual(listener.heard, [("welcomed",)])
        self.assertEqual([host for host, _ in self.net.called], [SERVER_HOST])

    def test_address(self) -> None:
        """Its address is not the server's: that is what the settings say, and unknown where they have a name."""
        self.serve(self.gateway.server.factory)
        for called, expected in (("192.0.2.99", "192.0.2.99"), ("gw.example", "")):
            client = self.client(called)
            client.connect()
            self.net.settle()
            link = client.link
            assert link is not None
            self.assertEqual((link.peer_host, link.relay), (expected, ""))

    def test_given_up(self) -> None:
        """A call that is given up is none that has failed: the listener hears nothing of it."""
        self.net.servers[SERVER_HOST] = cast(IProtocolFactory, Factory.forProtocol(Protocol))  # it says nothing
        for answered in (False, True):
            listener = FakeListener()
            client = self.client("192.0.2.99", listener)
            deciding = client.connect()
            if answered:
                self.net.settle()
            client.close()
            self.net.settle()
            self.successResultOf(deciding)
            self.assertEqual(listener.heard, [], answered)

    def client(self, called: str, listener: FakeListener | None = None) -> ControlClient:
        """One that goes through the web server."""
        to, tls = Destination(called, 8443), ClientTls(self.gateway.laptop, "gateway")
        client = ControlClient(self.net, tls, to, listener or FakeListener())
        client.web = self.dial
        return client

    def test_another_server_inside(self) -> None:
        """A web server that leads elsewhere is not taken for ours: what is inside has to prove who it is."""
        self.serve(self.gateway.server.factory)
        listener = FakeListener()
        client = ControlClient(
            self.net, ClientTls(self.gateway.laptop, "another"), Destination("192.0.2.99", 8443), listener
        )
        client.web = self.dial
        client.connect()
        self.net.settle()
        self.assertEqual(listener.heard, [("failed", "certificate of another name")])
