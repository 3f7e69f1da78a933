"""
Who is at the other relays of a cluster, as these tell it.

Source: docs/protocol section 13.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from morphnet.rendezvous.relay.cluster import Local, RemoteMember
from morphnet.rendezvous.relay.members import Member
from morphnet.wire.messages import cluster as wire

LAPSE = 7.0  # seconds without a sign of life after which a relay's members are gone
MOST_REMOTE = 1 << 20  # members of others that we remember
MOST_TURNS = 4  # recitals of one relay at once


@dataclass(eq=False, slots=True)
class _Relay:
    """Another relay."""

    beat_at: float  # seconds, when we last heard of it
    members: dict[int, RemoteMember] = field(default_factory=dict)  # by number
    doubted: OrderedDict[int, set[int]] = field(default_factory=OrderedDict)  # by turn: numbers not told of since


class RemoteMembers:
    """
    Relays are named by their blocks of numbers. Time is an argument, in seconds.

    :param local: hears whom a name stands for now.
    :param networks: all that may meet here.
    :param carry: takes an envelope for a number, and the sender's; whether it was taken.
    :param counts: of the cluster.
    """

    def __init__(
        self,
        local: Local,
        networks: frozenset[str],
        carry: Callable[[int, bytes, int], bool],
        counts: Counter[str],
    ) -> None:
        self._local, self._networks, self._carry, self._counts = local, networks, carry, counts
        self._relays: dict[int, _Relay] = {}  # by block
        self._names: dict[str, dict[str, dict[int, RemoteMember]]] = {  # by network and name: the latest is last
            network: defaultdict(dict) for network in networks
        }

    # -- who is there --------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return sum(len(relay.members) for relay in self._relays.values())

    @property
    def relays(self) -> int:
        """How many live."""
        return len(self._relays)

    def named(self, network: str, name: str) -> RemoteMember | None:
        """The latest of that name."""
        found = self._names.get(network, {}).get(name)
        return next(reversed(found.values())) if found else None

    def all_named(self, network: str, name: str) -> list[RemoteMember]:
        """Every one of that name, the latest last."""
        return list(self._names.get(network, {}).get(name, {}).values())

    def everybody(self, network: str) -> list[RemoteMember]:
        """One for each name."""
        return [next(reversed(found.values())) for found in self._names.get(network, {}).values()]

    def find(self, number: int) -> RemoteMember | None:
        """Who has that number."""
        relay = self._relays.get(wire.block_of(number))
        return relay.members.get(number) if relay is not None else None

    # -- what relays tell ----------------------------------------------------------------------------------------------

    def heard(self, block: int, now: float) -> None:
        """Whoever says anything lives."""
        self._relays.setdefault(block, _Relay(0.0)).beat_at = now

    def tell(self, message: wire.Here | wire.Left, now: float) -> None:
        """A member of a relay is there, or is not any more."""
        block = wire.block_of(message.number)
        self.heard(block, now)
        relay = self._relays[block]
        for doubted in relay.doubted.values():
            doubted.discard(message.number)
        if isinstance(message, wire.Left):
            self._forget(relay, message.number)
        elif message.network in self._networks:
            self._meet(relay, message)

    def begin(self, block: int, turn: int) -> None:
        """A relay begins to tell of all its members."""
        relay = self._relays[block]
        relay.doubted[turn] = set(relay.members)
        if len(relay.doubted) > MOST_TURNS:
            relay.doubted.popitem(last=False)

    def end(self, block: int, turn: int) -> None:
        """It has told of all: who was not among them is gone."""
        relay = self._relays[block]
        for number in relay.doubted.pop(turn, ()):
            self._forget(relay, number)

    def lose(self, block: int) -> None:
        """A relay is gone, and so are all who were there."""
        relay = self._relays.pop(block)
        for number in list(relay.members):
            self._forget(relay, number)

    def lose_silent(self, now: float) -> None:
        """The same for each of which nothing was heard for too long."""
        for block in [each for each, relay in self._relays.items() if now - relay.beat_at > LAPSE]:
            self.lose(block)

    def _meet(self, relay: _Relay, here: wire.Here) -> None:
        known = relay.members.get(here.number)
        if known is not None and (known.network, known.name, known.instance) != (
            here.network,
            here.name,
            here.instance,
        ):
            self._forget(relay, here.number)
            known = None
        if known is None and len(self) >= MOST_REMOTE:
            self._counts["neighbours_full"] += 1
            return
        ours, before = self._local.named(here.network, here.name), self.named(here.network, here.name)
        if known is None:
            carry = partial(self._carry, here.number)
            remote = RemoteMember(here.number, here.network, here.name, here.instance, here.observed, carry)
            relay.members[here.number] = self._names[here.network][here.name][here.number] = remote
            self._settle_names(ours, remote)
        elif known.observed == here.observed:
            return
        else:
            known.observed, known.shown = here.observed, b""
        after = self.named(here.network, here.name)
        if ours is None and (after is not before or after is known):
            self._local.announce(before, after)

    def _settle_names(self, ours: Member | None, remote: RemoteMember) -> None:
        """Two instances of one name came at once, or while we were apart: the one with the lower number stays."""
        if ours is not None and ours.instance != remote.instance and remote.number < ours.number:
            self._local.send_away(ours, "a node of that name is at another relay")

    def _forget(self, relay: _Relay, number: int) -> None:
        gone = relay.members.pop(number, None)
        if gone is None:
            return
        key, names = (gone.network, gone.name), self._names[gone.network]
        before = self.named(*key)
        del names[gone.name][number]
        if not names[gone.name]:
            del names[gone.name]
        after = self.named(*key)
        if after is not before and self._local.named(*key) is None:
            self._local.announce(before, after)
