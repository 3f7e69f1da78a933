"""
The control link to one of several servers: all are called at once, and who first proves itself is spoken with.

A session is with one server alone, and so are the inner addresses: another one is called when this one is gone, not
when its control link is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred

from morphnet.roles.signalling.control_client import Link, Listener, Pushed
from morphnet.wire.messages.control import Hello, Welcome

STAY = 3.0  # seconds after its link is lost that a server is called alone: one that is restarted is back by then
SET_ASIDE = 60.0  # seconds that one is not called which has refused us, and given no hope


class Line(Protocol):
    """What calls one server."""

    def connect(self) -> Deferred[None]:
        """Call now; the listener hears what comes of it, its `hello` first if the server has proved itself."""
        ...

    def close(self, reason: str = "") -> None:
        """Give up the call, or hang up. The listener hears nothing more of it."""
        ...


class Owner(Listener, Protocol):
    """Who wants a link, to whichever of them."""

    def stays(self) -> bool:
        """Whether the session with the server of now works without a link."""
        ...


class Servers:
    """
    :param places: as configured.
    :param make: makes the line to one of them, and is told who listens.
    :param now: seconds.
    :param chosen: told who is spoken with, before it is.
    """

    def __init__(
        self,
        places: Sequence[str],
        make: Callable[[str, Listener], Line],
        owner: Owner,
        now: Callable[[], float],
        chosen: Callable[[str], None],
    ) -> None:
        self._owner, self._now, self._chosen = owner, now, chosen
        self._all = [_Server(self, place) for place in places]
        self._lines = {each: make(each.place, each) for each in self._all}
        self._calling: set[_Server] = set()  # whose call has no outcome yet
        self._current: _Server | None = None  # who was spoken with last
        self._lost_at = float("-inf")

    @property
    def place(self) -> str:
        """Of who was spoken with last; of the first, while that was nobody."""
        return (self._current or self._all[0]).place

    def connect(self) -> None:
        """Call; the owner hears one outcome."""
        self.close()
        wanted = self._wanted()
        self._calling = set(wanted)
        for server in wanted:
            self._lines[server].connect()

    def close(self, reason: str = "") -> None:
        """Give up the call, or hang up. The owner hears nothing more of it."""
        self._calling.clear()
        for line in self._lines.values():
            line.close(reason)

    def _wanted(self) -> list[_Server]:
        now = self._now()
        willing = [server for server in self._all if now >= server.aside_until] or self._all
        current = self._current
        if current in willing and current is not None and (self._owner.stays() or now < self._lost_at + STAY):
            return [current]
        return willing

    # what the lines tell

    def proved(self, server: _Server) -> Hello:
        """The first of those who are called: the others are let go."""
        for other in self._calling - {server}:
            self._lines[other].close()
        self._calling, self._current = {server}, server
        self._chosen(server.place)
        return self._owner.hello()

    def welcomed(self, server: _Server, welcome: Welcome, link: Link) -> None:
        """It is the one."""
        self._calling.clear()
        self._owner.welcomed(welcome, link)

    def refused(self, server: _Server, reason: str, retry_after: float | None) -> None:
        """It does not want us: others are asked meanwhile, if there are any."""
        self._calling.discard(server)
        now = self._now()
        server.aside_until = now + (SET_ASIDE if retry_after is None else retry_after)
        if any(now >= other.aside_until for other in self._all):
            self._owner.failed(f"{server.place} refuses us: {reason}")
        else:
            self._owner.refused(reason, retry_after)

    def failed(self, server: _Server, reason: str) -> None:
        """One less; the last one's reason is that of all."""
        self._calling.discard(server)
        if not self._calling:
            self._owner.failed(reason if len(self._all) == 1 else f"{server.place}: {reason}")

    def signal(self, signal: Pushed) -> None:
        """The server says something."""
        self._owner.signal(signal)

    def lost(self, reason: str) -> None:
        """The link is gone."""
        self._lost_at = self._now()
        self._owner.lost(reason)


class _Server:
    """One of them, and the listener of its line."""

    def __init__(self, servers: Servers, place: str) -> None:
        self._servers, self.place = servers, place
        self.aside_until = float("-inf")  # it has refused us until then

    def hello(self) -> Hello:
        return self._servers.proved(self)

    def welcomed(self, welcome: Welcome, link: Link) -> None:
        self._servers.welcomed(self, welcome, link)

    def refused(self, reason: str, retry_after: float | None) -> None:
        self._servers.refused(self, reason, retry_after)

    def failed(self, reason: str) -> None:
        self._servers.failed(self, reason)

    def signal(self, signal: Pushed) -> None:
        self._servers.signal(signal)

    def lost(self, reason: str) -> None:
        self._servers.lost(reason)
