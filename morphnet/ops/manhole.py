"""
The manhole: SSH, by key only, into a Python prompt of the running process.

What speaks SSH, `morphnet.ops.ssh`, is loaded when somebody connects: it is 4 MB that most processes never need.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocol
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from morphnet.config.manhole import ManholeConfig
from morphnet.durable import write_over
from morphnet.errors import ConfigError, HostError
from morphnet.ops import pipe
from morphnet.ops.keys import load_or_make, public_line
from morphnet.ops.node import Node
from morphnet.ops.rundir import CONSOLE_KEY, HOST_KEY, KNOWN_HOSTS, MANHOLE, SSH_ALIAS, SSH_CONFIG, USER
from morphnet.ops.sockets import listen_private

MAX_OPERATORS = 8  # connections


class Door(Factory):
    """
    Takes connections, as many as may be there at once.

    :param make: what speaks SSH with them; asked for when the first one comes.
    """

    noisy = False

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._ssh: Any = None  # a ManholeFactory

    @property
    def connections(self) -> tuple[Any, ...]:
        """Those that are there."""
        return tuple(self._ssh.connections) if self._ssh is not None else ()

    def buildProtocol(self, addr: IAddress | None) -> IProtocol | None:  # type: ignore[override]
        if len(self.connections) >= MAX_OPERATORS:
            return None
        if self._ssh is None:
            self._ssh = self._make()
            self._ssh.doStart()
        connection: IProtocol | None = self._ssh.buildProtocol(addr)
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
        self._door = Door(self._make_ssh)

    def startService(self) -> None:
        """
        Make the keys that are missing, and listen.

        :raises HostError: the keys cannot be used, or the door cannot be opened.
        """
        super().startService()
        if not self._config.enabled:
            return
        self._host_key = load_or_make(self._state_dir / HOST_KEY)
        self._console_key = load_or_make(self._run_dir / CONSOLE_KEY)
        self._ports.append(listen_private(self._reactor, self._run_dir / MANHOLE, self._door))
        if self._address is not None:
            self._ports.append(self._listen(*self._address))
        self._leave_ssh_config()

    def _listen(self, host: str, port: int) -> IListeningPort:
        if host != "::1" and not host.startswith("127."):
            self._log.warn("the manhole is open to a network: {host} port {port}", host=host, port=port)
        try:
            listening: IListeningPort = self._reactor.listenTCP(port, self._door, backlog=MAX_OPERATORS, interface=host)
        except CannotListenError as error:
            raise HostError(f"the manhole cannot listen on {host} port {port}: {error.socketError}") from error
        return listening

    def _make_ssh(self) -> Any:
        """What the keys of this moment open: those that we made, and those in authorized_keys when somebody comes."""
        from morphnet.ops.ssh import Keys, manhole_factory  # brings conch

        keys = Keys(self._host_key, self._console_key, self._config.authorized_keys)
        return manhole_factory(self._reactor, self._node, self._wall, keys)

    def _leave_ssh_config(self) -> None:
        known = self._run_dir / KNOWN_HOSTS
        public = public_line(self._host_key)
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
        for connection in self._door.connections:
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
