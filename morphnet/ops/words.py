"""What an operator may type in the manhole: a few callables, each with its docstring."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from morphnet.errors import ConfigError
from morphnet.ops import show
from morphnet.ops.node import Node
from morphnet.status import PathStatus, SessionStatus

TRACE_LINES = 2000  # of one trace; a busy session would drown the terminal
TRACE_SECONDS = 3600.0
DRAIN_SECONDS = 3600.0


class Text(str):
    """An answer: shown as it is, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Word:
    """
    A name in the manhole.

    Called, it acts. Typed without (), one that only looks acts too, and one that changes something says how to call it.
    """

    def __init__(self, act: Callable[..., str], *, looks: bool) -> None:
        self.__doc__ = inspect.getdoc(act)
        self.name = act.__name__.strip("_")
        self._act = act
        self._looks = looks

    @property
    def usage(self) -> str:
        """As in "cut(path, session='')"."""
        parameters = inspect.signature(self._act).parameters.values()
        return f"{self.name}({', '.join(str(each.replace(annotation=each.empty)) for each in parameters)})"

    def __call__(self, *args: Any, **kwargs: Any) -> Text:
        try:
            inspect.signature(self._act).bind(*args, **kwargs)
        except TypeError as error:
            raise ConfigError(f"{error}: call it as {self.usage}") from None
        return Text(self._act(*args, **kwargs))

    def __repr__(self) -> str:
        return self() if self._looks else f"{self.usage}: {self.__doc__}"


