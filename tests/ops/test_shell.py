"""The prompt of the manhole, on a terminal in memory."""

from __future__ import annotations

import re
from collections.abc import Callable

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.conch.insults.insults import ServerProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.commands import Commands
from morphnet.ops.shell import Interpreter, Terminal, as_call
from tests.ops.fakes import FakeNode
from tests.ops.pictures import NOW


class Paper:
    """A screen that keeps what was written."""

    def __init__(self) -> None:
        self.text = ""

    def addOutput(self, data: str, isAsync: bool | None = None) -> None:
        self.text += data


class Faulty(FakeNode):
    """A node with a fault."""

    def reload(self) -> str:
        return str(1 // 0)


class InterpreterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.paper = Paper()
        self.interpreter = self._of(FakeNode())

    def _of(self, node: FakeNode) -> Interpreter:
        return Interpreter(self.paper, Commands(node, Clock(), lambda: NOW, lambda line: True, colours=False))

    def _typed(self, *lines: str) -> str:
        self.paper.text = ""
        for line in lines:
            self.interpreter.push(line.encode())
        return self.paper.text

    def test_answers(self) -> None:
        """Python runs; a bare name shows; an answer has no quotes around it."""
        self.assertEqual(self._typed("1 + 1; 'a'"), "2\n'a'\n")
        self.assertEqual(self._typed("scheduler"), "gateway.example: bond\n")
        self.assertEqual(self._typed("cut(1)"), "path 1 is closed\n")
        self.assertEqual(self._typed("for n in range(2):", "    print(n)", ""), "0\n1\n")
        self.assertFalse(self.interpreter.failed)

    def test_mistakes(self) -> None:
        """An operator's mistake is one sentence."""
        for line, sentence in (
            ("cut(9)", "no session has an open path 9"),
            ("cut()", "missing a required argument: 'path': call it as cut(path, session='')"),
            ("pats", "there is no 'pats'; did you mean 'paths'?"),
            ("xyzzy()", "there is no 'xyzzy'; `help` lists what is"),
            ("1/0", "ZeroDivisionError: division by zero"),
            ("show me", "that is not Python: invalid syntax; try paths() or help"),
            ("'", "that is not Python: "),  # each Python says it in its own words
            ("cut(node)", "'path' must be a whole number or a name"),
        ):
            self.assertTrue(self._typed(line).startswith(sentence), self.paper.text)
            self.assertEqual(self.paper.text.count("\n"), 1)
            self.assertTrue(self.interpreter.failed)

    def test_bug(self) -> None:
        """An error of our own keeps its traceback."""
        self.interpreter = self._of(Faulty())
        self.assertIn("Traceback", self._typed("reload()"))

    def test_shell_like(self) -> None:
        """A word with plain arguments needs no brackets."""
        self.assertEqual(self._typed("cut 1"), "path 1 is closed\n")
        self.assertEqual(self._typed("scheduler flow"), "1 session(s) use flow\n")

    def test_exit(self) -> None:
        """`exit`, with or without (), leaves."""
        for line in ("exit", "quit()"):
            self.interpreter.left = False
            self._typed(line)
            self.assertTrue(self.interpreter.left)

    @given(st.text())
    def test_as_call(self, text: str) -> None:
        """What is Python stays as it is, and anything may be typed."""
        names = self.interpreter.locals
        self.assertEqual(as_call(f"scheduler == {text!r}", names), f"scheduler == {text!r}")
        as_call(f"cut {text}", names)


class TerminalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.node, self.clock = FakeNode(), Clock()
        self.blocked = False

        def make_commands(sink: Callable[[str], bool]) -> Commands:
            return Commands(self.node, self.clock, lambda: NOW, sink, colours=True)

        self.terminal = Terminal(make_commands, lambda: self.blocked)
        self.screen = StringTransport()
        self.server = ServerProtocol(lambda: self.terminal)
        self.server.makeConnection(self.screen)

    def _shown(self) -> str:
        shown = re.sub(rb"\x1b\[[0-9;]*[A-Za-z]", b"", self.screen.value()).decode()
        self.screen.clear()
        return shown

    def _type(self, keys: bytes) -> str:
        self._shown()
        self.server.dataReceived(keys)
        return self._shown()

    def test_greeting(self) -> None:
        """The state and the words, then a prompt; the screen is not wiped."""
        self.assertNotIn(b"\x1bc", self.screen.value())
        shown = self._shown()
        self.assertIn("client laptop  connected", shown)
        self.assertTrue(shown.endswith(">>> "))

    def test_completion(self) -> None:
        """Tab completes what is clear, and lists what is not, without losing what was typed."""
        self.assertIn("gateway.example: bond", self._type(b"sch\t\r"))
        self.assertIn("rekey  relays  reload  restore", self._type(b"re\t"))
        self.assertIn("1 session(s) use a new key", self._type(b"key()\r"))
        self._type(b"\t")
        self.assertIn("2\r\n", self._type(b"1+1\r"))

    def test_trace(self) -> None:
        """A line that comes while one types goes above what is typed."""
        self._type(b"trace(seconds=5)\rcut(")
        assert self.node.sink is not None  # the trace set it
        self.node.sink("<- path 0")
        self.assertEqual(self._shown(), "\r<- path 0\r\n>>> cut(")
        self.blocked = True
        self.node.sink("<- path 1")
        self.assertEqual(self._shown(), "")
        self.assertIn("path 2 is closed", self._type(b"2)\r"))

    def test_leaving(self) -> None:
        """Ctrl-D ends the connection, and its end the trace."""
        self._type(b"trace(seconds=5)\r\x04")
        self.assertTrue(self.screen.disconnecting)
        self.terminal.connectionLost(None)  # type: ignore[arg-type]
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @example([b"exit", b"\r"])
    @given(st.lists(st.binary(max_size=5) | st.sampled_from([b"\x1b[A", b"\x1b[D", b"\t", b"\r", b"'", b"(", b"\x7f"])))
    def test_any_keys(self, keys: list[bytes]) -> None:
        """No keys end the connection by themselves, besides Ctrl-D, Ctrl-backslash and those of `exit`."""
        self.setUp()
        for key in keys:
            self.server.dataReceived(key.replace(b"\x04", b"").replace(b"\x1c", b""))
        self.assertEqual(self.screen.disconnecting, self.terminal.interpreter.left)
