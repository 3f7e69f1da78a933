"""
The WebRTC door: answers the offer of a browser, and hands over the data channel that comes of it.

Each connection is held by a process of its own (`rtc_child`), in one of two makes (`rtc_make`): when its native code
crashes, or is killed, that browser connects again, and nobody else notices.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.internet.protocol import Protocol as StreamProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from morphnet.errors import MalformedFrame, PeerError, Refused
from morphnet.net.rtc_frames import Frames, Kind, encode

ANSWERS_WITHIN = 20.0  # seconds for an answer: STUN servers that are not there take some of them
READ = 1 << 18  # bytes that are read at once, of messages of up to 60 KiB
MOST = 128  # connections at once, with those that are about to open
UNABLE = "the home could not answer: try again"


class Heard(Protocol):
    """Whoever a data channel belongs to."""

    def opened(self, channel: Channel) -> None:
        """It is open."""
        ...

    def message(self, channel: Channel, data: bytes) -> None:
        """The browser said something."""
        ...

    def closed(self, channel: Channel) -> None:
        """It is gone, whoever ended it."""
        ...


class Channel(StreamProtocol):
    """One connection to a browser and its data channel, in a process of its own: a Link."""

    _log = Logger()

    def __init__(self, heard: Heard, done: Callable[[Channel], None]) -> None:
        self._heard, self._done = heard, done
        self._frames = Frames()
        self._over = False
        self.is_open = False  # so that something can be said
        self.crashed = False  # its process is gone, and has not said why
        self.pid = 0  # of the process that holds it; 0 before there is an answer
        self.answered: Deferred[str] = Deferred()  # SDP; or why there is none

    def connectionMade(self) -> None:
        self._wire.bufferSize = READ

    def ask(self, offer: str, ice: Sequence[str]) -> None:
        """Have an offer answered."""
        asked = json.dumps({"offer": offer, "ice": list(ice)}).encode()
        self._wire.writeSequence(encode(Kind.OFFER, asked))

    @property
    def _wire(self) -> Any:
        return self.transport

    def dataReceived(self, data: bytes) -> None:
        for kind, payload in self._frames.take(data):
            if self._over:
                return
            if kind == Kind.MESSAGE:
                self._heard.message(self, payload)
            elif kind == Kind.OPEN:
                self.is_open = True
                self._heard.opened(self)
            elif kind == Kind.ANSWER:
                said = json.loads(payload)
                self.pid = said["pid"]
                self.answered.callback(said["answer"])
            elif kind == Kind.OVER:
                self.close()
            elif kind == Kind.REFUSED:
                self._log.debug("no answer to an offer: {why}", why=payload.decode("utf-8", "replace"))
                self.close(MalformedFrame("an offer that cannot be answered"))

    def connectionLost(self, reason: Failure | None = None) -> None:
        if not self._over:
            self._log.warn("the process of a connection to a browser, {pid}, has ended by itself", pid=self.pid)
            self.crashed = True
        self.close()

    def send(self, message: bytes) -> None:
        """Say something; nothing happens when it is gone."""
        if self.is_open:
            self._wire.writeSequence(encode(Kind.MESSAGE, message))

    def close(self, why: PeerError | None = None) -> None:
        """
        End it.

        :param why: there is no answer.
        """
        if self._over:
            return
        self._over = True
        was_open, self.is_open = self.is_open, False
        self._done(self)
        self._wire.abortConnection()
        if not self.answered.called:
            self.answered.errback(why or Refused(UNABLE))
        if was_open:
            self._heard.closed(self)


class _Spring(ProcessProtocol):
    """The process that connections fork from. It may end, and those that are open go on."""

    _log = Logger()

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self.alive = True
        self.pid = 0
        self.ended: Deferred[None] = Deferred()  # that one, and all that came of it

    def connectionMade(self) -> None:
        self.pid = self.transport.pid  # type: ignore[union-attr]

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        text = data.decode("utf-8", "replace").strip()
        self._log.warn("WebRTC: {text}", text=text[-2000:])

    def fork(self) -> socket.socket:
        """
        Our end of a new process.

        :raises OSError: it has just ended, or no descriptors are left.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            try:
                socket.send_fds(self._control, [b"c"], [theirs.fileno()])
            except OSError:
                ours.close()
                raise
        return ours

    def close(self) -> None:
        """Fork no more: it ends."""
        self.alive = False
        self._control.close()

    def processExited(self, reason: Failure) -> None:
        self.close()

    def processEnded(self, reason: Failure) -> None:
        self.ended.callback(None)


class RtcDoor:
    """
    All connections to browsers.

    :param make: its name, which is installed.
    :param ice: URLs of STUN servers.
    """

    def __init__(self, make: str, ice: Sequence[str], reactor: Any) -> None:
        self._make, self._ice, self._reactor = make, ice, reactor
        self._open: set[Channel] = set()
        self.crashed = 0  # connections, since start
        self._spring = self._begin()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def pids(self) -> list[int]:
        """Of the process that connections fork from, and of those that hold one."""
        return [self._spring.pid, *(channel.pid for channel in self._open if channel.pid)]

    def _begin(self) -> _Spring:
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.setblocking(False)
        spring = _Spring(control)
        argv = [sys.executable, "-P", "-m", "morphnet.net.rtc_child", self._make]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
        with theirs:
            fds: dict[int, int | str] = {0: theirs.fileno(), 1: "r", 2: "r"}
            self._reactor.spawnProcess(spring, sys.executable, argv, env, childFDs=fds)
        return spring

    def _connect(self, heard: Heard) -> Channel:
        if not self._spring.alive:
            self._spring = self._begin()
        channel = Channel(heard, self._done)
        with self._spring.fork() as wire:
            self._open.add(channel)
            self._reactor.adoptStreamConnection(wire.fileno(), socket.AF_UNIX, Factory.forProtocol(lambda: channel))
        return channel

    def _done(self, channel: Channel) -> None:
        self._open.discard(channel)
        self.crashed += channel.crashed

    async def answer(self, offer: str, heard: Heard) -> str:
        """
        The answer to an offer, both as SDP, with all candidates.

        :raises MalformedFrame: it is no offer of a data channel.
        :raises Refused: nothing is here that could answer it.
        """
        if len(self._open) >= MOST:
            raise Refused("too many connections")
        try:
            channel = self._connect(heard)
        except OSError:
            raise Refused(UNABLE) from None
        channel.ask(plain(offer), self._ice)
        late = self._reactor.callLater(ANSWERS_WITHIN, channel.close)
        try:
            return await channel.answered
        finally:
            if late.active():
                late.cancel()

    def close(self) -> Deferred[None]:
        """End all of them; fires when their processes have ended."""
        for channel in list(self._open):
            channel.close()
        self._spring.close()
        return self._spring.ended


def plain(offer: str) -> str:
    """
    An offer without the names that only its browser's own network can resolve: that would take a second, and nobody
    needs them, as the browser comes to our addresses itself.
    """
    lines = offer.splitlines(keepends=True)
    return "".join(line for line in lines if not (line.startswith("a=candidate:") and ".local " in line))