class Words:
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
        self._ends: dict[int, Callable[[], None]] = {}  # traces that run
        self._waiting: list[Deferred[None]] = []
        looks: list[Callable[..., str]] = [self.status, self.sessions, self.paths, self.scheduler]
        acts: list[Callable[..., str]] = [self.cut, self.restore, self.rekey, self.drop, self.trace, self.reload]
        if node.role == "client":
            looks.append(self.peers)
        elif node.role == "relay":  # which has no sessions and no paths
            looks, acts = [self.status, self.guests], [self.drain, self.reload]
        self._asks = [Word(look, looks=True) for look in (*looks, self.events, self.help)]
        self._acts = [Word(act, looks=False) for act in acts]
        self._words = self._asks + self._acts

    def namespace(self) -> dict[str, object]:
        """Names for the interpreter: every word, `node` itself, and exit and quit."""
        leave = Word(self.exit, looks=True)
        return {each.name: each for each in self._words} | {"node": self._node, "exit": leave, "quit": leave}

    def greeting(self) -> str:
        """What is shown on entering: the state, and what can be asked."""
        node, now = self._node.status(), self._wall()
        lines = [*show.head_lines(node, now), []]
        own = show.own_sessions(node)
        if len(own) == 1:
            lines += show.session_lines(own[0], now)
        elif node.role != "relay" and node.state != "among peers":
            lines += show.sessions_lines(own, now)
        if node.peers or node.state == "among peers":
            lines += show.peers_lines(node.peers, now)
        if node.role == "relay":
            lines += show.guests_lines(node.guests)
        ask = "  ".join(word.name for word in self._asks)
        act = "  ".join(word.usage.split("(")[0] + "(...)" for word in self._acts)
        return self._shown(
            [
                *lines,
                [],
                [("Ask: ", "bold"), (ask, "")],
                [("Act: ", "bold"), (act, "")],
                [("`help` says more of each; it is Python, Tab completes, Ctrl-D leaves.", "dim")],
            ]
        )

    # -- looking ------------------------------------------------------------------------------------------------------

    def status(self) -> str:
        """Everything: this node, its sessions, their paths."""
        return self._shown(show.node_lines(self._node.status(), self._wall()))

    def sessions(self) -> str:
        """One line for each session: how long it is up, its scheduler, paths that are up, inner addresses."""
        return self._shown(show.sessions_lines(self._node.status().sessions, self._wall()))

    def paths(self, session: str = "") -> str:
        """The paths of every session, or of one: state, RTT, jitter, loss, share, rate, MTU, bytes."""
        lines: list[show.Line] = []
        for each in self._named(session):
            lines += [[(each.name, "head")], *show.path_lines(each.paths, self._wall())]
        return self._shown(lines or [[("no session", "dim")]])

    def peers(self) -> str:
        """One line for each peer: its state, since when, RTT, and the way to it."""
        return self._shown(show.peers_lines(self._node.status().peers, self._wall()))

    def guests(self) -> str:
        """One line for each node that is here: what came from it, what went to it, its address."""
        return self._shown(show.guests_lines(self._node.status().guests))

    def scheduler(self, name: str = "", session: str = "") -> str:
        """Which scheduler each session uses; with a name (bond, flow, redundant, best) switch to it."""
        if name:
            return self._node.set_scheduler(name, session)
        return "\n".join(f"{each.name}: {each.scheduler}" for each in self._named(session)) or "no session"

    def events(self, n: int = 20) -> str:
        """The last n things that happened."""
        if not isinstance(n, int) or n < 1:
            raise ConfigError("events(n) takes a number, 1 or more")
        return self._shown(show.happening_lines(self._node.happenings(0)[-n:], self._wall()))

    def help(self, word: object = None) -> str:
        """This list; help(word) for one of them."""
        if isinstance(word, Word):
            return f"{word.usage}: {word.__doc__}"
        if word is not None:
            return inspect.getdoc(word) or "nothing is written about it"
        rows: list[show.Line] = []
        for each in self._words:
            rows += [[(each.usage, "bold")], [(f"    {each.__doc__}", "")]]
        rows += [[("node", "bold")], [("    The same as objects, for Python: node.status().sessions[0].paths", "")]]
        return self._shown(rows)

    # -- acting -------------------------------------------------------------------------------------------------------

    def cut(self, path: int | str, session: str = "") -> str:
        """Close a path, named by its number or its uplink, as if its cable had been pulled."""
        chosen = self._one(session)
        return self._node.cut_path(self._path(path, chosen), chosen.name)

    def restore(self, path: int | str, session: str = "") -> str:
        """Open a path again that was cut."""
        chosen = self._one(session)
        return self._node.restore_path(self._path(path, chosen), chosen.name)

    def rekey(self, session: str = "") -> str:
        """Use new keys now, in every session or in one."""
        return self._node.rekey(session)

    def drop(self, session: str) -> str:
        """Forget a session; its client connects again."""
        if not session or not isinstance(session, str):
            raise ConfigError("drop('NAME') wants the name of a session")
        return self._node.drop_session(session)

    def trace(self, session: str = "", seconds: float = 10) -> str:
        """Show one session's datagrams as they come and go, one line for each run of them."""
        if not isinstance(seconds, (int, float)) or not 0 < seconds <= TRACE_SECONDS:
            raise ConfigError(f"trace() takes seconds, up to {TRACE_SECONDS:g}")
        self._trace(self._one(session).name, float(seconds))
        return f"tracing for {seconds:g} s"

    def reload(self) -> str:
        """Read revocations again."""
        return self._node.reload()

    def drain(self, seconds: float = 5) -> str:
        """Ask every guest to use another relay within so many seconds; who comes later is turned away."""
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= DRAIN_SECONDS:
            raise ConfigError(f"drain() takes seconds, up to {DRAIN_SECONDS:g}")
        return self._node.drain(float(seconds))

    def exit(self) -> str:
        """Leave."""
        raise SystemExit

    # -- traces -------------------------------------------------------------------------------------------------------

    def _trace(self, session: str, seconds: float) -> None:
        number = max(self._ends, default=0) + 1
        lines = missed = 0
        timer: IDelayedCall | None = None
        stop: Callable[[], None] = lambda: None  # noqa: E731

        def line(text: str) -> None:
            nonlocal lines, missed
            if lines >= TRACE_LINES:
                missed += 1
                return
            lines += 1
            missed += not self._sink(text)

        def end() -> None:
            if self._ends.pop(number, None) is None:
                return
            stop()
            if timer is not None and timer.active():
                timer.cancel()
            self._sink(f"end of trace: {lines} lines" + (f", {missed} more were left out" if missed else ""))
            if not self._ends:
                waiting, self._waiting = self._waiting, []
                for each in waiting:
                    each.callback(None)

        stop = self._node.trace(session, seconds, line)
        self._ends[number] = end
        timer = self._clock.callLater(seconds, end)

    def close(self) -> None:
        """The operator left: end every trace."""
        for end in tuple(self._ends.values()):
            end()

    def finished(self) -> Deferred[None]:
        """Fires when no trace runs any more."""
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

    @staticmethod
    def _path(path: int | str, session: SessionStatus) -> int:
        if isinstance(path, int):
            return path
        found: list[PathStatus] = [each for each in session.paths if each.uplink == path and path]
        if len(found) != 1:
            raise ConfigError(f"{len(found) or 'no'} paths use {path!r}: give the number of one, paths() lists them")
        return found[0].path
