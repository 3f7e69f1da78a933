"""How the local operator is let in; the door itself is tried with a real ssh in tests/lab."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.conch.ssh.keys import Key
from twisted.cred.portal import Portal
from twisted.internet.error import ConnectionAborted
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.manhole import ManholeConfig
from morphnet.errors import ConfigError
from morphnet.ops.manhole import LOGIN_PATIENCE, MAX_OPERATORS, ManholeFactory, ManholeService, ssh_config
from tests.ops.fakes import FakeNode

RUN, STATE = Path("/run/100% odd"), Path("/var/lib/morphnet")


def _service(listen: str) -> ManholeService:
    no_reactor = cast("Any", None)
    return ManholeService(no_reactor, ManholeConfig(listen=listen), RUN, STATE, FakeNode())


class PatienceTests(SynchronousTestCase):
    def test_silent(self) -> None:
        """Who does not log in in time is cut off, and counts no more."""
        clock, line = Clock(), StringTransport()
        key = Key(Ed25519PrivateKey.generate())
        factory = ManholeFactory(clock, key, Portal(cast("Any", None)))
        connection = factory.buildProtocol(None)
        assert connection is not None  # it is the first
        connection.makeConnection(line)
        clock.advance(LOGIN_PATIENCE - 1)
        self.assertFalse(line.disconnected)
        clock.advance(1)
        self.assertTrue(line.disconnected)
        connection.connectionLost(Failure(ConnectionAborted()))
        self.assertEqual((factory.connections, clock.getDelayedCalls()), (set(), []))

    def test_too_many(self) -> None:
        """One connection over the limit is not taken."""
        factory = ManholeFactory(Clock(), Key(Ed25519PrivateKey.generate()), Portal(cast("Any", None)))
        taken = [factory.buildProtocol(None) for _ in range(MAX_OPERATORS + 1)]
        self.assertEqual([each is None for each in taken], [False] * MAX_OPERATORS + [True])


class ConfigTests(SynchronousTestCase):
    def test_every_network(self) -> None:
        """An address that stands for all is refused before anything is opened."""
        for listen in ("0.0.0.0:22", "[::]:22", ":::22"):
            error = self.assertRaises(ConfigError, _service, listen)
            self.assertIn("would open the manhole to every network", str(error))
        for listen in ("22", "localhost:22", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", ":22", "127.0.0.1:²"):
            self.assertRaises(ConfigError, _service, listen)

    def test_addresses(self) -> None:
        """Loopback, and one address that was written out, are taken."""
        self.assertIsNone(ManholeConfig().address())
        self.assertEqual(ManholeConfig(listen="127.0.0.1:2222").address(), ("127.0.0.1", 2222))
        self.assertEqual(ManholeConfig(listen="[::1]:2222").address(), ("::1", 2222))
        self.assertEqual(ManholeConfig(listen="192.0.2.1:2222").address(), ("192.0.2.1", 2222))

    def test_disabled(self) -> None:
        """Turned off, it neither makes keys nor listens."""
        no_reactor = cast("Any", None)
        service = ManholeService(no_reactor, ManholeConfig(enabled=False), RUN, STATE, FakeNode())
        service.startService()
        self.successResultOf(service.stopService())

    def test_ssh_config(self) -> None:
        """Paths with blanks and percent signs survive ssh's own expansion; nobody else's key or host is believed."""
        text = ssh_config(None, RUN / "manhole.sock", RUN / "known", STATE / "key")
        self.assertIn("'/run/100%% odd/manhole.sock'", text)
        self.assertIn('UserKnownHostsFile "/run/100%% odd/known"', text)
        self.assertIn("StrictHostKeyChecking yes", text)
        text = ssh_config(("::1", 2222), RUN / "manhole.sock", RUN / "known", STATE / "key")
        self.assertIn("HostName ::1\n    Port 2222\n    ProxyCommand none", text)
