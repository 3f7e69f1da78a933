"""What an operator may type in the manhole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError
from morphnet.ops import show
from morphnet.ops.commands import TRACE_LINES, Command, Commands
from morphnet.ops.picture import pong_text
from morphnet.status import NodeStatus
from tests.ops.fakes import FakeNode
from tests.ops.pictures import MACHINE, NODE, NOW, PONG, RELAY, SERVER


class CommandsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.shown: list[str] = []
        self.slow = False
        self.use(NODE)

    def use(self, picture: NodeStatus) -> None:
        """Look at this picture from here on."""
        self.node = FakeNode(picture)
        self.words = Commands(self.node, self.clock, lambda: NOW, self._sink, colours=False)
        self.names: dict[str, Any] = self.words.namespace()

    def _sink(self, line: str) -> bool:
        self.shown.append(line)
        return not self.slow

    def _refusal(self, word: str, *args: object, **kwargs: object) -> str:
        return str(self.assertRaises(ConfigError, self.names[word], *args, **kwargs))

    def test_sections(self) -> None:
        """Whatever a process has, it can be looked at by a word of that name."""
        for section in show.SECTIONS:
            self.use(replace(NODE, sections=(section,)))
            self.assertIsInstance(self.names[section](), str)
            self.assertIn(section, repr(self.words.greeting()))

    def test_docstrings(self) -> None:
        """Every word has a docstring, and help() lists every word with it."""
        every = self.names["help"]()
        for name, word in self.names.items():
            if isinstance(word, Command) and name not in ("exit", "quit"):
                self.assertTrue(word.__doc__)
                self.assertIn(f"{word.usage}\n    {word.__doc__}", every)

    def test_bare_names(self) -> None:
        """A name without () looks, or says how to act; it never acts."""
        self.assertEqual(repr(self.names["paths"]), self.names["paths"]())
        self.assertTrue(repr(self.names["cut"]).startswith("cut(path, session=''): Close a path"))
        self.assertEqual(repr(self.names["scheduler"]), "gateway.example: bond")
        for name in ("rekey", "drop", "restore", "trace", "reload"):
            repr(self.names[name])
        self.assertEqual(self.node.asked, [])

    def test_looking(self) -> None:
        """The tables show the session, its paths and the past."""
        self.assertIn("wlp3s0", self.names["status"]())
        self.assertIn("10.73.0.2", self.names["sessions"]())
        self.assertIn("203.0.113.7:8000", self.names["paths"]("gateway.example"))
        self.assertEqual(len(self.names["events"](1).splitlines()), 1)

    def test_acting(self) -> None:
        """Each act reaches the node; a path may be named by its uplink."""
        self.assertEqual(self.names["cut"](1), "path 1 is closed")
        self.names["cut"]("eth0")
        self.names["restore"](1)
        self.names["restore"]("eth0")
        self.names["rekey"]()
        self.names["drop"]("gateway.example")
        self.names["scheduler"]("redundant")
        here = "gateway.example"
        self.assertEqual(
            self.node.asked,
            [("cut", 1, here), ("cut", "eth0", here), ("restore", 1, here), ("restore", "eth0", here),
             ("rekey", ""), ("drop", here), ("scheduler", "redundant", "")],
        )  # fmt: skip

    def test_peers(self) -> None:
        """A client lists its peers; a server and a relay have no word for that."""
        self.assertEqual(self.names["peers"](), "no peer")
        self.use(MACHINE)
        self.assertIn("nas               direct", repr(self.names["peers"]))
        for picture in (SERVER, RELAY):
            self.use(picture)
            self.assertNotIn("peers", self.names)
        self.assertNotIn("paths", self.names)  # nor for what a relay does not have

    def test_relay(self) -> None:
        """A relay lists its guests, and sends them away only when it is told so with ()."""
        self.assertNotIn("guests", self.names)
        self.assertNotIn("drain", self.names)
        self.use(RELAY)
        self.assertIn("anna                61.6 KiB", repr(self.names["guests"]))
        self.assertTrue(repr(self.names["drain"]).startswith("drain(seconds=5.0): Ask every member"))
        self.assertEqual(self.node.asked, [])
        self.assertIn("2 node(s)", self.names["drain"]())
        self.names["drain"](0)
        self.assertEqual(self.node.asked, [("drain", 5.0), ("drain", 0.0)])
        for wrong in ("now", -1, 1e9, float("nan"), True):
            self.assertIn("'seconds' must be", self._refusal("drain", wrong))

    def test_mistakes(self) -> None:
        """A mistake is answered with what to do."""
        self.assertEqual(self._refusal("cut", 9), "no session has an open path 9")
        self.assertIn("call it as cut(path, session='')", self._refusal("cut"))
        self.assertIn("did you mean 'gateway.example'", self._refusal("paths", "gateway.exmple"))
        self.assertEqual(self._refusal("cut", "wlan7"), "no session has an open path wlan7")
        self.assertIn("must be a whole number or a name", self._refusal("cut", ""))
        self.assertIn("takes a number", self._refusal("events", 0))
        self.assertIn("between 0.1 and 3600", self._refusal("trace", seconds=1e9))
        self.assertEqual(self._refusal("drop", ""), "'session' must not be empty")

    def test_many_sessions(self) -> None:
        """With several sessions, what would hit them all wants a name."""
        self.use(SERVER)
        for word, arguments in (("cut", (0,)), ("restore", (0,)), ("trace", ())):
            self.assertIn("add the name of one", self._refusal(word, *arguments))
        self.assertEqual(self.node.asked, [])

    def test_no_session(self) -> None:
        """What was cut can be restored while there is no session."""
        self.use(replace(NODE, sessions=()))
        self.names["restore"]("eth0")
        self.assertEqual(self.node.asked, [("restore", "eth0", "")])

    def test_trace(self) -> None:
        """Lines arrive while it lasts; `finished` waits for its end."""
        self.names["trace"](seconds=3)
        finished = self.words.finished()
        assert self.node.sink is not None  # the trace set it
        self.node.sink("<- path 0")
        self.clock.advance(2.9)
        self.assertNoResult(finished)
        self.clock.advance(0.1)
        self.successResultOf(finished)
        self.assertEqual(self.shown[1:], ["<- path 0", "end of trace: 2 lines"])
        self.assertIsNone(self.node.sink)

    def test_answers_later(self) -> None:
        """What takes its time is shown when it has come; `finished` waits for it, and who leaves gives it up."""
        self.names["ping"]("nas", seconds=2)
        finished = self.words.finished()
        self.assertNoResult(finished)
        self.node.pong.callback(PONG)
        self.successResultOf(finished)
        self.assertEqual(self.shown, [pong_text(PONG)])
        self.names["netcheck"]()
        self.assertIn("network of", self.shown[1])
        self.assertIn("known are nas", self._refusal("ping", "bert"))
        self.names["ping"]("nas")
        self.words.close()
        self.assertEqual(self.node.asked[-1], ("ping cancelled",))

    def test_same_as_feed(self) -> None:
        """Whatever the process offers can be asked here, by the same name and with the same fields."""
        for picture in (NODE, RELAY):
            self.use(picture)
            for verb in self.node.verbs():
                for field in verb.fields:
                    self.assertIn(field.name, self.names[verb.name].usage)

    def test_trace_is_bounded(self) -> None:
        """Past the limit, and while the terminal is slow, lines are counted and left out."""
        self.names["trace"](seconds=3)
        assert self.node.sink is not None  # the trace set it
        self.slow = True
        self.node.sink("slow")
        self.slow = False
        for _ in range(TRACE_LINES):
            self.node.sink("fast")
        self.clock.advance(3)
        self.assertEqual(self.shown[-1], f"end of trace: {TRACE_LINES} lines, 3 more were left out")

    def test_leaving(self) -> None:
        """Who leaves takes the traces along."""
        self.names["trace"](seconds=3)
        self.words.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.node.asked[-1], ("trace stopped",))

    def test_greeting(self) -> None:
        """The state, and every word, within 80 columns; one session in full, several, peers and guests in a table."""
        signs = ((NODE, "rtt"), (SERVER, "phone-of-field-eng"), (MACHINE, "carl  "), (RELAY, "198.51.100.2:50111"))
        for picture, sign in signs:
            self.use(picture)
            greeting = self.words.greeting()
            self.assertIn(sign, greeting)
            self.assertLessEqual(max(map(len, greeting.splitlines())), 80)
            own = ("guests", "drain(...)") if picture is RELAY else ("paths", "cut(...)", "trace(...)")
            for name in ("status", "events", *own):
                self.assertIn(name, greeting)
