"""
Terminals: each lives at home, whether somebody looks or not, and several may look at once.

Source: docs/home, Services.
"""

from __future__ import annotations

import fcntl
import struct
import termios
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from morphnet.errors import Refused
from morphnet.rendezvous.home.streams import Stream
from morphnet.roles.home.services.files import number, text
from morphnet.roles.home.services.scrollback import Scrollback

MOST = 16  # terminals at once
AHEAD = 1 << 20  # bytes that a program may be ahead of whoever looks and has read most
ASLEEP_AFTER = 60.0  # seconds of silence of a browser, after which no program waits for it
PACE_EVERY = 10.0  # seconds between looks at who is asleep
LARGEST = 1000  # rows or columns


class Spawn(Protocol):
    """Starts a login shell, or whatever is in its place, on a terminal."""

    def __call__(self, protocol: ProcessProtocol) -> Any:
        """Its transport."""
        ...


class Viewer:
    """A browser that looks at a terminal: an outlet."""

    def __init__(self, stream: Stream, terminal: Terminal, size: tuple[int, int]) -> None:
        self._stream, self.terminal, self.size = stream, terminal, size
        self.position = terminal.scrollback.start  # of what it was not told yet
        stream.say({"at": self.position, "live": terminal.scrollback.end, "name": terminal.name})

    @property
    def asleep(self) -> bool:
        """Its browser says nothing any more: it may come back."""
        return self._stream.silent > ASLEEP_AFTER

    def room(self) -> None:
        """Tell it more, as far as there is room."""
        scrollback = self.terminal.scrollback
        if self.position < scrollback.start and self._stream.window:  # it was away for too long
            self.position = scrollback.start
            self._stream.say({"at": self.position, "live": scrollback.end, "name": self.terminal.name})
        while self._stream.open and self._stream.window and self.position < scrollback.end:
            data = scrollback.read(self.position, min(self._stream.window, 1 << 16))
            self.position += len(data)
            self._stream.write(data)
        self.terminal.pace()

    def received(self, data: bytes) -> None:
        """Keys."""
        self._stream.took(len(data))
        self.terminal.type(data)

    def said(self, what: dict[str, Any]) -> None:
        """Its window has another size, or the terminal shall end."""
        if what.get("end") is True:
            self.terminal.hang_up()
            return
        self.size = size_of(what)
        self.terminal.resize()

    def ended(self) -> None:
        """It looks away."""
        self._stream.end()
        self.terminal.left(self)

    def gone(self) -> None:
        """The same."""
        self.terminal.left(self)

    def over(self) -> None:
        """The program has ended."""
        self.room()
        if self._stream.open:
            self._stream.say({"over": True})
            self._stream.end()


class Terminal(ProcessProtocol):
    """A program on a terminal."""

    transport: Any = None  # once it runs: reads, writes and signals

    def __init__(self, name: str, ended: Callable[[Terminal], None]) -> None:
        self.name, self._ended = name, ended
        self.scrollback = Scrollback()
        self.viewers: list[Viewer] = []
        self._paused = False
        self._size = (0, 0)

    def outReceived(self, data: bytes) -> None:
        self.scrollback.add(data)
        for viewer in list(self.viewers):
            viewer.room()

    def processEnded(self, reason: Failure) -> None:
        for viewer in list(self.viewers):
            viewer.over()
        self.viewers.clear()
        self._ended(self)

    def look(self, viewer: Viewer) -> None:
        """One more looks."""
        self.viewers.append(viewer)
        self.resize()
        viewer.room()

    def left(self, viewer: Viewer) -> None:
        """One looks no more."""
        if viewer in self.viewers:
            self.viewers.remove(viewer)
            self.resize()
            self.pace()

    def pace(self) -> None:
        """The program waits when all who look are far behind; with nobody there, or all asleep, it goes on."""
        awake = (viewer.position for viewer in self.viewers if not viewer.asleep)
        furthest = max(awake, default=self.scrollback.end)
        behind = self.scrollback.end - furthest > AHEAD
        if behind != self._paused and self.transport is not None:
            self._paused = behind
            if behind:
                self.transport.pauseProducing()
            else:
                self.transport.resumeProducing()

    def type(self, data: bytes) -> None:
        """Somebody types."""
        if self.transport is not None:
            self.transport.write(data)

    def resize(self) -> None:
        """As large as the smallest window of those who look."""
        if not self.viewers or self.transport is None:
            return
        rows = min(viewer.size[0] for viewer in self.viewers)
        columns = min(viewer.size[1] for viewer in self.viewers)
        if (rows, columns) != self._size:
            self._size = (rows, columns)
            fcntl.ioctl(self.transport.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def hang_up(self) -> None:
        """End the program."""
        if self.transport is not None:
            try:
                self.transport.signalProcess("HUP")
            except ProcessExitedAlready:
                return


def size_of(asked: dict[str, Any]) -> tuple[int, int]:
    """
    Rows and columns.

    :raises Refused: there are none.
    """
    rows, columns = number(asked, "rows"), number(asked, "columns")
    if not (0 < rows <= LARGEST and 0 < columns <= LARGEST):
        raise Refused("a window of that size")
    return rows, columns


class Terminals:
    """The service of that name."""

    name = "terminal"
    _log = Logger()

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self.running: dict[str, Terminal] = {}

    def opened(self, stream: Stream, asked: dict[str, Any]) -> str:
        """
        Look at a terminal, which is made when there is none of that name; what was done, in words.

        :raises Refused: there are too many, or no other can be started.
        """
        name, size = text(asked, "name"), size_of(asked)
        terminal = self.running.get(name)
        done = "looks at"
        if terminal is None:
            if len(self.running) >= MOST or not name.isprintable() or not 0 < len(name) <= 64:
                raise Refused("there are as many terminals as there may be")
            terminal = Terminal(name, self._ended)
            self._start(terminal)
            self.running[name] = terminal
            done = "opens"
        stream.outlet = viewer = Viewer(stream, terminal, size)
        terminal.look(viewer)
        return f"{done} terminal {name}"

    def _start(self, terminal: Terminal) -> None:
        try:
            self._spawn(terminal)
        except OSError as trouble:
            self._log.error("a terminal cannot be started: {why}", why=trouble.strerror or str(trouble))
            raise Refused("the home cannot start another terminal now") from None

    def pace(self) -> None:
        """Have programs go on whose last viewer has fallen asleep."""
        for terminal in self.running.values():
            terminal.pace()

    def _ended(self, terminal: Terminal) -> None:
        if self.running.get(terminal.name) is terminal:
            del self.running[terminal.name]

    def close(self) -> None:
        """End them all."""
        for terminal in list(self.running.values()):
            terminal.hang_up()
