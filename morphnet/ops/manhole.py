"""The manhole: SSH, by key only, into a Python prompt of the running process."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application.service import Service
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
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IDelayedCall, IListeningPort, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.components import registerAdapter
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.config.manhole import ManholeConfig
from morphnet.durable import write_over
from morphnet.errors import ConfigError, HostError
from morphnet.ops import pipe
from morphnet.ops.commands import Commands
from morphnet.ops.keys import Doorkeeper, load_or_make
from morphnet.ops.node import Node
from morphnet.ops.rundir import CONSOLE_KEY, HOST_KEY, KNOWN_HOSTS, MANHOLE, SSH_ALIAS, SSH_CONFIG, USER
from morphnet.ops.shell import OperatorSession
from morphnet.ops.sockets import listen_private

MAX_OPERATORS = 8  # connections
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
        if len(self.connections) >= MAX_OPERATORS:
            return None
        connection: _Transport = super().buildProtocol(addr)  # type: ignore[assignment]
        self.connections.add(connection)
        return connection


class ManholeService(Service):
    """
    Opens the manhole at start and closes it at stop.

    At start it also leaves the local operator's key in run_dir, for `morphnet console`, and `SSH_CONFIG`, with which
    `ssh -F` of this same user enters; root trusts neither that file nor any other there.

    :param reactor: IReactorUNIX, IReactorTCP and IReactorTime.
    :param wall: Unix seconds, now.
    :raises ConfigError: `config.listen` names no address, or every network at once.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: ManholeConfig,
        run_dir: Path,
        state_dir: Path,
        node: Node,
        wall: Callable[[], float] = time.time,
    ) -> None:
        try:
            self._address = config.address()
        except ConfigError as error:
            raise ConfigError(f"manhole.listen = {config.listen!r} {error}") from None
        self._reactor = reactor
        self._node = node
        self._config = config
        self._state_dir = state_dir
        self._run_dir = run_dir
        self._wall = wall
        self._ports: list[IListeningPort] = []  # the unix socket, then TCP if it is wanted
        self._factory: ManholeFactory | None = None

    def startService(self) -> None:
        """
        Make the keys that are missing, and listen.

        :raises HostError: the keys cannot be used, or the door cannot be opened.
        """
        super().startService()
        if not self._config.enabled:
            return
        host_key = load_or_make(self._state_dir / HOST_KEY)
        console_key = load_or_make(self._run_dir / CONSOLE_KEY)
        portal = Portal(_Realm(self._make_session))
        portal.registerChecker(SSHPublicKeyChecker(Doorkeeper([console_key], self._config.authorized_keys)))
        self._factory = ManholeFactory(self._reactor, host_key, portal)
        self._ports.append(listen_private(self._reactor, self._run_dir / MANHOLE, self._factory))
        if self._address is not None:
            self._ports.append(self._listen(*self._address, self._factory))
        self._leave_ssh_config(host_key)

    def _listen(self, host: str, port: int, factory: ManholeFactory) -> IListeningPort:
        if host != "::1" and not host.startswith("127."):
            self._log.warn("the manhole is open to a network: {host} port {port}", host=host, port=port)
        try:
            listening: IListeningPort = self._reactor.listenTCP(port, factory, backlog=MAX_OPERATORS, interface=host)
        except CannotListenError as error:
            raise HostError(f"the manhole cannot listen on {host} port {port}: {error.socketError}") from error
        return listening

    def _make_session(self) -> OperatorSession:
        return OperatorSession(
            lambda sink, colours: Commands(self._node, self._reactor, self._wall, sink, colours=colours)
        )

    def _leave_ssh_config(self, host_key: Key) -> None:
        known = self._run_dir / KNOWN_HOSTS
        public = host_key.public().toString("OPENSSH").decode().strip()
        try:
            self._run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_over(known, f"{SSH_ALIAS} {public}\n".encode(), mode=0o600)
            text = ssh_config(self._address, self._run_dir / MANHOLE, known, self._run_dir / CONSOLE_KEY)
            write_over(self._run_dir / SSH_CONFIG, text.encode(), mode=0o600)
        except OSError as error:
            raise HostError(f"cannot write into {self._run_dir}: {error.strerror}") from error

    def stopService(self) -> Deferred[None]:
        """Fires when the door is closed; operators inside are cut off."""
        super().stopService()
        for connection in tuple(self._factory.connections) if self._factory else ():
            connection.transport.abortConnection()
        ports, self._ports = self._ports, []
        closed = DeferredList([maybeDeferred(port.stopListening) for port in ports])
        return closed.addCallback(lambda _: None)


def ssh_config(address: tuple[str, int] | None, door: Path, known_hosts: Path, identity: Path) -> str:
    """
    For `ssh -F`: enters as the local operator, believes only our host key, and offers no other key.

    :param address: of a TCP port; None when `door`, a unix socket, is used.
    """
    if address is None:
        command = [sys.executable or "python3", "-I", "-S", str(Path(pipe.__file__).resolve()), str(door.absolute())]
        way = ["HostName localhost", f"ProxyCommand {shlex.join(command).replace('%', '%%')}"]
    else:
        way = [f"HostName {address[0]}", f"Port {address[1]}", "ProxyCommand none"]
    settings = [
        *way,
        f"User {USER}",
        f"HostKeyAlias {SSH_ALIAS}",
        f"UserKnownHostsFile {_quoted(known_hosts)}",
        "GlobalKnownHostsFile /dev/null",
        "StrictHostKeyChecking yes",
        f"IdentityFile {_quoted(identity)}",
        "IdentitiesOnly yes",
        "IdentityAgent none",
        "PreferredAuthentications publickey",
        "BatchMode yes",
        "ForwardAgent no",
        "LogLevel ERROR",
    ]
    return "".join([f"Host {SSH_ALIAS}\n", *(f"    {setting}\n" for setting in settings)])


def _quoted(path: Path) -> str:
    return '"' + str(path.absolute()).replace("%", "%%") + '"'
