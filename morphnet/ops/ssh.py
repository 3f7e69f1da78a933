"""What speaks SSH with operators: who may enter, and what awaits them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import SSHPrivateKeyTypes
from twisted.conch.avatar import ConchUser
from twisted.conch.checkers import SSHPublicKeyChecker
from twisted.conch.interfaces import IConchUser, ISession
from twisted.conch.ssh.connection import SSHConnection
from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.keys import Key
from twisted.conch.ssh.session import SSHSession
from twisted.conch.ssh.transport import SSHServerTransport
from twisted.conch.ssh.userauth import SSHUserAuthServer
from twisted.cred.portal import IRealm, Portal
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.components import registerAdapter
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.ops.commands import Commands
from morphnet.ops.doorkeeper import Doorkeeper
from morphnet.ops.node import Node
from morphnet.ops.shell import OperatorSession

LOGIN_PATIENCE = 30  # seconds
ATTEMPTS = 6  # keys offered in one connection


class Operator(ConchUser):
    """Whoever entered; may open sessions, and nothing else (no forwarding, no subsystem)."""

    def __init__(self, make_session: Callable[[], ISession]) -> None:
        super().__init__()
        self.make_session = make_session
        self.channelLookup[b"session"] = SSHSession


registerAdapter(lambda operator: operator.make_session(), Operator, ISession)  # a new one for each channel


@implementer(IRealm)
class _Realm:
    def __init__(self, make_session: Callable[[], ISession]) -> None:
        self._make_session = make_session

    def requestAvatar(self, avatarId: bytes | tuple[()], mind: object, *interfaces: type) -> Any:
        if IConchUser not in interfaces:
            raise NotImplementedError("only for conch")
        return IConchUser, Operator(self._make_session), lambda: None


class _Login(SSHUserAuthServer):
    loginTimeout = LOGIN_PATIENCE
    attemptsBeforeDisconnect = ATTEMPTS
    transport: Any

    def serviceStarted(self) -> None:
        self.clock = self.transport.factory.clock
        super().serviceStarted()


class _Transport(SSHServerTransport):
    """One connection; ended when nobody has logged in over it in time."""

    transport: Any
    factory: ManholeFactory
    _timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        super().connectionMade()
        self._timer = self.factory.clock.callLater(LOGIN_PATIENCE, self._too_late)

    def connectionLost(self, reason: Failure | None = connectionDone) -> None:
        self.factory.connections.discard(self)
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        super().connectionLost(reason)

    def receiveError(self, reasonCode: int, description: bytes) -> None:
        """Not the parent's, which logs an error whenever an operator leaves."""

    def _too_late(self) -> None:
        if not hasattr(self, "avatar"):
            self.transport.abortConnection()


class ManholeFactory(SSHFactory):
    """What the connections share."""

    noisy = False
    protocol = _Transport
    services = {b"ssh-userauth": _Login, b"ssh-connection": SSHConnection}

    def __init__(self, clock: IReactorTime, host_key: Key, portal: Portal) -> None:
        self.clock = clock
        self.portal = portal
        self.publicKeys = {b"ssh-ed25519": host_key.public()}
        self.privateKeys = {b"ssh-ed25519": host_key}
        self.primes = None  # no group exchange, which would want a file of primes
        self.connections: set[_Transport] = set()

    def buildProtocol(self, addr: IAddress | None) -> _Transport | None:  # type: ignore[override]
        connection: _Transport = super().buildProtocol(addr)  # type: ignore[assignment]
        self.connections.add(connection)
        return connection


@dataclass(frozen=True, slots=True)
class Keys:
    """Ours, the local operator's, and where those of others are."""

    host: SSHPrivateKeyTypes
    console: SSHPrivateKeyTypes
    authorized: Path


def manhole_factory(reactor: Any, node: Node, wall: Callable[[], float], keys: Keys) -> ManholeFactory:
    """
    What talks to whoever comes.

    :param reactor: IReactorTime.
    :param wall: Unix seconds, now.
    """

    def session() -> OperatorSession:
        return OperatorSession(lambda sink, colours: Commands(node, reactor, wall, sink, colours=colours))

    portal = Portal(_Realm(session))
    portal.registerChecker(SSHPublicKeyChecker(Doorkeeper([Key(keys.console)], keys.authorized)))
    return ManholeFactory(reactor, Key(keys.host), portal)
