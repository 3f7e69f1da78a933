"""The sessions of browsers that have logged in: each has its streams, and a channel when the browser is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from morphnet.errors import PeerError, Refused
from morphnet.rendezvous.home.streams import Link, Session, Stream

MOST = 32  # sessions at once
GRACE = 12 * 3600.0  # seconds that one is kept without its browser


class Service(Protocol):
    """
    What a home offers.

    Whoever makes one gives it a name and, in `opened`, each stream an `Outlet` (rendezvous/home/streams).
    """

    name: str

    def opened(self, stream: Stream, asked: dict[str, Any]) -> str:
        """
        A browser wants something; what is done, in words, for the log.

        :raises Refused: it is not done; the browser is told why.
        """
        ...

    def close(self) -> None:
        """The home stops."""
        ...


@dataclass(frozen=True, slots=True)
class Visit:
    """One browser's: takes what its channels bring."""

    name: str
    session: Session
    broken: Callable[[str, str], None]  # told the name of a session whose browser breaks the rules, and how

    def opened(self, channel: Link) -> None:
        """Go on over this channel."""
        self.session.attach(channel)

    def message(self, channel: Link, data: bytes) -> None:
        """The browser said something."""
        try:
            self.session.received(channel, data)
        except PeerError as trouble:
            self.broken(self.name, str(trouble))

    def closed(self, channel: Link) -> None:
        """It may come back over another one."""
        self.session.detach(channel)


class Visits:
    """
    All of them.

    :param services: by name.
    :param ended: told the name of a session that is over.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, services: Mapping[str, Service], ended: Callable[[str], None]) -> None:
        self._clock, self._services, self._ended = clock, services, ended
        self._visits: dict[str, Visit] = {}
        self.counts: Counter[str] = Counter()
        self.told: Callable[[str, str], None] = lambda session, text: None  # of every access

    def __len__(self) -> int:
        return len(self._visits)

    @property
    def linked(self) -> int:
        """How many browsers are there."""
        return sum(visit.session.linked for visit in self._visits.values())

    @property
    def kept(self) -> int:
        """Bytes that browsers may not have yet."""
        return sum(visit.session.kept for visit in self._visits.values())

    def of(self, name: str) -> Visit:
        """
        That session, old or new.

        :raises Refused: there are too many, and a browser is there in each of them.
        """
        visit = self._visits.get(name)
        if visit is not None:
            self.counts["visits_resumed"] += 1
            return visit
        if len(self._visits) >= MOST and not self._forget_one():
            raise Refused("too many browsers")

        def opened(stream: Stream, asked: dict[str, Any]) -> None:
            self._opened(name, stream, asked)

        visit = self._visits[name] = Visit(name, Session(self._clock, opened), self._broken)
        self.counts["visits"] += 1
        return visit

    def _opened(self, name: str, stream: Stream, asked: dict[str, Any]) -> None:
        wanted = asked.get("service")
        if wanted is None:
            stream.say({"services": sorted(self._services)})
            stream.end()
            return
        service = self._services.get(str(wanted))
        if service is None:
            raise Refused("that is not offered here")
        self.told(name, service.opened(stream, asked))

    def _forget_one(self) -> bool:
        """The one that was away for longest makes room."""
        away = [visit for visit in self._visits.values() if not visit.session.linked]
        if away:
            self._end(min(away, key=lambda visit: visit.session.heard_at).name)
        return bool(away)

    def expire(self) -> None:
        """End those whose browser was away for too long."""
        before = self._clock.seconds() - GRACE
        for visit in list(self._visits.values()):
            if not visit.session.linked and visit.session.heard_at < before:
                self._end(visit.name)

    def _broken(self, name: str, how: str) -> None:
        self._log.warn("a browser breaks the rules: {how}", how=how)
        self.counts["visits_broken"] += 1
        self._end(name)

    def _end(self, name: str) -> None:
        visit = self._visits.pop(name, None)
        if visit is not None:
            visit.session.end()
            self._ended(name)

    def end(self) -> None:
        """We stop."""
        for name in list(self._visits):
            self._end(name)
