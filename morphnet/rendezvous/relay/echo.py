"""
The echo of a relay: a member asks by UDP what its NAT makes of its sockets, and others are told of it.

Source: docs/protocol section 11.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from morphnet.errors import MalformedFrame, PeerError
from morphnet.rendezvous.relay.members import MOST_NEWS, Member
from morphnet.wire import echo
from morphnet.wire.candidates import SERVER_REFLEXIVE, Candidate

MOST_SOCKETS = 8  # of one node whose mapping is remembered


class Echo:
    """
    :param counts: of the relay.
    :param mapped: hears of a member whose mapping was not known.
    """

    def __init__(self, clock: IReactorTime, counts: Counter[str], mapped: Callable[[Member], None]) -> None:
        self._clock, self._counts, self._mapped = clock, counts, mapped
        self._members: dict[bytes, Member] = {}  # by the id that they show

    def add(self, member: Member) -> None:
        """It may ask."""
        self._members[member.echo_id] = member

    def remove(self, member: Member) -> None:
        """It is gone."""
        del self._members[member.echo_id]

    def answer(self, datagram: bytes, host: str, port: int) -> bytes | None:
        """A UDP datagram came from there: the answer, or nothing for strangers."""
        try:
            member = self._members.get(echo.id_of(datagram))
            if member is None:
                raise MalformedFrame("echo of no member")
            asked = echo.read_request(datagram, member.echo_key)
        except PeerError:
            self._counts["echo_strangers"] += 1
            return None
        if not member.fresh.take(asked):  # recorded, and sent again by whoever has seen it
            self._counts["echo_replays"] += 1
            return None
        self._counts["echoes"] += 1
        seen, socket = Candidate(SERVER_REFLEXIVE, host, port), asked.socket
        if member.mapped.get(socket) != seen and (socket in member.mapped or len(member.mapped) < MOST_SOCKETS):
            member.mapped[socket], member.shown = seen, b""
            if self._is_calm(member):
                self._mapped(member)
        return echo.make_answer(member.echo_id, member.echo_key, asked.transaction, host, port)

    def _is_calm(self, member: Member) -> bool:
        """Whether others may be told of it once more: some times at once, and once a second in the long run."""
        now = self._clock.seconds()
        member.news = min(MOST_NEWS, member.news + now - member.news_at)
        member.news_at = now
        if member.news < 1.0:
            self._counts["untold_mappings"] += 1
            return False
        member.news -= 1.0
        return True
