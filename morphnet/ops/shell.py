"""One operator inside: a Python prompt on a terminal, or commands from a pipe."""

from __future__ import annotations

import difflib
import re
import sys
import tokenize
import traceback
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

from twisted.conch.insults import insults
from twisted.conch.interfaces import ISession
from twisted.conch.manhole import ColoredManhole, ManholeInterpreter
from twisted.conch.ssh.session import SSHSessionProcessProtocol
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.errors import BugError, MorphnetError
from morphnet.ops.commands import Command, Commands

BACKLOG = 256 << 10  # bytes that may wait for a slow terminal before lines of a trace are left out
REMEMBERED = 200  # lines of history
_FILE = "<console>"
_ARGUMENT = re.compile(r"[\w.:-]+")
_MOST_ARGUMENTS = 8

MakeCommands = Callable[[Callable[[str], bool], bool], Commands]  # sink, colours


def as_call(line: str, names: Mapping[str, object]) -> str:
    """`cut 1` and `scheduler flow`, which are no Python, as the calls that they stand for."""
    name, *arguments = line.split()[:_MOST_ARGUMENTS] or [""]
    if not arguments or not isinstance(names.get(name), Command):
        return line
    try:
        compile(line, _FILE, "single")
    except (SyntaxError, ValueError):
        if not all(_ARGUMENT.fullmatch(each) for each in arguments):
            return line
        return f"{name}({', '.join(each if each.isdigit() else repr(each) for each in arguments)})"
    return line


class Interpreter(ManholeInterpreter):
    """Runs what is typed; says an operator's mistakes in one sentence and only our own with a traceback."""

    def __init__(self, screen: Any, words: Commands) -> None:
        super().__init__(screen, {"__name__": "__console__", "__doc__": None, **words.namespace()}, _FILE)
        self.failed = False  # whether the last input did
        self.left = False  # whether the operator typed exit

    def push(self, line: bytes) -> bool:
        self.failed = False
        if not self.buffer:
            line = as_call(line.decode("utf-8", "replace"), self.locals).encode()
        return bool(super().push(line))

    def runcode(self, code: CodeType) -> None:
        try:
            super().runcode(code)
        except SystemExit:
            self.left = True

    def displayhook(self, obj: object) -> None:
        if obj is None:
            return
        self.locals["_"] = obj
        self.write(f"{obj!r}\n")

    def showtraceback(self) -> None:
        self.failed = True
        error = sys.exc_info()[1]
        assert error is not None  # called while it is handled
        self.write(f"{self._sentence(error)}\n")

    def showsyntaxerror(self, filename: str | None = None, **kwargs: Any) -> None:
        self.failed = True
        error = sys.exc_info()[1]
        what = error.msg if isinstance(error, SyntaxError) else str(error)
        self.write(f"that is not Python: {what}; try paths() or help\n")

    def _sentence(self, error: BaseException) -> str:
        if isinstance(error, MorphnetError) and not isinstance(error, BugError):
            return str(error)
        if isinstance(error, NameError) and error.name:
            near = difflib.get_close_matches(error.name, [name for name in self.locals if name[0] != "_"], 1)
            return f"there is no {error.name!r}; " + (f"did you mean {near[0]!r}?" if near else "`help` lists what is")
        frames = traceback.extract_tb(error.__traceback__)
        if frames and frames[-1].filename == _FILE:
            return f"{type(error).__name__}: {error}"
        return "".join(traceback.format_exception(error)).rstrip()


