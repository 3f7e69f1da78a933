"""
Relays that share their members: who of them lives, who is at which, and what is sent from one to another.

Each relay has a block of numbers, claimed for as long as it lives, and tells the others of its members. What they tell
is kept here and nowhere else: a relay that comes, or was away, asks.

Source: docs/protocol section 13.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from morphnet.errors import PeerError
from morphnet.rendezvous.relay.cluster import Cluster, Local, RemoteMember
from morphnet.rendezvous.relay.members import Member
from morphnet.rendezvous.relay.remote import LAPSE, RemoteMembers
from morphnet.wire.messages import cluster as wire

BEAT = 2.0  # seconds between signs of life
LEASE = 10  # seconds for which a block is claimed
PORTION = 64  # members that are told of in one go


class Exchange(Protocol):
    """What carries messages between relays, in order."""

    def claim(self, block: int, token: str, seconds: int) -> Deferred[bool]:
        """Whether that block is ours for so long; it may be so already."""
        ...

    def subscribe(self, channels: Sequence[str]) -> Deferred[None]:
        """Hear those channels from now on."""
        ...

    def publish(self, channel: str, message: bytes) -> None:
        """Tell all who hear that channel. Never dropped: when too much waits, the exchange closes."""
        ...

    def hand(self, channel: str, message: bytes) -> bool:
        """The same; False when too much waits already, and it was dropped."""
        ...

    def close(self, reason: str) -> None:
        """It is of no use: `closed` follows, and another one is opened."""
        ...


class SharedCluster(Cluster):
    """
    :param entropy: so many random bytes at each call.
    :param networks: all that may meet here.
    :param told_revocations: another relay has brought a list of that network; it was not checked.
    :param told_part: the same for a part of one.
    """

    _log = Logger()
    _local: Local
    _remote: RemoteMembers

    def __init__(
        self,
        clock: IReactorTime,
        entropy: Callable[[int], bytes],
        networks: Iterable[str],
        told_revocations: Callable[[str, str], None] = lambda network, crl: None,
        tell: Callable[[str], None] = lambda sentence: None,
        told_part: Callable[[str, str], None] = lambda network, text: None,
    ) -> None:
        """:param tell: hears one sentence when the others are found or lost."""
        self.counts: Counter[str] = Counter()
        self.told_revocations, self.told_part, self.tell = told_revocations, told_part, tell
        self._clock, self._entropy, self._networks = clock, entropy, frozenset(networks)
        self._token = entropy(8).hex()
        self._block, self._turn = 0, 0
        self._take_block()
        self._exchange: Exchange | None = None
        self._joined = self._is_told_away = False
        self._beat: IDelayedCall | None = None
        self._own_at = 0.0  # when our own sign of life last came back
        self._lists: dict[str, tuple[str, tuple[str, ...]]] = {}  # of what is revoked, and its parts, by network

    def settle(self, local: Local) -> None:
        """Before anything else."""
        self._local = local
        self._remote = RemoteMembers(local, self._networks, self._carry, self.counts)

    def stop(self) -> None:
        """Say goodbye."""
        if self._exchange is not None and self._joined:
            self._exchange.publish(wire.EVERY_RELAY, wire.encode(wire.Bye(self._block)))
        self._joined = False
        self._rest()

    # -- the exchange --------------------------------------------------------------------------------------------------

    def opened(self, exchange: Exchange) -> None:
        """There is one."""
        self._exchange = exchange
        joining = Deferred.fromCoroutine(self._join(exchange))
        joining.addErrback(lambda failure: self._broken(exchange, str(failure.value)))

    def _broken(self, exchange: Exchange, reason: str) -> None:
        if self._exchange is exchange:
            exchange.close(reason or "it does not answer")

    async def _join(self, exchange: Exchange) -> None:
        while not await exchange.claim(self._block, self._token, LEASE):
            self._move()
        networks = (wire.channel_of_network(network) for network in sorted(self._networks))
        await exchange.subscribe((wire.EVERY_RELAY, wire.channel_of(self._block), *networks))
        if self._exchange is not exchange:
            return
        self._joined, self._own_at = True, self._clock.seconds()
        self._say(wire.EVERY_RELAY, wire.Beat(self._block, self._token))
        self._say(wire.EVERY_RELAY, wire.Who(self._block))
        self._recite(wire.EVERY_RELAY)
        self._rest()
        self._beat = self._clock.callLater(BEAT, self._beat_on)
        self._is_told_away = False
        self.tell("the other relays can be reached")

    def closed(self, reason: str) -> None:
        """It is gone, or there was none to be had."""
        was_joined, self._exchange, self._joined = self._joined, None, False
        if not self._is_told_away:
            self._is_told_away = True
            self.tell(f"the other relays cannot be reached: {reason}")
        if was_joined:
            self._rest()
            self._beat = self._clock.callLater(BEAT, self._beat_on)

    def _rest(self) -> None:
        if self._beat is not None and self._beat.active():
            self._beat.cancel()
        self._beat = None

    def _beat_on(self) -> None:
        now = self._clock.seconds()
        self._remote.lose_silent(now)
        self._beat = self._clock.callLater(BEAT, self._beat_on) if self._joined or self._remote.relays else None
        exchange = self._exchange
        if exchange is None or not self._joined:
            return
        if now - self._own_at > LAPSE:
            exchange.close("it hands nothing on")
            return
        self._say(wire.EVERY_RELAY, wire.Beat(self._block, self._token))
        claiming = exchange.claim(self._block, self._token, LEASE)
        claiming.addCallback(lambda ours: None if ours else self._broken(exchange, "another relay has our numbers"))
        claiming.addErrback(lambda failure: self._broken(exchange, str(failure.value)))

    def _take_block(self) -> None:
        block = 0
        while not block:
            block = int.from_bytes(self._entropy(2), "big") % wire.BLOCKS
        self._block = block

    def _move(self) -> None:
        """Another relay has our block: take another one, and have our members come again, for numbers of that."""
        self._take_block()
        self.counts["neighbours_moved"] += 1
        for member in self._local.members:
            self._local.send_away(member, "its number is another one's")

    def _say(self, channel: str, message: wire.ClusterMessage) -> None:
        if self._exchange is not None and self._joined:
            self._exchange.publish(channel, wire.encode(message))

    # -- what the registry asks ----------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """For people: "" when all is well, or what is not."""
        return "" if self._joined else "alone"

    def counters(self) -> dict[str, int]:
        """For the status."""
        return {**self.counts, "neighbours": self._remote.relays, "neighbours_guests": len(self._remote)}

    def number(self, chance: int) -> int:
        """A number for a member that no other relay gives away, or 0."""
        return wire.number_in(self._block, chance)

    def taken(self, network: str, name: str, instance: str) -> bool:
        """Whether another instance has that name at another relay."""
        found = self._remote.all_named(network, name)
        for each in found:
            self._say(wire.channel_of(wire.block_of(each.number)), wire.Prove(each.number))
        return self._joined and any(each.instance != instance for each in found)

    def named(self, network: str, name: str) -> RemoteMember | None:
        """The latest of that name."""
        return self._remote.named(network, name)

    def everybody(self, network: str) -> Iterable[RemoteMember]:
        """One for each name."""
        return self._remote.everybody(network)

    def find(self, number: int) -> RemoteMember | None:
        """Who has that number."""
        return self._remote.find(number)

    def came(self, member: Member) -> None:
        """A member is here, or something about it has changed."""
        self._say(wire.channel_of_network(member.network), _here(member))

    def left(self, member: Member) -> None:
        """It is not here any more."""
        self._say(wire.channel_of_network(member.network), wire.Left(member.number))

    def revoked(self, network: str, crl: str, parts: Iterable[str]) -> None:
        """There is a new list of revoked certificates, and so many of its parts as we have."""
        before, told = self._lists.get(network, ("", ()))
        self._lists[network] = crl, tuple(parts)
        if before != crl:
            self._say(wire.EVERY_RELAY, wire.Revoked(network, crl))
        for part in self._lists[network][1]:
            if part not in told:
                self._say(wire.EVERY_RELAY, wire.PartRevoked(network, part))

    def _carry(self, to: int, envelope: bytes, sender: int) -> bool:
        """An envelope for a member of another relay."""
        if self._exchange is None or not self._joined:
            self.counts["neighbours_dropped"] += 1
            return False
        taken = self._exchange.hand(wire.channel_of(wire.block_of(to)), wire.parcel(sender, envelope))
        self.counts["to_neighbours" if taken else "neighbours_dropped"] += 1
        return taken

    # -- what we tell of ours ------------------------------------------------------------------------------------------

    def _recite(self, channel: str) -> None:
        """Tell those who hear that channel of all our members, and what was revoked."""
        self._turn = (self._turn + 1) & 0xFFFFFFFF
        for network, (crl, parts) in self._lists.items():
            self._say(channel, wire.Revoked(network, crl))
            for part in parts:
                self._say(channel, wire.PartRevoked(network, part))
        self._say(channel, wire.Begin(self._block, self._turn))
        self._recite_on(self._exchange, channel, self._turn, self._local.members)

    def _recite_on(self, exchange: Exchange | None, channel: str, turn: int, rest: Sequence[Member]) -> None:
        if exchange is not self._exchange:
            return
        for member in rest[:PORTION]:
            if self._local.named(member.network, member.name) is member:
                self._say(channel, _here(member))
        if rest[PORTION:]:
            self._clock.callLater(0.0, self._recite_on, exchange, channel, turn, rest[PORTION:])
        else:
            self._say(channel, wire.Told(self._block, turn))

    # -- what we are told ----------------------------------------------------------------------------------------------

    def heard(self, message: bytes) -> None:
        """Something has come by one of our channels; what is wrong with it is counted."""
        try:
            if wire.is_parcel(message):
                self._deliver(*wire.unpack(message))
            else:
                self._told(wire.decode(message))
        except PeerError:
            self.counts["neighbours_malformed"] += 1

    def _deliver(self, number: int, envelope: bytes) -> None:
        sender = self.find(number)
        if sender is None:
            self.counts["neighbours_strangers"] += 1
            return
        shown = self._local.named(sender.network, sender.name) or self.named(sender.network, sender.name) or sender
        self._local.deliver(sender, shown.number, envelope)

    def _told(self, message: wire.ClusterMessage) -> None:
        match message:
            case wire.Beat(token=token) if token == self._token:
                self._own_at = self._clock.seconds()
            case wire.Revoked():
                if self._lists.get(message.network, ("", ()))[0] != message.crl:
                    self.told_revocations(message.network, message.crl)
            case wire.PartRevoked():
                self.told_part(message.network, message.text)
            case wire.Prove():
                self._local.prove(message.number)
            case wire.Here() | wire.Left():
                if wire.block_of(message.number) not in (0, self._block):
                    self._remote.tell(message, self._clock.seconds())
            case _ if message.block != self._block:
                self._told_of_relay(message.block, message)

    def _told_of_relay(self, block: int, message: wire.Beat | wire.Bye | wire.Who | wire.Begin | wire.Told) -> None:
        self._remote.heard(block, self._clock.seconds())
        match message:
            case wire.Bye():
                self._remote.lose(block)
            case wire.Who():
                self._recite(wire.channel_of(block))
            case wire.Begin():
                self._remote.begin(block, message.turn)
            case wire.Told():
                self._remote.end(block, message.turn)


def _here(member: Member) -> wire.Here:
    present = member.present()
    return wire.Here(member.number, member.network, member.name, member.instance, present.observed)
