"""A node that does nothing but remember what it was asked, for the feed, the manhole and the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, succeed

from morphnet.errors import ConfigError
from morphnet.ops import verbs
from morphnet.ops.history import History
from morphnet.ops.verb import Verb
from morphnet.ops.why import peer_named
from morphnet.status import Happening, NetcheckStatus, NodeStatus, PeerStatus, Pong
from tests.ops.pictures import HAPPENINGS, NETCHECK, NODE, NOW


class FakeNode:
    """
    A `Node`; `asked` has the acts in order.

    :param picture: what `status` answers.
    """

    def __init__(self, picture: NodeStatus = NODE) -> None:
        self.picture = picture
        self.asked: list[tuple[object, ...]] = []
        self.history = History(lambda: NOW)
        self.sink: Callable[[str], None] | None = None  # of the trace that runs
        for each in HAPPENINGS:
            self.history.add(each.kind, each.session, each.text)

    @property
    def role(self) -> str:
        return self.picture.role

    def status(self) -> NodeStatus:
        return self.picture

    def happenings(self, after: int) -> list[Happening]:
        return self.history.after(after)

    def verbs(self) -> Sequence[Verb]:
        if self.role == "relay":
            return verbs.of_a_relay(self)
        return (*verbs.of_sessions(self), *verbs.of_peers(self))

    def set_scheduler(self, name: str, session: str) -> str:
        self.asked.append(("scheduler", name, session))
        changed = tuple(dataclasses.replace(each, scheduler=name) for each in self.picture.sessions)
        self.picture = dataclasses.replace(self.picture, sessions=changed)
        return f"1 session(s) use {name}"

    def cut_path(self, path: int | str, session: str) -> str:
        self.asked.append(("cut", path, session))
        if path not in (0, 1, 2, "eth0"):
            raise ConfigError(f"no session has an open path {path}")
        return f"path {path} is closed"

    def restore_path(self, path: int | str, session: str) -> str:
        self.asked.append(("restore", path, session))
        return f"path {path} is open"

    def rekey(self, session: str) -> str:
        self.asked.append(("rekey", session))
        return "1 session(s) use a new key"

    def drop_session(self, session: str) -> str:
        self.asked.append(("drop", session))
        return f"session {session} is dropped"

    def trace(self, session: str, seconds: float, sink: Callable[[str], None]) -> Callable[[], None]:
        self.asked.append(("trace", session, seconds))
        self.sink = sink
        sink("-> path 0, 12 datagrams, 16800 bytes")

        def stop() -> None:
            self.asked.append(("trace stopped",))
            self.sink = None

        return stop

    def ping(self, name: str, seconds: float) -> Deferred[Pong]:
        self.asked.append(("ping", name, seconds))
        if name != "nas":
            raise ConfigError(f"there is no peer {name!r}: known are nas")
        self.pong = Deferred[Pong](lambda _: self.asked.append(("ping cancelled",)))
        return self.pong

    def why(self, name: str) -> Deferred[PeerStatus]:
        self.asked.append(("why", name))
        return succeed(peer_named(self.picture.peers, name))

    def netcheck(self) -> Deferred[NetcheckStatus]:
        return succeed(NETCHECK)

    def drain(self, seconds: float) -> str:
        self.asked.append(("drain", seconds))
        return "2 node(s) were asked to use another relay"

    def reload(self) -> str:
        self.asked.append(("reload",))
        return "0 certificates are revoked"
