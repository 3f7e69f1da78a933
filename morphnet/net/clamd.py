"""
ClamAV by its daemon: is there anything in this file that it knows?

On a socket of this machine the file itself is handed over, open (FILDES); by TCP its bytes are (INSTREAM).

Source: clamd(8), COMMANDS.
"""

from __future__ import annotations

import os
import struct
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

PIECE = 1 << 16  # bytes
_LONGEST_ANSWER = 4096  # bytes


class ScannerAway(Exception):
    """The daemon has not said whether there is something; the text says why."""


def verdict(answer: bytes) -> str:
    """
    The name of what was found, "" for nothing.

    :raises ScannerAway: it is neither.
    """
    said = answer.decode("utf-8", "replace").strip("\0\n ")
    _, _, what = said.partition(": ")
    if what == "OK":
        return ""
    if what.endswith(" FOUND"):
        return what.removesuffix(" FOUND")
    raise ScannerAway(said[:200] or "it has hung up")


@implementer(IPullProducer)
class _Handing:
    """Hands a file over once the command was sent: clamd takes it with a byte behind that, and not before."""

    def __init__(self, transport: Any, file: int) -> None:
        self._transport, self._file, self._asked = transport, file, False

    def resumeProducing(self) -> None:
        if not self._asked:
            self._asked = True
            self._transport.write(b"zFILDES\0")
            return
        self._transport.unregisterProducer()
        self._transport.sendFileDescriptor(self._file)
        self._transport.write(b"\0")

    def stopProducing(self) -> None:
        """The transport is gone; connectionLost tells."""


@implementer(IPushProducer)
class _Asking(Protocol):
    """One question."""

    transport: Any

    def __init__(self, file: int, *, handed: bool) -> None:
        self._file, self._handed, self._at = file, handed, 0
        self._answer, self._paused = b"", True
        self.answered: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        if self._handed:
            self.transport.registerProducer(_Handing(self.transport, self._file), False)
            return
        self.transport.write(b"zINSTREAM\0")
        self.transport.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        self._paused = False
        while not self._paused:
            data = os.pread(self._file, PIECE, self._at)
            self._at += len(data)
            self.transport.write(struct.pack("!I", len(data)) + data)
            if not data:
                self._paused = True
                self.transport.unregisterProducer()

    def pauseProducing(self) -> None:
        self._paused = True

    def stopProducing(self) -> None:
        self._paused = True

    def dataReceived(self, data: bytes) -> None:
        self._answer += data
        if b"\0" in data or len(self._answer) > _LONGEST_ANSWER:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._paused = True
        self.answered.callback(self._answer)


class Clamd:
    """
    One daemon.

    :param place: path of its socket, or HOST:PORT.
    :param within: seconds for a connection, and for an answer.
    """

    def __init__(self, reactor: Any, place: str, within: float) -> None:
        self._reactor, self._within = reactor, within
        self._is_here = place.startswith("/")
        if self._is_here:
            self._endpoint: Any = UNIXClientEndpoint(reactor, place, timeout=within)
        else:
            host, _, port = place.rpartition(":")
            self._endpoint = HostnameEndpoint(reactor, host.strip("[]"), int(port), timeout=within)

    async def scan(self, file: int) -> str:
        """
        What is in an open file, from its beginning: a name, "" for nothing.

        :raises ScannerAway: nobody has said so.
        """
        asking = _Asking(file, handed=self._is_here)
        factory = Factory.forProtocol(lambda: asking)
        factory.noisy = False
        try:
            await self._endpoint.connect(factory)
        except Exception as trouble:  # whatever the resolver or the kernel says
            raise ScannerAway(str(trouble) or type(trouble).__name__) from None
        waiting = asking.answered
        late = self._reactor.callLater(self._within, asking.transport.abortConnection)
        try:
            return verdict(await waiting)
        except CancelledError:
            asking.transport.abortConnection()
            raise
        finally:
            if late.active():
                late.cancel()
