"""
A WireGuard of this machine that is ours, in wireguard-go, a child of this process.

The other one is in the kernel, see `net/wireguard_kernel`.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from twisted.internet import protocol
from twisted.internet.defer import Deferred, TimeoutError, succeed
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError, ProcessExitedAlready
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from morphnet.errors import HostError
from morphnet.wire.wireguard import GET, Changes, Told, decode_done, decode_told, encode_set

PROGRAM = "wireguard-go"
ANSWERS_WITHIN, BEGINS_WITHIN, ENDS_WITHIN = 3.0, 10.0, 1.0  # seconds
_SAID = re.compile(r"^ERROR: \(\S+\) [0-9/]+ [0-9:]+ ")  # in front of what it says
_AGAIN = 0.05  # seconds between looks whether it has begun
_LONGEST = 1 << 23  # bytes of an answer
_CREDENTIALS = struct.Struct("=iII")  # of who listens at a socket: process, user, group; see unix(7)
_CHILD = Path(__file__).with_name("wireguard_child.py")


class Device(Protocol):
    """One WireGuard device, whoever keeps it."""

    what: str  # who that is, for a person

    def told(self) -> Deferred[Told]:
        """What it tells of itself and its peers; fails with HostError or MalformedFrame."""
        ...

    def change(self, changes: Changes) -> Deferred[None]:
        """Make it so; fails with HostError."""
        ...

    def stop(self) -> Deferred[None]:
        """It is wanted no more; fires when it has ended."""
        ...


class _Asking(protocol.Protocol):
    """One request to that process, and its answer."""

    def __init__(self, request: bytes, pid: int) -> None:
        self._request, self._pid, self._answer, self._size = request, pid, list[bytes](), 0
        self.answered: Deferred[bytes] = Deferred(lambda _: self._wire.abortConnection())

    @property
    def _wire(self) -> Any:
        return self.transport

    def connectionMade(self) -> None:
        credentials = self._wire.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if 0 < self._pid == _CREDENTIALS.unpack(credentials)[0]:  # one of another PID namespace is told as 0
            self._wire.write(self._request)
        else:
            self._wire.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        self._answer.append(data)
        self._size += len(data)
        whole = b"".join(self._answer[-2:])
        if whole.endswith(b"\n\n") or self._size > _LONGEST:
            self._wire.loseConnection()
            if not self.answered.called:
                self.answered.callback(b"".join(self._answer))

    def connectionLost(self, reason: Failure | None = None) -> None:
        if not self.answered.called:
            self.answered.errback(HostError(f"{PROGRAM} does not answer"))


async def ask(reactor: Any, path: str, request: bytes, pid: int) -> bytes:
    """
    What the WireGuard whose socket that is answers.

    :param pid: its process. Another one may be there, as of a server in another network namespace: it hears nothing.
    :raises HostError: nobody does.
    """
    try:
        asking = await UNIXClientEndpoint(reactor, path).connect(Factory.forProtocol(lambda: _Asking(request, pid)))
        return bytes(await asking.answered.addTimeout(ANSWERS_WITHIN, reactor))
    except (ConnectError, TimeoutError):
        raise HostError(f"{PROGRAM} does not answer") from None


class WireGuardGo(ProcessProtocol):
    """
    The child, from its start on.

    :param path: of its socket.
    :param ended: called with how it ended, when it does so by itself.
    :raises HostError: there is no such program.
    """

    what = PROGRAM
    _log = Logger()

    def __init__(self, reactor: Any, device: str, path: str, ended: Callable[[str], None]) -> None:
        program = shutil.which(PROGRAM)
        if program is None:
            raise HostError(f"this kernel has no WireGuard, and there is no {PROGRAM}: apt-get install {PROGRAM}")
        self._reactor, self._path, self._ended = reactor, path, ended
        self._wanted, self._begun, self._said = True, False, ""
        self._over: Deferred[None] = Deferred()
        argv = [sys.executable, "-I", "-S", str(_CHILD), str(os.getpid()), program, "--foreground", device]
        env = {"PATH": os.environ.get("PATH", os.defpath), "LOG_LEVEL": "error"}
        self._process = reactor.spawnProcess(self, sys.executable, argv, env, childFDs={0: "w", 1: "r", 2: "r"})

    @property
    def pid(self) -> int:
        """Its number; 0 when it has ended."""
        return self._process.pid or 0

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        for line in data.decode("utf-8", "replace").splitlines():
            if "peer(" in line:  # one that cannot be called now, or the like: as often as somebody wants it
                self._log.debug(PROGRAM + ": {line}", line=line[-300:])
            elif line.startswith("ERROR"):
                self._said = _SAID.sub("", line)[:300]
                self._log.warn(PROGRAM + ": {line}", line=self._said)

    def processEnded(self, reason: Failure) -> None:
        number, code = getattr(reason.value, "signal", None), getattr(reason.value, "exitCode", None)
        how = f"was ended by signal {number}" if number else f"has ended with code {code}"
        self._over.callback(None)
        if self._wanted:
            self._wanted = False
            self._ended(f"{PROGRAM} {how}" + (f": {self._said}" if self._said else ""))

    async def _begin(self) -> None:
        """
        It answers.

        :raises HostError: it never does.
        """
        until = self._reactor.seconds() + BEGINS_WITHIN
        while not self._begun:
            try:
                await ask(self._reactor, self._path, GET, self.pid)
                self._begun = True
            except HostError:
                if not self._wanted or self._reactor.seconds() > until:
                    raise
                await deferLater(self._reactor, _AGAIN)

    async def _told(self) -> Told:
        await self._begin()
        return decode_told(await ask(self._reactor, self._path, GET, self.pid))

    def told(self) -> Deferred[Told]:
        return Deferred.fromCoroutine(self._told())

    async def _change(self, changes: Changes) -> None:
        decode_done(await ask(self._reactor, self._path, encode_set(changes), self.pid))

    def change(self, changes: Changes) -> Deferred[None]:
        return Deferred.fromCoroutine(self._change(changes))

    def stop(self) -> Deferred[None]:
        self._wanted = False
        if self._over.called:
            return succeed(None)
        self._signal(signal.SIGTERM)
        late = self._reactor.callLater(ENDS_WITHIN, self._signal, signal.SIGKILL)
        self._over.addBoth(lambda _: late.cancel() if late.active() else None)
        return self._over

    def _signal(self, number: signal.Signals) -> None:
        try:
            self._process.signalProcess(number.name.removeprefix("SIG"))
        except ProcessExitedAlready:
            pass
