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

from morphnet.errors import Refused
from morphnet.rendezvous.relay.cluster import Alone, AnyMember, Cluster, RemoteMember
from morphnet.rendezvous.relay.echo import Echo
from morphnet.rendezvous.relay.members import Line, Member
from morphnet.rendezvous.relay.telling import Telling
from morphnet.rendezvous.rivals import Rivals
from morphnet.wire.echo import ID as ECHO_ID
from morphnet.wire.messages.relay import (
    EVERYBODY,
    Drain,
    Notice,
    Register,
    Registered,
    Undelivered,
    number_of,
)
from morphnet.wire.messages.revocations import NO_LIST

ECHO_KEY = 32  # bytes
PROVE_WITHIN = 2.0  # seconds that a node has to show life when another one comes with its name
COME_AGAIN = 3.0  # seconds after which that other one may ask again
BURST = 0.25  # seconds of its rate that a node may send at once
SHORTEST_PAUSE = 0.01  # seconds: a timer for every message would cost more than the message
TELLING = 2048  # bytes that one is charged for each node that it is told of because it asks
TELLING_BATCHED = 256  # the same of one that knows what news are
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
        cluster: Cluster = Alone(),  # noqa: B008  # it remembers nothing
    ) -> None:
        self.terms, self.cluster = terms, cluster
        self.counts: Counter[str] = Counter()
        self.echo = Echo(clock, self.counts, self._mapped)
        self.rivals = Rivals()  # names that two machines claim
        self._telling = Telling(clock, self._shown, self.counts)
        self.draining = False
        self._clock, self._entropy = clock, entropy
        self._members: dict[int, Member] = {}
        self._by_line: dict[Line, Member] = {}
        self._networks: dict[str, dict[str, Member]] = {}  # by network and name
        self._watchers: dict[tuple[str, str], set[Member]] = defaultdict(set)  # (network, name or EVERYBODY)
        self._revoked: dict[str, tuple[int, frozenset[str]]] = {}  # number of the last list and serials, by network
        cluster.settle(self)

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
        known = self.named(line.network, line.name)
        if known is not None:
            if not self.rivals.takes_over(line.name, known.instance, said.instance, line.network):
                known.line.prove(PROVE_WITHIN)  # it may be gone without a word
                raise self._taken(line, known)
            self.gone(known.line)
            known.line.end("it has come by another line")
        elif self.draining:
            raise Refused("the relay is being emptied")
        elif self.cluster.taken(line.network, line.name, said.instance):
            raise self._taken(line, None)
        if len(self._members) >= self.terms.nodes:
            self.counts["refused_full"] += 1
            raise Refused("the relay is full")
        if known is None:
            self.rivals.settled(line.name, line.network)
        member = self._seat(line, said)
        if known is not None:
            member.sent, member.received = known.sent, known.received
        line.tell(self._welcome(member))
        self._introduce(member, self._visible(member))
        self.announce(self.cluster.named(member.network, member.name), member)
        self.cluster.came(member)

    def _taken(self, line: Line, known: Member | None) -> Refused:
        """Another node has its name, here (`known`) or at another relay: why it is turned away."""
        self.counts["refused_name"] += 1
        turned = self.rivals.turned(line.name, self._clock.seconds(), line.network)
        if turned.tell and known is not None and known.notices:
            known.line.tell(Notice(turned.reason))
        return Refused(turned.reason)

    def _seat(self, line: Line, said: Register) -> Member:
        number = 0
        while not number or number in self._members:
            number = self.cluster.number(int.from_bytes(self._entropy(4), "big"))
        member = Member(line, number, said.instance, frozenset(said.watch), self._entropy(ECHO_ID), b"")
        member.echo_key, member.notices, member.batches = self._entropy(ECHO_KEY), said.notices, said.news
        member.credit, member.credited_at = BURST * self.terms.node_rate, self._clock.seconds()
        self._members[number] = self._by_line[line] = member
        self._networks.setdefault(line.network, {})[line.name] = member
        self.echo.add(member)
        for name in member.watch:
            self._watchers[line.network, name].add(member)
        return member

    def _welcome(self, member: Member) -> Registered:
        ports = self.terms.echo_port, self.terms.second_port
        secrets = (member.echo_id.hex(), member.echo_key.hex()) if ports[0] else ("", "")
        renews = bool(self.terms.renews) and member.network == self.terms.renews
        number = self.list_number(member.network)
        return Registered(member.number, (str(member.line.observed),), *ports, *secrets, renews, number)

    def watch(self, line: Line, names: Iterable[str]) -> None:
        """It wants to know of others."""
        member = self._by_line[line]
        before = member.watch
        self._unwatch(member)
        member.watch = frozenset(names)
        for name in member.watch:
            self._watchers[member.network, name].add(member)
        new = list[AnyMember]()
        if EVERYBODY not in before:  # else nobody is; it pays for each who is new, and so for the look at all of them
            new = [other for other in self._visible(member) if other.name not in before]
        self._introduce(member, new)

    def _introduce(self, member: Member, others: Sequence[AnyMember]) -> None:
        """Tell it who is here."""
        if others:
            self._telling.introduce(member, [other.name for other in others])
        self._telling.tell()
        self.charge(member.line, (TELLING_BATCHED if member.batches else TELLING) * len(others))

    def _unwatch(self, member: Member) -> None:
        for name in member.watch:
            watchers = self._watchers[member.network, name]
            watchers.discard(member)
            if not watchers:
                del self._watchers[member.network, name]

    def gone(self, line: Line) -> None:
        """Its line has ended; harmless when it is not here."""
        member = self._by_line.pop(line, None)
        if member is None:
            return
        del self._members[member.number], self._networks[member.network][member.name]
        if not self._networks[member.network]:
            del self._networks[member.network]
        self.echo.remove(member)
        self._telling.forget(member)
        self._unwatch(member)
        self.cluster.left(member)
        self.announce(member, self.cluster.named(member.network, member.name))

    def _visible(self, member: Member) -> Sequence[AnyMember]:
        """Those of its network that it wants to know of; of a name, rather the one here than one remote."""
        if EVERYBODY in member.watch:
            shown: dict[str, AnyMember] = {each.name: each for each in self.cluster.everybody(member.network)}
            shown |= self._networks[member.network]
            return [each for each in shown.values() if each is not member]
        found = (self._shown(member.network, name) for name in member.watch)
        return [each for each in found if each is not None and each is not member]

    def _shown(self, network: str, name: str) -> AnyMember | None:
        return self.named(network, name) or self.cluster.named(network, name)

    def _watching(self, somebody: AnyMember) -> Iterable[Member]:
        """Those who want to know of it."""
        named = self._watchers.get((somebody.network, somebody.name), set())
        everywhere, name = self._watchers.get((somebody.network, EVERYBODY), set()), somebody.name
        return [each for each in (named | everywhere if named else everywhere) if each.name != name]

    def announce(self, before: AnyMember | None, after: AnyMember | None) -> None:
        """Tell those who watch it whom a name stands for now. The same instance has only another number."""
        somebody = after or before
        if somebody is None:
            return
        for watcher in self._watching(somebody):
            self._telling.note(watcher, somebody.name, before)
        self._telling.tell()

    def _mapped(self, member: Member) -> None:
        """The echo has learned of a mapping."""
        self.announce(member, member)
        self.cluster.came(member)

    # -- what other relays ask -----------------------------------------------------------------------------------------

    def named(self, network: str, name: str) -> Member | None:
        """The member of that name."""
        return self._networks.get(network, {}).get(name)

    def prove(self, number: int) -> None:
        """That member must show that it lives."""
        if number in self._members:
            self._members[number].line.prove(PROVE_WITHIN)

    def send_away(self, member: Member, reason: str) -> None:
        """Hang up on it; it may come again."""
        self.gone(member.line)
        member.line.end(reason)

    def deliver(self, sender: RemoteMember, shown: int, envelope: bytes) -> None:
        """
        Hand on an envelope from remote.

        :param shown: the number by which those here know who has sent it.
        :raises MalformedFrame: there is nothing in it.
        """
        to = self._members.get(number_of(envelope))
        if to is not None:
            self._telling.before(to, sender.name)
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
        to: AnyMember | None = self._members.get(number) or self.cluster.find(number)
        if to is None or to.network != sender.network or not to.wants(sender.name):
            self._astray(sender, envelope)
            return
        sender.lost = 0
        self._telling.before(to, sender.name)
        if not to.hand(envelope, sender.number):
            self.counts["dropped_full"] += 1
            return
        self.counts["forwarded"] += 1
        self.counts["forwarded_bytes"] += len(envelope)
        sender.sent += len(envelope)
        to.received += len(envelope)

    def _astray(self, sender: Member, envelope: bytes) -> None:
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
        member = self._by_line.get(line)
        if member is None:
            return
        now, rate = self._clock.seconds(), self.terms.node_rate
        member.credit = min(BURST * rate, member.credit + (now - member.credited_at) * rate) - size
        member.credited_at = now
        if member.credit < 0:
            self.counts["paused"] += 1
            member.line.pause(max(SHORTEST_PAUSE, -member.credit / rate))

    # -- the operator's ------------------------------------------------------------------------------------------------

    @property
    def members(self) -> list[Member]:
        """Everybody who is here."""
        return list(self._members.values())

    def drain(self, seconds: float, reason: str) -> None:
        """Ask everybody to use another relay from now on."""
        self.draining = True
        for member in self.members:
            member.line.tell(Drain(seconds, reason))

    def revoke(self, network: str, serials: Iterable[str], number: int) -> int:
        """
        There is a list of revoked certificates: hang up on those who show one.

        :param number: of the last list that can be handed on.
        :returns: how many were hung up on.
        """
        self._revoked[network] = number, frozenset(serials)
        ended = [member for member in self.members if self.is_revoked(member.network, member.line.serial)]
        for member in ended:
            self.send_away(member, "certificate revoked")
        return len(ended)

    def is_revoked(self, network: str, serial: str) -> bool:
        """Whether a certificate of that network is revoked."""
        return network in self._revoked and serial in self._revoked[network][1]

    def list_number(self, network: str) -> int:
        """Of the last list that can be handed on."""
        return self._revoked[network][0] if network in self._revoked else NO_LIST
