"""Who connects by SSH, and says nothing; all else is tried with a real ssh in tests/lab."""

from __future__ import annotations

from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.conch.ssh.keys import Key
from twisted.cred.portal import Portal
from twisted.internet.error import ConnectionAborted
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.ssh import LOGIN_PATIENCE, ManholeFactory


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
