"""
Clients of the original morphProtocol at a server: one port for their handshakes, and one for each session.

A session has two sockets, to the client and to WireGuard, so that neither can be taken for the other.

Source: docs/legacy sections 5 and 6.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from morphnet.config.accounting import OLD
from morphnet.config.legacy import MorphProtocolConfig, split_place
from morphnet.errors import HostError, MalformedFrame, Refused
from morphnet.legacy.control import (
    CLOSE,
    CONNECTED,
    FULL,
    INACTIVITY,
    RECONNECTED,
    Answer,
    Handshake,
    Key,
    write_answer,
)
from morphnet.legacy.office import Office
from morphnet.legacy.runs import cut, equal_runs, join
from morphnet.legacy.session import KEEPALIVE, Session
from morphnet.net.legacy_udp import FragmentingDoor
from morphnet.net.limits import SourceLimiter
from morphnet.roles.process.statuses import shown_address
from morphnet.roles.server.accounting import Meter
from morphnet.status import LegacyStatus
from morphnet.wire.batch import Arrival, Departure, Endpoint

HANDSHAKES, HANDSHAKES_EVERY = 10, 60.0  # from one address
PACKETS = 1000  # a second from one address that has no session there
SOURCES = 1 << 14  # addresses remembered
SWEEP_EVERY = 5.0  # seconds
MOST_USERS, OTHERS = 1024, f"{OLD}*"  # by name while this process runs; all that come after them are counted together


class _Place:
    """The sockets of one session."""

    def __init__(self, session: Session, client: FragmentingDoor, inner: FragmentingDoor) -> None:
        self.session, self.client, self.inner = session, client, inner

    def close(self) -> None:
        self.client.close()
        self.inner.close()


@dataclass(frozen=True, slots=True)
class Around:
    """What there is around old clients at a server."""

    reactor: Any
    number: Callable[[], int]  # gives each socket a name
    now: Callable[[], float]  # seconds, never back
    tell: Callable[[str, str, str], None]  # (kind, session, sentence) for the node's history
    meter: Meter


class LegacyServer:
    """:param key: of this server and all its clients."""

    def __init__(self, config: MorphProtocolConfig, key: Key, around: Around) -> None:
        self.config, self._key, self._reactor, self._number = config, key, around.reactor, around.number
        self._now, self._tell, self._meter = around.now, around.tell, around.meter
        self._office = Office(key, config.max_sessions, config.timeout_s, os.urandom)
        self._to = Endpoint(*split_place(config.to))
        self._places: dict[bytes, _Place] = {}  # by ClientID
        self._users: set[str] = set()  # that are counted by their names
        self._handshakes = SourceLimiter(HANDSHAKES / HANDSHAKES_EVERY, HANDSHAKES, SOURCES)
        self._packets = SourceLimiter(float(PACKETS), PACKETS, SOURCES)
        self._counts, self._ended = Counter[str](), Counter[str]()  # here; and by sessions that are over
        self._control = FragmentingDoor(
            self._reactor, self._number(), self._heard, host=config.listen, port=config.port
        )

    def open(self) -> None:
        """
        Serve.

        :raises HostError: the port is taken.
        """
        self._control.open()

    def close(self) -> None:
        """End all sessions."""
        for place in list(self._places.values()):
            self._end(place, INACTIVITY, "the server stops")
        self._control.close()

    # -- the control port ----------------------------------------------------------------------------------------------

    def _heard(self, arrivals: Sequence[Arrival]) -> None:
        now = self._now()
        for arrival in arrivals:
            for datagram in cut(bytes(arrival.data), arrival.size):
                if not self._packets.admit(arrival.source.host, now=now):
                    self._counts["legacy_limited"] += 1
                else:
                    self._take(arrival.source, datagram, now)

    def _take(self, source: Endpoint, datagram: bytes, now: float) -> None:
        """One datagram: a message, or data of a client that does not know better."""
        session = self._office.of_data(datagram)
        if session is not None:
            self._from_client(session, source, [datagram], now)
            return
        try:
            message = self._office.open(datagram)
        except MalformedFrame:
            self._counts["legacy_strangers"] += 1
            return
        if isinstance(message, Handshake):
            self._handshake(message, source, now)
        elif message == CLOSE and (over := self._office.at(source)) is not None:
            self._end(self._places[over.handshake.client], "", "the client has closed it")

    def _handshake(self, handshake: Handshake, source: Endpoint, now: float) -> None:
        if not self._handshakes.admit(source.host, now=now):
            self._counts["legacy_limited"] += 1
            return
        if self._meter.refusal(self._charged(handshake.user)):
            self._counts["legacy_spent"] += 1
            self._say(FULL, source)
            return
        try:
            session, fresh = self._office.begin(handshake, source, now=now)
        except Refused as refused:
            self._counts["legacy_full"] += 1
            self._say(refused.reason, source)
            return
        if fresh and not self._settle(session):
            return
        port = self._places[handshake.client].client.local[1]
        self._say(write_answer(Answer(port, handshake.client, CONNECTED if fresh else RECONNECTED)), source)

    def _say(self, text: str, to: Endpoint) -> None:
        sealed = self._key.seal(text)
        self._control.send([Departure(self._control.number, to, sealed, len(sealed))])

    # -- sessions ------------------------------------------------------------------------------------------------------

    def _settle(self, session: Session) -> bool:
        """Open the sockets of a new session; False when there are none left."""
        name = _name(session)
        client = self._door_to_client(session)
        inner = FragmentingDoor(self._reactor, self._number(), partial(self._from_inner, session))
        inner.host = "127.0.0.1" if self._to.host.startswith("127.") else ""
        try:
            client.open()
            inner.open()
        except HostError:
            client.close()
            self._office.forget(session)
            self._counts["legacy_full"] += 1
            return False
        self._places[session.handshake.client] = _Place(session, client, inner)
        self._meter.came(_meant(session))
        self._tell("legacy-up", name, f"an old client has come, as user {session.handshake.user!r}")
        return True

    def _door_to_client(self, session: Session) -> FragmentingDoor:
        config, port = self.config, 0
        if config.first_port:
            taken = {place.client.local[1] for place in self._places.values()}
            every = range(config.first_port, config.first_port + config.max_sessions)
            port = next(each for each in every if each not in taken)
        heard = partial(self._from_clients, session)
        return FragmentingDoor(self._reactor, self._number(), heard, host=config.listen, port=port)

    def _from_clients(self, session: Session, arrivals: Sequence[Arrival]) -> None:
        now = self._now()
        for arrival in arrivals:
            datagrams = cut(bytes(arrival.data), arrival.size)
            if arrival.source.host != session.peer.host:
                admitted = [each for each in datagrams if self._packets.admit(arrival.source.host, now=now)]
                if len(admitted) < len(datagrams):
                    self._counts["legacy_limited"] += len(datagrams) - len(admitted)
                datagrams = admitted
            self._from_client(session, arrival.source, datagrams, now)

    def _from_client(self, session: Session, source: Endpoint, datagrams: Sequence[bytes], now: float) -> None:
        moves, place = session.moves, self._places[session.handshake.client]
        texts = session.receive(source, datagrams, now=now)
        self._meter.add(self._user(session), 0, sum(map(len, texts)))
        if session.moves > moves:
            self._tell("legacy-moved", _name(session), "an old client goes on from another address")
        door = place.inner
        door.send([Departure(door.number, self._to, run, size) for run, size in join(texts)])

    def _from_inner(self, session: Session, arrivals: Sequence[Arrival]) -> None:
        for arrival in arrivals:
            if arrival.source[:2] != self._to[:2]:
                self._counts["legacy_strangers"] += 1
                continue
            for run, size in equal_runs(bytes(arrival.data), arrival.size):
                self._meter.add(self._user(session), len(run), 0)
                self._to_client(session, run, size)

    def _to_client(self, session: Session, run: bytes, size: int) -> None:
        place = self._places.get(session.handshake.client)
        if place is None:
            return
        datagrams = session.send(run, size, now=self._now(), millis=int(time.time() * 1000))
        door = place.client
        door.send([Departure(door.number, session.peer, data, length) for data, length in join(datagrams)])

    def _user(self, session: Session) -> str:
        """For whom it is counted: any name may be said, so that they are bounded."""
        name = self._charged(session.handshake.user)
        if name != OTHERS:
            self._users.add(name)
        return name

    def _charged(self, user: str) -> str:
        """For whom it would be counted."""
        name = account_of(user)
        return name if name in self._users or len(self._users) < MOST_USERS else OTHERS

    def _end(self, place: _Place, last: str, why: str) -> None:
        session = place.session
        if last:
            self._say(last, session.peer)
        place.close()
        self._ended.update(session.counts)
        self._office.forget(session)
        self._places.pop(session.handshake.client, None)
        self._meter.gone(_meant(session))
        self._tell("legacy-gone", _name(session), why)

    def sweep(self) -> None:
        """End what is silent for too long, or has used up its quota; give those who hear nothing a sign of life."""
        now = self._now()
        for session in self._office.silent(now):
            self._end(self._places[session.handshake.client], INACTIVITY, "nothing was heard of it for too long")
        for place in list(self._places.values()):
            if over := self._meter.refusal(self._charged(place.session.handshake.user)):
                self._end(place, FULL, over)
        for session in self._office.waiting(now):
            self._to_client(session, KEEPALIVE, len(KEEPALIVE))

    # -- what ops sees -------------------------------------------------------------------------------------------------

    def counters(self) -> dict[str, int]:
        """For the node's status."""
        total = self._counts + self._ended
        for place in self._places.values():
            total.update(place.session.counts)
        return {**total, "legacy_sessions": len(self._places)}

    def statuses(self, dated: Callable[[float], float]) -> tuple[LegacyStatus, ...]:
        """Its sessions, now."""
        return tuple(_status(place, dated) for place in self._places.values())


def _name(session: Session) -> str:
    """For people: not the whole of it, which is a secret of sorts."""
    return f"old-{session.handshake.client[:4].hex()}"


def account_of(user: str) -> str:
    """The name under which that user of the original is counted: JSON may say what is no text."""
    return OLD + user.encode("utf-8", "replace").decode()


def _meant(session: Session) -> str:
    """The same for whom it has to be one session and no other."""
    return OLD + session.handshake.client.hex()


def _status(place: _Place, dated: Callable[[float], float]) -> LegacyStatus:
    session = place.session
    return LegacyStatus(
        name=_name(session),
        user=session.handshake.user,
        template=("", "quic", "kcp", "game")[session.handshake.template],
        layers=session.handshake.parameters.layers,
        address=shown_address(session.peer),
        port=place.client.local[1],
        since=dated(session.began_at),
        heard=dated(session.heard_at),
        moves=session.moves,
        sent_bytes=session.sent_bytes,
        received_bytes=session.received_bytes,
    )
