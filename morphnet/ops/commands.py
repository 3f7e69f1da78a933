"""What an operator may type in the manhole: a few callables, each with its docstring."""

from __future__ import annotations

import difflib
import inspect
import textwrap
from collections.abc import Callable, Iterable
from functools import partial
from inspect import Parameter, Signature
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from morphnet.errors import ConfigError
from morphnet.ops import show
from morphnet.ops.node import Node
from morphnet.ops.page import WIDTH, Line
from morphnet.ops.picture import picture_lines
from morphnet.ops.verb import Answer, Verb
from morphnet.status import NodeStatus, SessionStatus

TRACE_LINES = 2000  # of one trace; a busy session would drown the terminal


class Text(str):
    """An answer: shown as it is, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Command:
    """
    A name in the manhole.

    Called, it acts. Typed without (), one that only looks acts too, and one that changes something says how to call it.

    :param signature: how it is called.
    """

    def __init__(self, name: str, doc: str, signature: Signature, act: Callable[..., str], *, looks: bool) -> None:
        self.name, self.__doc__ = name, doc
        self._signature, self._act, self._looks = signature, act, looks

    @classmethod
    def of(cls, act: Callable[..., str], *, looks: bool = True) -> Command:
        """A method, with its name and its docstring."""
        return cls(act.__name__, inspect.getdoc(act) or "", inspect.signature(act), act, looks=looks)

    @classmethod
    def of_verb(cls, verb: Verb, act: Callable[..., str]) -> Command:
        """Something that the process offers."""
        kind = Parameter.POSITIONAL_OR_KEYWORD
        needed = [Parameter(field.name, kind) for field in verb.fields if field.needed]
        rest = [Parameter(field.name, kind, default=field.default) for field in verb.fields if not field.needed]
        return cls(verb.name, verb.help, Signature(needed + rest), act, looks=False)

    @property
    def usage(self) -> str:
        """As in "cut(path, session='')"."""
        parameters = self._signature.parameters.values()
        return f"{self.name}({', '.join(str(each.replace(annotation=each.empty)) for each in parameters)})"

    def __call__(self, *args: Any, **kwargs: Any) -> Text:
        try:
            said = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ConfigError(f"{error}: call it as {self.usage}") from None
        return Text(self._act(**said.arguments))

    def __repr__(self) -> str:
        return self() if self._looks else f"{self.usage}: {self.__doc__}"


class Commands:
    """
    The words for one operator's session.

    :param sink: takes a line of a trace while it arrives; answers False when the operator's terminal is too slow.
    :param wall: Unix seconds, now.
    :param colours: whether answers are for a terminal.
    """

    def __init__(
        self,
        node: Node,
        clock: IReactorTime,
        wall: Callable[[], float],
        sink: Callable[[str], bool],
        *,
        colours: bool,
    ) -> None:
        self._node = node
        self._clock = clock
        self._wall = wall
        self._sink = sink
        self._shown = show.ansi if colours else show.plain
        self._ends: dict[int, Callable[[], None]] = {}  # what goes on: traces, and questions without an answer
        self._waiting: list[Deferred[None]] = []
        verbs = {verb.name: verb for verb in node.verbs()}
        self._switch = verbs.pop("scheduler", None)  # without a name the word of that name only looks
        looks: list[Callable[..., str]] = [self.status]
        for section in show.sections_of(node.status()):
            looks += [self.sessions, self.paths, self.scheduler] if section == "sessions" else [getattr(self, section)]
            verbs.pop(section, None)  # the same, asked by a program
        self._asks = [Command.of(look) for look in (*looks, self.events, self.help)]
        self._acts = [Command.of_verb(verb, partial(self._do, verb)) for verb in verbs.values()]
        self._commands = self._asks + self._acts

    def namespace(self) -> dict[str, object]:
        """Names for the interpreter: every word, `node` itself, and exit and quit."""
        leave = Command.of(self.exit)
        return {each.name: each for each in self._commands} | {"node": self._node, "exit": leave, "quit": leave}

    def greeting(self) -> str:
        """What is shown on entering: the state, and what can be asked."""
        node, now = self._node.status(), self._wall()
        lines = [*show.head_lines(node, now), []]
        for section in show.sections_of(node):
            lines += self._glance(section, node, now)
        return self._shown(
            [
                *lines,
                [],
                *_wrapped("Ask: ", [word.name for word in self._asks]),
                *_wrapped("Act: ", [f"{word.name}(...)" for word in self._acts]),
                [("`help` says more of each; it is Python, Tab completes, Ctrl-D leaves.", "dim")],
            ]
        )

    @staticmethod
    def _glance(section: str, node: NodeStatus, now: float) -> list[Line]:
        """What is shown of a section on entering: one session in full, else tables of what is of use at once."""
        own = show.own_sessions(node)
        match section:
            case "sessions" if len(own) == 1:
                return show.session_lines(own[0], now)
            case "sessions":
                return show.sessions_lines(own, now) if node.state != "among peers" else []
            case "peers" if not node.peers and node.state != "among peers":
                return []
            case "relays":
                return []
        return show.SECTIONS[section].table(node, now)

    # -- looking ------------------------------------------------------------------------------------------------------

    def status(self) -> str:
        """Everything: this node, its sessions, their paths."""
        return self._shown(show.node_lines(self._node.status(), self._wall()))

    def sessions(self) -> str:
        """One line for each session: how long it is up, its scheduler, paths that are up, inner addresses."""
        return self._table("sessions")

    def paths(self, session: str = "") -> str:
        """The paths of every session, or of one: state, RTT, jitter, loss, share, rate, MTU, bytes."""
        lines: list[Line] = []
        for each in self._named(session):
            lines += [[(each.name, "head")], *show.path_lines(each.paths, self._wall())]
        return self._shown(lines or [[("no session", "dim")]])

    def peers(self) -> str:
        """One line for each peer: its state, since when, RTT, and the way to it."""
        return self._table("peers")

    def relays(self) -> str:
        """Each relay: how it stands, its address, and what went through it."""
        return self._table("relays")

    def networks(self) -> str:
        """Networks behind clients, and ports that lead to them: whose, and how each stands."""
        return self._table("networks")

    def phones(self) -> str:
        """Those who come by WireGuard: their addresses, when and where they were heard, how much they carried."""
        return self._table("phones")

    def carries(self) -> str:
        """UDP of other programs that is carried: by which entry or service, for how many, how much."""
        return self._table("carries")

    def uploads(self) -> str:
        """Files that are not whole yet: whose, how much is there, from where."""
        return self._table("uploads")

    def legacy(self) -> str:
        """Clients of the original morphProtocol: who, from where, how much."""
        return self._table("legacy")

    def guests(self) -> str:
        """One line for each node that is here: what came from it, what went to it, its address."""
        return self._table("guests")

    def _table(self, section: str) -> str:
        return self._shown(show.SECTIONS[section].table(self._node.status(), self._wall()))

    def scheduler(self, name: str = "", session: str = "") -> str:
        """Which scheduler each session uses; with a name (bond, flow, redundant, best) switch to it."""
        if name and self._switch is not None:
            return self._do(self._switch, name=name, session=session)
        return "\n".join(f"{each.name}: {each.scheduler}" for each in self._named(session)) or "no session"

    def events(self, n: int = 20) -> str:
        """The last n things that happened."""
        if not isinstance(n, int) or n < 1:
            raise ConfigError("events(n) takes a number, 1 or more")
        return self._shown(show.happening_lines(self._node.happenings(0)[-n:], self._wall()))

    def help(self, word: object = None) -> str:
        """This list; help(word) for one of them."""
        if isinstance(word, Command):
            return f"{word.usage}: {word.__doc__}"
        if word is not None:
            return inspect.getdoc(word) or "nothing is written about it"
        rows: list[Line] = []
        for each in self._commands:
            rows += [[(each.usage, "bold")], [(f"    {each.__doc__}", "")]]
        rows += [[("node", "bold")], [("    The same as objects, for Python: node.status().sessions[0].paths", "")]]
        return self._shown(rows)

    # -- acting -------------------------------------------------------------------------------------------------------

    def _do(self, verb: Verb, **said: Any) -> str:
        """What the process offers. Which session is meant may be said more loosely here."""
        names = {field.name for field in verb.fields}
        if "path" in names:
            known = said.get("session", "") or self._node.status().sessions  # what was cut outlives its session
            said = {**said, "session": self._one(said.get("session", "")).name if known else ""}
        elif verb.answer is Answer.LINES and "session" in names:
            said = {**said, "session": self._one(said.get("session", "")).name}
        filled = verb.filled(said)
        if verb.answer is Answer.LINES:
            self._lines(verb, filled)
            return f"{verb.name} for {filled['seconds']:g} s"
        if verb.answer is Answer.PICTURE:
            self._wait(verb.call(**filled))
            return f"{verb.name}: the answer comes"
        return str(verb.call(**filled))

    def exit(self) -> str:
        """Leave."""
        raise SystemExit

    # -- what goes on -------------------------------------------------------------------------------------------------

    def _begin(self, end: Callable[[], None]) -> Callable[[], None]:
        """Something goes on, until what is returned is called, by whomever; the first time it calls `end`."""
        number = max(self._ends, default=0) + 1

        def over() -> None:
            if self._ends.pop(number, None) is None:
                return
            end()
            if not self._ends:
                waiting, self._waiting = self._waiting, []
                for each in waiting:
                    each.callback(None)

        self._ends[number] = over
        return over

    def _wait(self, answer: Deferred[Any]) -> None:
        """Show what comes of it, unless the operator leaves first."""
        over = self._begin(answer.cancel)

        def came(result: Any) -> None:
            if isinstance(result, Failure):
                result.trap(CancelledError, ConfigError)
                text = "" if result.check(CancelledError) else str(result.value)
            else:
                text = self._shown(picture_lines(result, self._wall()))
            for line in text.splitlines():
                self._sink(line)
            over()

        answer.addBoth(came)

    def _lines(self, verb: Verb, filled: dict[str, Any]) -> None:
        lines = missed = 0

        def line(text: str) -> None:
            nonlocal lines, missed
            if lines >= TRACE_LINES:
                missed += 1
                return
            lines += 1
            missed += not self._sink(text)

        def end() -> None:
            stop()
            if timer.active():
                timer.cancel()
            self._sink(f"end of {verb.name}: {lines} lines" + (f", {missed} more were left out" if missed else ""))

        stop = verb.call(**filled, sink=line)
        over = self._begin(end)
        timer = self._clock.callLater(filled["seconds"], over)

    def close(self) -> None:
        """The operator left: end everything."""
        for end in tuple(self._ends.values()):
            end()

    def finished(self) -> Deferred[None]:
        """Fires when nothing goes on any more."""
        if not self._ends:
            return succeed(None)
        self._waiting.append(Deferred())
        return self._waiting[-1]

    # -- names --------------------------------------------------------------------------------------------------------

    def _named(self, session: str) -> Iterable[SessionStatus]:
        every = self._node.status().sessions
        chosen = [each for each in every if session in ("", each.name)]
        if session and not chosen:
            near = difflib.get_close_matches(str(session), [each.name for each in every], 1)
            hint = f"; did you mean {near[0]!r}?" if near else ": sessions() lists them"
            raise ConfigError(f"there is no session {session!r}{hint}")
        return chosen

    def _one(self, session: str) -> SessionStatus:
        chosen = list(self._named(session))
        if not chosen:
            raise ConfigError("there is no session")
        if len(chosen) > 1:
            raise ConfigError(f"there are {len(chosen)} sessions: add the name of one, session={chosen[0].name!r}")
        return chosen[0]


def _wrapped(title: str, names: Iterable[str]) -> list[Line]:
    """Names after a title, on as many lines as they need."""
    rows = textwrap.wrap("  ".join(names), WIDTH - len(title), break_long_words=False)
    return [[(title if not turn else " " * len(title), "bold"), (row, "")] for turn, row in enumerate(rows)]
