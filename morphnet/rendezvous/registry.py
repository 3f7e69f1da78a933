"""
Who is at a relay, who wants to know of whom, and what may pass between two of them.

A relay reads no envelope and keeps nothing: what it knows ends with the connections.

Source: docs/protocol section 11.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from morphnet.errors import MalformedFrame, PeerError, Refused
from morphnet.rendezvous.members import MOST_NEWS, Guest, Line
from morphnet.rendezvous.neighbours import Afar, Alone, Neighbours, Somebody
from morphnet.rendezvous.rivals import Rivals
from morphnet.wire import echo
from morphnet.wire.candidates import SERVER_REFLEXIVE, Candidate
from morphnet.wire.messages.relay import (
    EVERYBODY,
    Absent,
    Drain,
    Notice,
    Register,
    Registered,
    Undelivered,
    number_of,
)
from morphnet.wire.messages.revocations import NO_LIST

ECHO_KEY = 32  # bytes
MOST_SOCKETS = 8  # of one node whose mapping is remembered
PROVE_WITHIN = 2.0  # seconds that a node has to show life when another one comes with its name
COME_AGAIN = 3.0  # seconds after which that other one may ask again
BURST = 0.25  # seconds of its rate that a node may send at once
SHORTEST_PAUSE = 0.01  # seconds: a timer for every message would cost more than the message
PORTION = 64  # nodes that one is told of in one go
TELLING = 2048  # bytes that it is charged for each
UNTOLD = 64  # envelopes to nobody, in a row, about which a sender is told once


@dataclass(frozen=True, slots=True)
class Terms:
    """What a relay grants."""

    nodes: int = 20000  # at once
    node_rate: float = 12.5e6  # bytes a second that one node may have forwarded; it is not read faster
    echo_port: int = 0  # UDP; 0: none
    second_port: int = 0
    renews: str = ""  # the network whose certificates it has renewed


class Registry:
    """
    :param entropy: so many random bytes at each call.
    """

    def __init__(
        self,
        clock: IReactorTime,
        entropy: Callable[[int], bytes],
        terms: Terms,
        neighbours: Neighbours = Alone(),  # noqa: B008  # it remembers nothing
    ) -> None:
        self.terms, self.neighbours = terms, neighbours
        self.counts: Counter[str] = Counter()
        self.rivals = Rivals()  # names that two machines claim
        self.usage: dict[tuple[str, str], tuple[int, int]] = {}  # of those who left: (network, name) -> bytes
        self.draining = False
        self._clock, self._entropy = clock, entropy
        self._guests: dict[int, Guest] = {}
        self._by_line: dict[Line, Guest] = {}
        self._by_name: dict[tuple[str, str], Guest] = {}
        self._by_echo: dict[bytes, Guest] = {}
        self._watchers: dict[tuple[str, str], set[Guest]] = defaultdict(set)  # (network, name or EVERYBODY)
        self._revoked: dict[str, tuple[int, frozenset[str]]] = {}  # number of the last list and serials, by network
        neighbours.settle(self)

    # -- coming and going ----------------------------------------------------------------------------------------------

    def register(self, line: Line, said: Register) -> None:
        """
        Take a node in, tell it who is here, and those who watch it that it is.

        :raises Refused: there is no room, another node has its name, or its certificate was revoked.
        """
        if said.name != line.name:
            raise Refused("name is not the certificate's")
        if self.is_revoked(line.network, line.serial):  # since its handshake
            raise Refused("certificate revoked")
        known = self._by_name.get((line.network, line.name))
        if known is not None:
            if known.instance != said.instance:
                known.line.prove(PROVE_WITHIN)  # it may be gone without a word
                raise self._taken(line, known)
            self.gone(known.line)
            known.line.end("it has come by another line")
        elif self.draining:
            raise Refused("the relay is being emptied")
        elif self.neighbours.taken(line.network, line.name, said.instance):
            raise self._taken(line, None)
        if len(self._guests) >= self.terms.nodes:
            self.counts["refused_full"] += 1
            raise Refused("the relay is full")
        if known is None:
            self.rivals.settled(line.name)
        guest = self._seat(line, said)
        line.tell(self._welcome(guest))
        self._introduce(guest, list(self._visible(guest)))
        self.announce(self.neighbours.named(guest.network, guest.name), guest)
        self.neighbours.came(guest)

    def _taken(self, line: Line, known: Guest | None) -> Refused:
        """Another node has its name, here (`known`) or at another relay: why it is turned away."""
        self.counts["refused_name"] += 1
        turned = self.rivals.turned(line.name, self._clock.seconds())
        if turned.tell and known is not None and known.notices:
            known.line.tell(Notice(turned.reason))
        return Refused(turned.reason)

    def _seat(self, line: Line, said: Register) -> Guest:
        number = 0
        while not number or number in self._guests:
            number = self.neighbours.number(int.from_bytes(self._entropy(4), "big"))
        guest = Guest(line, number, said.instance, frozenset(said.watch), self._entropy(echo.ID), b"")
        guest.echo_key, guest.notices = self._entropy(ECHO_KEY), said.notices
        guest.credit, guest.credited_at = BURST * self.terms.node_rate, self._clock.seconds()
        self._guests[number] = self._by_line[line] = self._by_name[line.network, line.name] = guest
        self._by_echo[guest.echo_id] = guest
        for name in guest.watch:
            self._watchers[line.network, name].add(guest)
        return guest

    def _welcome(self, guest: Guest) -> Registered:
        ports = self.terms.echo_port, self.terms.second_port
        secrets = (guest.echo_id.hex(), guest.echo_key.hex()) if ports[0] else ("", "")
        renews = bool(self.terms.renews) and guest.network == self.terms.renews
        number = self.list_number(guest.network)
        return Registered(guest.number, (str(guest.line.observed),), *ports, *secrets, renews, number)

    def watch(self, line: Line, names: Iterable[str]) -> None:
        """It wants to know of others."""
        guest = self._by_line[line]
        before = set(self._visible(guest))
        self._unwatch(guest)
        guest.watch = frozenset(names)
        for name in guest.watch:
            self._watchers[guest.network, name].add(guest)
        self._introduce(guest, [other for other in self._visible(guest) if other not in before])

    def _introduce(self, guest: Guest, others: Sequence[Somebody]) -> None:
        """Tell it who is here, if many then not all at once: the others have their turns in between."""
        if self._by_line.get(guest.line) is not guest:
            return
        for other in others[:PORTION]:
            if guest.wants(other.name) and self._shown(other.network, other.name) is other:
                guest.line.tell(other.present())
        self.charge(guest.line, TELLING * len(others[:PORTION]))
        if others[PORTION:]:
            self._clock.callLater(0.0, self._introduce, guest, others[PORTION:])

    def _unwatch(self, guest: Guest) -> None:
        for name in guest.watch:
            watchers = self._watchers[guest.network, name]
            watchers.discard(guest)
            if not watchers:
                del self._watchers[guest.network, name]

    def gone(self, line: Line) -> None:
        """Its line has ended; harmless when it is not here."""
        guest = self._by_line.pop(line, None)
        if guest is None:
            return
        del self._guests[guest.number], self._by_name[guest.network, guest.name], self._by_echo[guest.echo_id]
        self._unwatch(guest)
        sent, received = self.usage.get((guest.network, guest.name), (0, 0))
        self.usage[guest.network, guest.name] = sent + guest.sent, received + guest.received
        self.neighbours.left(guest)
        self.announce(guest, self.neighbours.named(guest.network, guest.name))

    def _visible(self, guest: Guest) -> Iterable[Somebody]:
        """Those of its network that it wants to know of; of a name, rather the one here than one afar."""
        if EVERYBODY in guest.watch:
            shown: dict[str, Somebody] = {each.name: each for each in self.neighbours.everybody(guest.network)}
            shown |= {each.name: each for each in self._by_name.values() if each.network == guest.network}
            return [each for each in shown.values() if each is not guest]
        found = (self._shown(guest.network, name) for name in guest.watch)
        return [each for each in found if each is not None and each is not guest]

    def _shown(self, network: str, name: str) -> Somebody | None:
        return self._by_name.get((network, name)) or self.neighbours.named(network, name)

    def _watching(self, somebody: Somebody) -> Iterable[Guest]:
        """Those who want to know of it."""
        named = self._watchers.get((somebody.network, somebody.name), set())
        watching = named | self._watchers.get((somebody.network, EVERYBODY), set())
        return [each for each in watching if each.name != somebody.name]

    def announce(self, before: Somebody | None, after: Somebody | None) -> None:
        """Tell those who watch it whom a name stands for now. The same instance has only another number."""
        somebody = after or before
        if somebody is None:
            return
        for watcher in self._watching(somebody):
            if before is not None and (after is None or after.instance != before.instance):
                watcher.line.tell(Absent(before.number, before.name))
            if after is not None:
                watcher.line.tell(after.present())

    # -- what other relays ask -----------------------------------------------------------------------------------------

    def named(self, network: str, name: str) -> Guest | None:
        """The guest of that name."""
        return self._by_name.get((network, name))

    def prove(self, number: int) -> None:
        """That guest must show that it lives."""
        if number in self._guests:
            self._guests[number].line.prove(PROVE_WITHIN)

    def send_away(self, guest: Guest, reason: str) -> None:
        """Hang up on it; it may come again."""
        self.gone(guest.line)
        guest.line.end(reason)

    def deliver(self, sender: Afar, shown: int, envelope: bytes) -> None:
        """
        Hand on an envelope from afar.

        :param shown: the number by which those here know who has sent it.
        :raises MalformedFrame: there is nothing in it.
        """
        to = self._guests.get(number_of(envelope))
        if to is None or to.network != sender.network or not to.wants(sender.name):
            self.counts["dropped_nobody"] += 1
        elif not to.hand(envelope, shown):
            self.counts["dropped_full"] += 1
        else:
            self.counts["from_neighbours"] += 1
            to.received += len(envelope)

    # -- envelopes -----------------------------------------------------------------------------------------------------

    def forward(self, line: Line, envelope: bytes) -> None:
        """
        Hand an envelope on, unread.

        :raises MalformedFrame: there is nothing in it.
        """
        sender, number = self._by_line[line], number_of(envelope)
        to: Somebody | None = self._guests.get(number) or self.neighbours.find(number)
        if to is None or to.network != sender.network or not to.wants(sender.name):
            self._astray(sender, envelope)
            return
        sender.lost = 0
        if not to.hand(envelope, sender.number):
            self.counts["dropped_full"] += 1
            return
        self.counts["forwarded"] += 1
        self.counts["forwarded_bytes"] += len(envelope)
        sender.sent += len(envelope)
        to.received += len(envelope)

    def _astray(self, sender: Guest, envelope: bytes) -> None:
        self.counts["dropped_nobody"] += 1
        if not sender.lost % UNTOLD:
            number = number_of(envelope)
            if number:
                sender.line.tell(Undelivered(number, True))
        sender.lost += 1

    def charge(self, line: Line, size: int) -> None:
        """
        What a node said cost so much. Whoever sends more than its rate is read later.

        :param size: bytes; more for what costs more than to hand it on.
        """
        guest = self._by_line.get(line)
        if guest is None:
            return
        now, rate = self._clock.seconds(), self.terms.node_rate
        guest.credit = min(BURST * rate, guest.credit + (now - guest.credited_at) * rate) - size
        guest.credited_at = now
        if guest.credit < 0:
            self.counts["paused"] += 1
            guest.line.pause(max(SHORTEST_PAUSE, -guest.credit / rate))

    # -- the echo ------------------------------------------------------------------------------------------------------

    def echo(self, datagram: bytes, host: str, port: int) -> bytes | None:
        """
        A UDP datagram came from there: the answer, or nothing for strangers.

        A mapping that was not known is told to those who watch the node.
        """
        try:
            guest = self._by_echo.get(echo.id_of(datagram))
            if guest is None:
                raise MalformedFrame("echo of nobody")
            asked = echo.read_request(datagram, guest.echo_key)
        except PeerError:
            self.counts["echo_strangers"] += 1
            return None
        if not guest.fresh.take(asked):  # recorded, and sent again by whoever has seen it
            self.counts["echo_replays"] += 1
            return None
        self.counts["echoes"] += 1
        place, socket = Candidate(SERVER_REFLEXIVE, host, port), asked.socket
        if guest.mapped.get(socket) != place and (socket in guest.mapped or len(guest.mapped) < MOST_SOCKETS):
            guest.mapped[socket] = place
            if self._is_calm(guest):
                self.announce(None, guest)
                self.neighbours.came(guest)
        return echo.make_answer(guest.echo_id, guest.echo_key, asked.transaction, host, port)

    def _is_calm(self, guest: Guest) -> bool:
        """Whether others may be told of it once more: some times at once, and once a second in the long run."""
        now = self._clock.seconds()
        guest.news = min(MOST_NEWS, guest.news + now - guest.news_at)
        guest.news_at = now
        if guest.news < 1.0:
            self.counts["untold_mappings"] += 1
            return False
        guest.news -= 1.0
        return True

    # -- the operator's ------------------------------------------------------------------------------------------------

    @property
    def guests(self) -> list[Guest]:
        """Everybody who is here."""
        return list(self._guests.values())

    def drain(self, seconds: float, reason: str) -> None:
        """Ask everybody to use another relay from now on."""
        self.draining = True
        for guest in self.guests:
            guest.line.tell(Drain(seconds, reason))

    def revoke(self, network: str, serials: Iterable[str], number: int) -> int:
        """
        There is a list of revoked certificates: hang up on those who show one.

        :param number: of the last list that can be handed on.
        :returns: how many were hung up on.
        """
        self._revoked[network] = number, frozenset(serials)
        ended = [guest for guest in self.guests if self.is_revoked(guest.network, guest.line.serial)]
        for guest in ended:
            self.send_away(guest, "certificate revoked")
        return len(ended)

    def is_revoked(self, network: str, serial: str) -> bool:
        """Whether a certificate of that network is revoked."""
        return network in self._revoked and serial in self._revoked[network][1]

    def list_number(self, network: str) -> int:
        """Of the last list that can be handed on."""
        return self._revoked[network][0] if network in self._revoked else NO_LIST
