"""A real coordinator that gets its certificate of a real CA, pebble."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
import tomllib
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from twisted.internet.task import Clock

from morphnet.config.acme import AcmeConfig
from morphnet.config.home import CoordinatorConfig
from morphnet.durable import make_directory
from morphnet.errors import ConfigError, HostError, PeerError
from morphnet.lab.browsing import HomeDaemon
from morphnet.lab.vpn import wait_for
from morphnet.roles.coordinator.certified import Certified
from morphnet.roles.coordinator.node import CoordinatorNode
from morphnet.roles.coordinator.renewals import LOOK_EVERY, place_of
from tests.fakes_certificates import secret
from tests.pebble import WITHOUT, Pebble
from tests.ports import free_port
from tests.rendezvous.home.case import HomeTestCase
from tests.roles.coordinator.test_renewals import made
from tests.roles.here import HOST, HereCase

NAME = "home.example.org"
TAKEN = "cannot serve on 0.0.0.0 TCP port 80: Address already in use"
LASTS = 6  # seconds of a certificate


def good() -> bytes:
    """A certificate and its key that nobody renews today."""
    key = generate_private_key(SECP256R1())
    return secret(key) + made(time.time() - 86400.0, names=(NAME,), key=key)


class CertifiedTests(HereCase):
    skip = WITHOUT
    timeout = 90

    def setUp(self) -> None:
        super().setUp()
        self.port, self.http = free_port(), free_port()
        self.ca = Pebble(self.http, LASTS)
        self.addCleanup(self.ca.end)
        self.mine = self.made()

    def made(self) -> HomeDaemon:
        daemon = self.daemon("morph-coordinator", "c", listen=[HOST])
        daemon.make("init", "--acme", NAME, "--agree", "--port", str(self.port))
        file = daemon.etc / "coordinator.toml"
        text = f"home_port = {free_port()}\n{file.read_text()}"
        more = f'directory = "{self.ca.url}"\nca_file = "{self.ca.ca_file}"\nport = {self.http}\n'
        file.write_text(text.replace("[acme]\n", f"[acme]\n{more}"))
        return daemon

    def call(self) -> tuple[http.client.HTTPSConnection, str]:
        """A connection, and the number of the certificate that it was shown."""
        anyone = ssl.create_default_context()
        anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
        called = http.client.HTTPSConnection(HOST, self.port, timeout=10, context=anyone)
        called.connect()
        shown: Any = called.sock
        return called, ssl.DER_cert_to_PEM_cert(shown.getpeercert(True))

    def asked(self, called: http.client.HTTPConnection, path: str) -> tuple[int, str]:
        called.request("GET", path, headers={"Host": NAME})
        answer = called.getresponse()
        answer.read()
        return answer.status, answer.headers.get("Location", "")

    def test_got_and_renewed(self) -> None:
        """
        Before there is a certificate TLS fails, and it is said why. Then there is one, its files for their owner alone,
        and another one in time: a connection of before goes on. Who comes by HTTP is sent to the page.
        """
        self.mine.start()
        wait_for("it is told", lambda: self.mine.status()["state"].startswith("no certificate: the CA is not"))
        self.assertRaises(ssl.SSLError, self.call)
        self.ca.start()
        self.mine.morphnet("reload", "--role", "coordinator", "--dir", str(self.mine.etc))
        wait_for("there is a certificate", lambda: self.mine.count("certificates") == 1)
        self.assertEqual(self.mine.status()["state"], "serving")
        before, first = self.call()
        self.addCleanup(before.close)
        self.assertEqual(self.asked(before, "/")[0], 200)
        (place,) = self.mine.etc.rglob("acme-*")
        files = {each.name: each.stat().st_mode & 0o777 for each in place.iterdir()}
        self.assertEqual(files, {"account.pem": 0o600, "tls.pem": 0o600})
        plain = http.client.HTTPConnection(HOST, self.http, timeout=10)
        self.addCleanup(plain.close)
        self.assertEqual(self.asked(plain, "/?a=b"), (308, f"https://{NAME}:{self.port}/?a=b"))
        wait_for("there is another one", lambda: self.mine.count("certificates") >= 2)
        after, second = self.call()
        self.addCleanup(after.close)
        self.assertNotEqual(first, second)
        self.assertEqual(self.asked(before, "/")[0], 200)

    def test_port_taken(self) -> None:
        """Port 80 is another's: the certificate that is there is shown, and the status says what hinders another."""
        self.addCleanup(socket.create_server((HOST, self.http)).close)
        settings = tomllib.loads((self.mine.etc / "coordinator.toml").read_text())
        place = place_of(Path(settings["state_dir"]), self.ca.url)
        make_directory(place)
        (place / "tls.pem").write_bytes(good())
        self.mine.start()
        wait_for("it is told", lambda: f"TCP port {self.http}: Address" in self.mine.status()["state"])
        called, _ = self.call()
        self.addCleanup(called.close)
        self.assertEqual(self.asked(called, "/")[0], 200)


