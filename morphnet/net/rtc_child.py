"""
The process that holds one connection to a browser: a fault in native code ends that connection and nothing else.

    python -m morphnet.net.rtc_child MAKE

imports the make once and then waits at descriptor 0, a socket, for sockets: for each it forks, and the child serves the
home over it. It ends when the home does.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any

from morphnet.net import rtc_make
from morphnet.net.rtc_frames import Frames, Kind, encode

OPENS_WITHIN = 30.0  # seconds until a connection that has no channel is given up
STUCK_AFTER, MOVES_EVERY = 30, 5.0  # seconds: the kernel ends a process whose loop has stood still for so long


class Serving(asyncio.Protocol):
    """
    One connection, and the socket to the home.

    :param make: makes a connection.
    """

    def __init__(self, make: Callable[[rtc_make.Heard, Sequence[str]], rtc_make.Make], over: asyncio.Event) -> None:
        self._make, self._over = make, over
        self._frames = Frames()
        self._wire: Any = None
        self._answering: asyncio.Task[None] | None = None
        self.connection: rtc_make.Make | None = None
        self.is_open = False

    # -- the home ----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = transport
        self._move()

    def data_received(self, data: bytes) -> None:
        for kind, payload in self._frames.take(data):
            if kind == Kind.MESSAGE and self.connection is not None:
                self.connection.send(payload)
            elif kind == Kind.OFFER:
                self._answering = asyncio.ensure_future(self._answer(json.loads(payload)))
        if self.is_open and self.connection is not None and self.connection.waiting > rtc_make.HIGH:
            self._wire.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._over.set()

    def _tell(self, kind: Kind, payload: bytes) -> None:
        if not self._wire.is_closing():
            self._wire.writelines(encode(kind, payload))

    def _move(self) -> None:
        signal.alarm(STUCK_AFTER)
        self._moving = asyncio.get_running_loop().call_later(MOVES_EVERY, self._move)

    async def _answer(self, asked: dict[str, Any]) -> None:
        try:
            self.connection = self._make(self, asked["ice"])
            said = await self.connection.answer(asked["offer"])
        except Exception as trouble:  # a make raises what it likes of an offer that is none
            self._tell(Kind.REFUSED, repr(trouble).encode()[:1000])
            self.closed()
            return
        self._tell(Kind.ANSWER, json.dumps({"answer": said, "pid": os.getpid()}).encode())
        await asyncio.sleep(OPENS_WITHIN)
        if not self.is_open:
            self.closed()

    # -- the browser -------------------------------------------------------------------------------------------------

    def opened(self) -> None:
        """The data channel is open."""
        self.is_open = True
        self._tell(Kind.OPEN, b"")

    def message(self, data: bytes) -> None:
        """The browser said something."""
        self._tell(Kind.MESSAGE, data)

    def drained(self) -> None:
        """The home may go on."""
        self._wire.resume_reading()

    def closed(self) -> None:
        """It is over."""
        self._tell(Kind.OVER, b"")
        self._wire.close()


async def serve(make: Callable[[rtc_make.Heard, Sequence[str]], rtc_make.Make], wire: socket.socket) -> None:
    """One connection, until it or the home is gone."""
    over = asyncio.Event()
    _, serving = await asyncio.get_running_loop().create_connection(lambda: Serving(make, over), sock=wire)
    await over.wait()
    if serving.connection is not None:
        await asyncio.wait_for(serving.connection.close(), 5.0)


def fork_for(wire: socket.socket, control: socket.socket, name: str) -> None:
    """A child that serves the home over this socket."""
    if os.fork():
        return
    code = 1
    try:
        control.close()
        make, make_loop = rtc_make.load(name)
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(serve(make, wire))
        code = 0
    finally:
        os._exit(code)  # threads of native code are left as they are


def main(arguments: Sequence[str]) -> int:
    """Fork until the home is gone."""
    (name,) = arguments
    rtc_make.load(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that nobody has to wait for a child
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the home ends us
    control = socket.socket(fileno=os.dup(0))
    while True:
        word, sockets, _, _ = socket.recv_fds(control, 1, 1)
        if not word:
            return 0
        for each in sockets:
            with socket.socket(fileno=each) as wire:
                fork_for(wire, control, name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