class Terminal(ColoredManhole):
    """The prompt: history, colours, completion of names; greets with the state."""

    interpreter: Interpreter
    terminal: Any
    lineBuffer: list[bytes]
    historyLines: list[bytes]
    lineBufferIndex: int

    def __init__(self, make_commands: Callable[[Callable[[str], bool]], Commands], blocked: Callable[[], bool]) -> None:
        super().__init__()
        self._commands = make_commands(self._traced)
        self._blocked = blocked
        self._running = False  # while a command is

    def connectionMade(self) -> None:
        super().connectionMade()
        self.interpreter = Interpreter(self, self._commands)

    def initializeScreen(self) -> None:
        # Not `reset`, as the parent does: what stood on the operator's screen shall stay there.
        self.setInsertMode()
        self.terminal.write(self._commands.greeting())
        self.terminal.nextLine()
        self.terminal.write(self.ps[self.pn])

    def terminalSize(self, width: int, height: int) -> None:
        # Not the parent's, which wipes the screen.
        self.width, self.height = width, height

    def lineReceived(self, line: bytes) -> None:
        self._running = True
        try:
            super().lineReceived(line)
        finally:
            self._running = False
        del self.historyLines[:-REMEMBERED]
        self.historyPosition = len(self.historyLines)
        if self.interpreter.left:
            self.handle_QUIT()

    def addOutput(self, data: str, isAsync: bool | None = None) -> None:
        """Write an answer; or, `isAsync`, something that comes while the operator types: above what is typed."""
        if not isAsync or self._running:
            self.terminal.write(data if not isAsync else data + "\n")
            return
        # Not the parent's, which cannot draw a line again that was half typed.
        self.terminal.write(b"\r")
        self.terminal.eraseLine()
        self.terminal.write(data)
        self.terminal.nextLine()
        self.drawInputLine()
        if behind := len(self.lineBuffer) - self.lineBufferIndex:
            self.terminal.cursorBackward(behind)

    def keystrokeReceived(self, keyID: bytes, modifier: object) -> None:
        # Not the parent's alone, which logs a key that it does not know.
        if keyID in self.keyHandlers or keyID in self._printableChars:
            super().keystrokeReceived(keyID, modifier)

    def characterReceived(self, ch: bytes, moreCharactersComing: bool) -> None:
        try:
            super().characterReceived(ch, moreCharactersComing)
        except (SyntaxError, IndexError, UnicodeDecodeError, tokenize.TokenError):
            self.terminal.write(ch)  # half a token cannot be coloured; the character is in the buffer already

    def handle_TAB(self) -> None:
        """Complete a name, as far as it is clear."""
        typed = b"".join(self.lineBuffer[: self.lineBufferIndex]).decode()
        start = max(typed.rfind(letter) for letter in " (=,") + 1
        word = typed[start:]
        names = sorted(name for name in self.interpreter.locals if name.startswith(word) and name[:1] != "_")
        if not word or not names:
            return
        common = names[0]
        while not all(name.startswith(common) for name in names):
            common = common[:-1]
        for letter in common[len(word) :]:
            self.characterReceived(letter.encode(), False)
        if len(names) > 1 and common == word:
            self.addOutput("  ".join(names), True)

    def handle_QUIT(self) -> None:
        self.terminal.resetModes([insults.modes.IRM])  # or the operator's own shell would be left inserting
        self.terminal.nextLine()
        self.terminal.loseConnection()

    def connectionLost(self, reason: Failure) -> None:
        self._commands.close()
        super().connectionLost(reason)

    def _traced(self, line: str) -> bool:
        if self._blocked():
            return False
        self.addOutput(line, True)
        return True


