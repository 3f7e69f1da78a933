"""
Revocations arrive here, and are passed on: each process tells the list to those whom it is connected with.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from morphnet.errors import Refused
from morphnet.pki.revocations import RevocationList, digest_of
from morphnet.roles.certificates.revocation_file import Revoked
from morphnet.wire.messages.revocations import (
    BEFORE,
    MOST_WANTED,
    NO_LIST,
    Listing,
    PartsWanted,
    Revocations,
    RevokedPart,
)

MOST_REFUSED = 8  # lists of one link that were not good, before nothing more is heard of it
PATIENCE = 2.0  # seconds without an answer after which somebody else is asked for parts
PORTION = 64  # links that are told in one go: others want to be heard in between


class Link(Protocol):
    """Somebody whom we are connected with. Hashable by identity."""

    def tell(self, message: Revocations | PartsWanted | RevokedPart) -> None:
        """Send a message."""
        ...


@dataclass(slots=True)
class _End:
    """What we know of the other end of a link."""

    number: int  # of the last list that it has, or that it was told
    speaks: bool  # of parts
    refused: int = 0  # its lists that were not good
    given: set[str] = field(default_factory=set)  # parts that it was given: nobody needs one twice


class RevocationExchange:
    """
    Tells a list to those who have an older one, once every part of it is here: so whoever hears of a list can get its
    parts where it has heard of it. Nodes of before are told at once.

    :param changed: called when more is revoked than before; then whoever shows such a certificate is to be cut off.
    """

    _log = Logger()

    def __init__(self, revoked: Revoked, clock: IReactorTime, changed: Callable[[], None]) -> None:
        self.revoked = revoked
        self._clock, self._changed = clock, changed
        self._ends: dict[Link, _End] = {}
        self._source: Link | None = None  # who was asked for parts
        self._sources: deque[Link] = deque()  # who has them as well
        self._owed: set[str] = set()  # parts that it was asked for and has not given
        self._waiting: IDelayedCall | None = None  # for the next of them

    @property
    def number(self) -> int:
        """Of the last list that we can hand on; what is told to others at first."""
        return self.revoked.whole.number if self.revoked.whole is not None else NO_LIST

    # -- links ---------------------------------------------------------------------------------------------------------

    def joined(self, link: Link, number: int) -> None:
        """
        There is a link.

        :param number: that the other end has told, BEFORE if it has not told any.
        """
        self._ends[link] = _End(number, number != BEFORE)
        self._tell(link)

    def left(self, link: Link) -> None:
        """It is gone; harmless when it was none."""
        self._ends.pop(link, None)
        if link in self._sources:
            self._sources.remove(link)
        if link is self._source:
            self._ask_another()

    def heard(self, link: Link, message: Listing) -> None:
        """
        The other end of a link says something.

        A list that is not good is no reason to hang up: it may be of a CA that we shall hear of later.
        """
        end = self._ends.get(link)
        if end is None or end.refused >= MOST_REFUSED:
            return
        match message:
            case Revocations():
                self._told(link, end, message.crl)
            case PartsWanted():
                self._give(link, end, message.parts)
            case RevokedPart():
                if self.revoked.add_part(message.text):
                    self._news()
                    self._go_on(link, message.text)

    def publish(self, signed: RevocationList) -> None:
        """A list was signed here, or found in a file."""
        before = self.revoked.latest
        self.revoked.take(signed)
        if self.revoked.latest is not before:
            self._forget_sources()
            self._news()

    # -- what is said --------------------------------------------------------------------------------------------------

    def _told(self, link: Link, end: _End, crl: str) -> None:
        try:
            news = self.revoked.learn(crl)
        except Refused as refused:
            end.refused += 1
            self._log.warn("a list of revocations is not used: {reason}", reason=refused.reason)
            return
        latest = self.revoked.latest
        if latest is not None and latest.pem == crl:
            end.number = latest.number
        if news:
            self._forget_sources()
            self._news()
        if latest is not None and latest.pem == crl and self.revoked.missing and end.speaks:
            self._sources.append(link)
            if self._source is None:
                self._ask_another()

    # -- parts: those who have told the list are asked, one at a time, so that no part comes twice --------------------

    def _forget_sources(self) -> None:
        self._sources.clear()
        self._source = None
        self._rest()

    def _rest(self) -> None:
        if self._waiting is not None and self._waiting.active():
            self._waiting.cancel()
        self._waiting = None

    def _ask_another(self) -> None:
        """Who was asked is gone, or says nothing; it may still."""
        self._rest()
        self._source = self._sources.popleft() if self._sources else None
        if self._source is not None:
            self._ask(self._source)

    def _ask(self, link: Link) -> None:
        wanted = self.revoked.missing[:MOST_WANTED]
        self._source, self._owed = link, set(wanted)
        self._be_patient()
        link.tell(PartsWanted(wanted))

    def _be_patient(self) -> None:
        self._rest()
        self._waiting = self._clock.callLater(PATIENCE, self._ask_another)

    def _go_on(self, link: Link, part: str) -> None:
        """A part that was missing has come."""
        self._owed.discard(digest_of(part))
        if not self.revoked.missing:
            self._forget_sources()
        elif self._source is None:
            self._ask(link)  # it was slow, not silent
        elif not self._owed:
            self._ask(self._source)
        elif link is self._source:
            self._be_patient()

    def _give(self, link: Link, end: _End, digests: Iterable[str]) -> None:
        for digest in digests:
            text = self.revoked.part(digest)
            if text is not None and digest not in end.given:
                end.given.add(digest)
                link.tell(RevokedPart(text))

    def _news(self) -> None:
        self._changed()
        self._spread(list(self._ends))

    def _spread(self, rest: list[Link]) -> None:
        for link in rest[:PORTION]:
            if link in self._ends:
                self._tell(link)
        if rest[PORTION:]:
            self._clock.callLater(0.0, self._spread, rest[PORTION:])

    def _tell(self, link: Link) -> None:
        """The last list that the other end can make use of, if it has an older one."""
        end = self._ends[link]
        known = self.revoked.whole if end.speaks else self.revoked.latest
        if known is not None and known.number > end.number:
            end.number = known.number
            link.tell(Revocations(known.pem))
