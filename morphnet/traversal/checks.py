"""
The search for direct ways to one peer: every address of ours with every address of theirs, from both ends at once.

What both ends send opens their NATs for what the other sends; an answer proves that a way works in both directions.
Pure, as all of the data plane.

Source: docs/protocol section 12; RFC 8445 sections 6 and 7 for the shape of it, without its roles and foundations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address

from morphnet.errors import PeerError
from morphnet.traversal.courtesy import Courtesy
from morphnet.traversal.port_guess import Shot, Volley
from morphnet.tunnel.events import Effects, WayFound
from morphnet.wire.batch import Arrival, Departure, Endpoint
from morphnet.wire.candidates import (
    HOST,
    MAPPED,
    NOT_FOR_UDP,
    PEER_REFLEXIVE,
    SERVER_REFLEXIVE,
    Candidate,
    is_reachable,
)
from morphnet.wire.probes import ANSWER, ASK, NONCE, TRANSACTION, Probe, ProbeKeys, open_probe, seal_probe

TRIES = 7  # questions by one way, in one search
FIRST_PAUSE = 0.1  # seconds after the first question; then half as long again each time: 2.1 seconds in all
SPACING = 0.005  # seconds between the first questions of two ways
MOST_PAIRS = 96  # of one search
MOST_ASKED = 2 * TRIES  # questions by one way whose answers are waited for
MOST_CALLERS, CALLER_FRESH = 8, 5.0  # who asked while we did not search: so many, for so many seconds
ANSWERS_A_SECOND = 200  # that one peer may have of us


@dataclass(slots=True)
class Pair:
    """One address of ours with one of theirs."""

    door: int
    remote: Endpoint
    kind: str  # how the remote address was learned, see wire/candidates
    next_at: float  # when to ask next; infinity when it was asked often enough
    tries: int = 0
    asked: dict[bytes, float] = field(default_factory=dict)  # transaction -> when
    rtt: float | None = None  # seconds, of the quickest answer
    seen_as: Endpoint | None = None  # our address as the peer sees it by this way


class Checker:
    """One peer's search. It says what it finds in events, as often as it finds."""

    def __init__(
        self, peer: str, keys: ProbeKeys, entropy: Callable[[int], bytes], courtesy: Courtesy | None = None
    ) -> None:
        """:param courtesy: that of all checkers of this process; None for one of its own."""
        self.peer, self.keys = peer, keys
        self._courtesy = courtesy if courtesy is not None else Courtesy()
        self.counts: Counter[str] = Counter()
        self.pairs: dict[tuple[int, str, int], Pair] = {}
        self._entropy = entropy
        self._doors: dict[int, bool] = {}  # number -> whether it is IPv6
        self._candidates: tuple[Candidate, ...] = ()
        self._callers: dict[tuple[int, Endpoint], float] = {}  # (door, from where) -> when it asked while we rested
        self._searching = False
        self._volley = Volley()
        self._extras: frozenset[int] = frozenset()  # doors that are there for a volley
        self._answers, self._answers_at = 0.0, float("-inf")

    # -- what is known -------------------------------------------------------------------------------------------------

    def use(self, doors: dict[int, bool], candidates: Iterable[Candidate], now: float) -> None:
        """
        These are our sockets and their addresses now; what is new is tried at once if a search is on.

        :param doors: number of each socket, and whether it is IPv6.
        """
        self._doors = dict(doors)
        self._candidates = tuple(each for each in candidates if each.kind not in NOT_FOR_UDP)
        self.pairs = {key: way for key, way in self.pairs.items() if self._has(key[0])}
        if self._searching:
            self._line_up(now)

    def search(self, now: float) -> None:
        """Try everything, from the start."""
        self._searching = True
        self.pairs.clear()
        self._line_up(now)
        callers, self._callers = self._callers, {}
        for (door, source), at in callers.items():  # they may have their answer, and ask no more
            if now - at < CALLER_FRESH and door in self._doors:
                self._witness(door, source, now)

    def rest(self) -> None:
        """Ask no more; go on answering."""
        self._searching = False
        self.pairs.clear()
        self._volley.clear()

    def shoot(self, shots: list[Shot], extras: Iterable[int], now: float) -> None:
        """
        Ask all of these once, in the course of the search.

        :param extras: doors that are there for this alone.
        """
        self._extras = frozenset(extras)
        self._volley.load(shots, now)

    def _has(self, door: int) -> bool:
        return door in self._doors or door in self._extras

    def _line_up(self, now: float) -> None:
        """Local addresses first, then IPv6, then the rest; one after the other, so that no burst is lost at a NAT."""
        fresh = [
            (door, candidate)
            for candidate in sorted(self._candidates, key=_urgency)
            for door, six in self._doors.items()
            if six == (":" in candidate.host) and (door, candidate.host, candidate.port) not in self.pairs
        ]
        for turn, (door, candidate) in enumerate(fresh):
            self._add(door, Endpoint(candidate.host, candidate.port), candidate.kind, now + SPACING * turn)

    def _add(self, door: int, remote: Endpoint, kind: str, at: float) -> Pair | None:
        if len(self.pairs) >= MOST_PAIRS:
            self.counts["too_many_ways"] += 1
            return None
        way = self.pairs[door, remote.host, remote.port] = Pair(door, remote, kind, at)
        return way

    # -- time ----------------------------------------------------------------------------------------------------------

    def due_at(self) -> float:
        """When `tick` has something to do."""
        return min(self._volley.due_at(), min((way.next_at for way in self.pairs.values()), default=float("inf")))

    def tick(self, now: float, effects: Effects) -> None:
        """Ask by every way whose time has come."""
        for way in self.pairs.values():
            if way.next_at <= now:
                self._ask(way, now, effects)
        for shot in self._volley.take(now):
            transaction = self._entropy(TRANSACTION)
            self._volley.asked(transaction, shot, now)
            self._send(shot.door, shot.to, Probe(ASK, transaction, "", 0), effects)

    def _ask(self, way: Pair, now: float, effects: Effects) -> None:
        transaction = self._entropy(TRANSACTION)
        way.asked[transaction] = now
        if len(way.asked) > MOST_ASKED:
            del way.asked[next(iter(way.asked))]
        way.tries += 1
        way.next_at = now + FIRST_PAUSE * 1.5 ** (way.tries - 1) if way.tries < TRIES else float("inf")
        if not self._courtesy.take(way.remote.host, now, port=way.remote.port if way.kind == MAPPED else 0):
            self.counts["probes_withheld"] += 1
            return
        self._send(way.door, way.remote, Probe(ASK, transaction, "", 0), effects)

    def _send(self, door: int, to: Endpoint, probe: Probe, effects: Effects) -> None:
        datagram = seal_probe(self.keys, probe, self._entropy(NONCE))
        self.counts["probes_sent"] += 1
        effects.sends.append(Departure(door, to, datagram, len(datagram)))

    # -- what comes in -------------------------------------------------------------------------------------------------

    def received(self, arrival: Arrival, datagram: bytes, now: float, effects: Effects) -> None:
        """A datagram that starts with our id: a question gets an answer, an answer proves a way."""
        try:
            probe = open_probe(self.keys, datagram)
        except PeerError:
            self.counts["probes_forged"] += 1
            return
        self.counts["probes_received"] += 1
        if probe.kind == ASK:
            self._asked(arrival, probe, now, effects)
        else:
            self._answered(arrival, probe, now, effects)

    def _asked(self, arrival: Arrival, probe: Probe, now: float, effects: Effects) -> None:
        self._answers = max(0.0, self._answers - (now - self._answers_at) * ANSWERS_A_SECOND)
        self._answers_at = now
        source = arrival.source
        if self._answers >= ANSWERS_A_SECOND or not self._has(arrival.door):
            self.counts["probes_unanswered"] += 1
            return
        self._answers += 1
        self._send(arrival.door, source, Probe(ANSWER, probe.transaction, source.host, source.port), effects)
        if not is_reachable(ip_address(source.host)):
            return
        self._courtesy.asked(source.host, now)
        if self._searching:
            self._witness(arrival.door, source, now)
        else:
            self._callers.pop((arrival.door, source), None)
            self._callers[arrival.door, source] = now
            if len(self._callers) > MOST_CALLERS:
                del self._callers[next(iter(self._callers))]

    def _witness(self, door: int, source: Endpoint, now: float) -> None:
        """The peer gets through to us from there: now is the time to get through to it."""
        way = self.pairs.get((door, source.host, source.port))
        if way is None:  # from where nobody said that the peer is: its NAT made that address for us
            self._add(door, Endpoint(source.host, source.port), PEER_REFLEXIVE, now)
        elif way.rtt is None and way.tries:
            way.tries, way.next_at = min(way.tries, TRIES - 2), now

    def _answered(self, arrival: Arrival, probe: Probe, now: float, effects: Effects) -> None:
        source = arrival.source
        way = self.pairs.get((arrival.door, source.host, source.port))
        asked_at = way.asked.pop(probe.transaction, None) if way is not None else None
        if asked_at is None:
            asked_at = self._volley.answered(probe.transaction, arrival.door, source)
            if asked_at is not None and way is None:
                way = self._add(arrival.door, Endpoint(source.host, source.port), PEER_REFLEXIVE, float("inf"))
        if way is None or asked_at is None:  # late, replayed, or from elsewhere than was asked
            self.counts["probes_unexpected"] += 1
            return
        self._courtesy.answered(source.host, now)
        rtt = max(1e-6, now - asked_at)
        first = way.rtt is None
        way.rtt, way.next_at = min(rtt, way.rtt or rtt), float("inf")
        if probe.host:
            way.seen_as = Endpoint(probe.host, probe.port)
        if first:
            effects.events.append(WayFound(self.peer, way.door, way.remote, way.kind, way.rtt))

    # -- what was found ------------------------------------------------------------------------------------------------

    def best(self) -> Pair | None:
        """The way to take."""
        return min(self.proven(), key=_worth, default=None)

    def proven(self) -> list[Pair]:
        """The ways that were answered."""
        return [way for way in self.pairs.values() if way.rtt is not None]

    @staticmethod
    def better(one: Pair, other: Pair) -> bool:
        """Whether `one` is the better of two proven ways: the quicker, but see _worth."""
        return _worth(one) < _worth(other)


def _urgency(candidate: Candidate) -> tuple[int, bool]:
    order = (HOST, SERVER_REFLEXIVE)
    return (order.index(candidate.kind) if candidate.kind in order else len(order), ":" not in candidate.host)


def _worth(way: Pair) -> float:
    """Seconds, where IPv6 and an address of the same network may be a little slower."""
    assert way.rtt is not None  # only proven ways are compared
    return way.rtt * (0.8 if way.kind == HOST else 1.0) * (0.9 if ":" in way.remote.host else 1.0)