class Pipe(Protocol):
    """Commands without a terminal: `ssh HOST COMMAND`, or lines on standard input; answers are plain text."""

    def __init__(
        self, out: SSHSessionProcessProtocol, make_commands: Callable[[Callable[[str], bool]], Commands]
    ) -> None:
        self._out = out
        self._commands = make_commands(self._traced)
        self._interpreter = Interpreter(self, self._commands)
        self._failed = False
        self._rest = b""

    def run(self, source: str) -> None:
        """Run one command, to its end."""
        more = self._interpreter.push(source.encode("utf-8", "replace"))
        if more and not self._interpreter.push(b""):  # a block wants an empty line
            more = False
        if more:
            self.addOutput("that is not a whole command\n")
        self._failed = self._failed or self._interpreter.failed or more

    def dataReceived(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not self._interpreter.left:
                self._interpreter.push(line)
                self._failed = self._failed or self._interpreter.failed

    def end(self) -> None:
        """No more commands will come: leave when the last trace is over, with an exit code that tells of failures."""
        if self._rest:
            self.dataReceived(b"\n")
        if self._interpreter.buffer:
            self.dataReceived(b"\n")
        code = 1 if self._failed else 0
        self._commands.finished().addCallback(lambda _: exit_with(self._out, code))

    def addOutput(self, data: str, isAsync: bool | None = None) -> None:
        self._out.write(data.encode("utf-8", "replace"))

    def close(self) -> None:
        """The other side is gone."""
        self._commands.close()

    def _traced(self, line: str) -> bool:
        if blocked(self._out):
            return False
        self._out.write(line.encode("utf-8", "replace") + b"\n")
        return True


def blocked(out: SSHSessionProcessProtocol) -> bool:
    """Whether too much waits for the other side to read."""
    return len(out.session.buf or b"") > BACKLOG


def exit_with(out: SSHSessionProcessProtocol, code: int) -> None:
    """End a session with an exit code, so that `ssh` ends with it too."""
    if not out.session.localClosed:
        out.processEnded(Failure(ProcessTerminated(code) if code else ProcessDone(0)))


@implementer(ISession)
class OperatorSession:
    """One channel of one operator's connection."""

    def __init__(self, make_commands: MakeCommands) -> None:
        self._make_commands = make_commands
        self._size = (80, 24)
        self._tty = False
        self._terminal: Terminal | None = None
        self._pipe: Pipe | None = None

    def getPty(self, term: bytes, windowSize: tuple[int, int, int, int], modes: object) -> None:
        self._tty = True
        self.windowChanged(windowSize)

    def windowChanged(self, newWindowSize: tuple[int, int, int, int]) -> None:
        rows, columns = newWindowSize[:2]
        self._size = (columns, rows)
        if self._terminal is not None:
            self._terminal.terminalSize(columns, rows)

    def openShell(self, proto: SSHSessionProcessProtocol) -> None:
        if not self._tty:
            self._open_pipe(proto)
            return
        terminal = Terminal(lambda sink: self._make_commands(sink, True), lambda: blocked(proto))
        chained = _Chain(lambda: terminal)
        chained.makeConnection(_Screen(proto))
        proto.makeConnection(_Keyboard(chained))
        terminal.terminalSize(*self._size)
        self._terminal = terminal

    def execCommand(self, proto: SSHSessionProcessProtocol, cmd: bytes) -> None:
        pipe = self._open_pipe(proto)
        pipe.run(cmd.decode("utf-8", "replace"))
        pipe.end()
        self._pipe_ended = True

    def _open_pipe(self, proto: SSHSessionProcessProtocol) -> Pipe:
        self._pipe = Pipe(proto, lambda sink: self._make_commands(sink, False))
        proto.makeConnection(_Keyboard(self._pipe))
        return self._pipe

    def eofReceived(self) -> None:
        if self._pipe is not None and not getattr(self, "_pipe_ended", False):
            self._pipe.end()

    def closed(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._terminal is not None:
            self._terminal.connectionLost(Failure(ProcessDone(0)))


class _Chain(insults.ServerProtocol):
    """Terminal sequences to keys, and back."""

    transport: Any

    def loseConnection(self) -> None:
        self.transport.loseConnection()  # without the parent's reset, which wipes the operator's screen


class _Keyboard:
    """What the channel writes to: everything typed goes to a protocol."""

    def __init__(self, protocol: Protocol) -> None:
        self.write = protocol.dataReceived

    def loseConnection(self) -> None:
        """`OperatorSession.closed` is told of it as well."""


class _Screen:
    """What a terminal protocol writes to: the channel, closed with an exit code."""

    def __init__(self, out: SSHSessionProcessProtocol) -> None:
        self._out = out

    def write(self, data: bytes) -> None:
        self._out.write(data)

    def loseConnection(self) -> None:
        exit_with(self._out, 0)