class _Nowhere(Clock):
    """A reactor that no thread gets through to."""

    def callFromThread(self, *_: Any) -> None:
        """Never."""


class StateTests(HomeTestCase):
    """What the node says, whatever the CA does."""

    there = b""  # in its file
    closed = False  # somebody else has its port

    def setUp(self) -> None:
        super().setUp()
        self.clock = _Nowhere()
        self.opened = 0

    def open(self) -> None:
        if self.closed:
            raise HostError(TAKEN)
        self.opened += 1

    def begun(self, **asked: Any) -> CoordinatorNode:
        acme = AcmeConfig(names=(NAME,), terms_agreed=True, directory="https://127.0.0.1:9/dir", **asked)
        config = CoordinatorConfig(acme=acme, state_dir=Path(self.mktemp()))
        if self.there:
            place = place_of(config.state_dir, acme.directory)
            make_directory(place)
            (place / "tls.pem").write_bytes(self.there)
        self.certified = certified = Certified(config, self.clock)
        node = CoordinatorNode(config, self.registry, dict)
        certified.begin(node, self.open)
        self.addCleanup(certified.renewals.stop)
        self.said = certified.renewals.said
        return node

    def test_states(self) -> None:
        """Without a certificate all is not well, and why stands there; with one it is."""
        node = self.begun()
        self.assertEqual((node.status().state, node.status().well), ("getting a certificate", False))
        self.said("the CA says: no")
        self.assertEqual((node.status().state, node.status().well), ("no certificate: the CA says: no", False))
        self.said("")
        self.assertEqual((node.status().state, node.status().well), ("serving", True))
        self.assertEqual([each.kind for each in node.happenings(0)], ["certificate"] * 2)

    def test_ca_file(self) -> None:
        """A file that is not there is told at the start."""
        trouble = self.assertRaises(ConfigError, self.begun, ca_file="/nowhere/ca.pem")
        self.assertIn("/nowhere/ca.pem: No such file", str(trouble))

    def test_port_taken(self) -> None:
        """With a certificate it serves, and tries the port again each time that it looks; else it does not start."""
        self.closed = True
        self.assertRaises(HostError, self.begun)
        self.there = good()
        node = self.begun()
        self.assertEqual(node.state, f"serving, but no new certificate: {TAKEN}")
        self.clock.advance(LOOK_EVERY)
        self.assertEqual((self.opened, len(node.happenings(0))), (0, 1))
        self.closed = False
        self.clock.advance(LOOK_EVERY)
        self.assertEqual((self.opened, node.state), (1, "serving"))
        self.clock.advance(LOOK_EVERY)
        self.assertEqual(self.opened, 1)

    def test_nothing_for_renewal(self) -> None:
        """With a certificate it serves also without what it would ask for another one with; that is told."""
        self.there = good()
        node = self.begun(ca_file="/nowhere/ca.pem")
        self.assertIn("serving, but no new certificate: 'ca_file' of [acme]", node.state)
        self.failureResultOf(self.certified.renewals._ask(), PeerError)

    def test_broken(self) -> None:
        """A file that is no certificate and its key is put aside, and another one asked for."""
        for broken in (b"nothing", good()[300:], secret(generate_private_key(SECP256R1())) + good()):
            self.there = broken
            node = self.begun()
            self.assertEqual(node.state, "getting a certificate")
            (place,) = self.certified.renewals._file.parent.parent.glob("acme-*")
            self.assertEqual(sorted(each.name for each in place.iterdir()), ["account.pem", "tls.broken"])
