"""
What a registry asks of the other relays that share their members with it, and what they ask of it.

Source: docs/protocol section 13.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from morphnet.rendezvous.relay.members import Member
from morphnet.wire.messages.relay import Present


@dataclass(eq=False, slots=True)
class RemoteMember:
    """A member of another relay."""

    number: int
    network: str
    name: str
    instance: str
    observed: tuple[str, ...]
    carry: Callable[[bytes, int], bool]  # an envelope with its number, and the sender's number
    received: int = 0  # bytes that were sent to it from here
    shown: bytes = b""  # what others are told of it, as a text; b"" when that is to be made anew

    def present(self) -> Present:
        """What those who watch it are told."""
        return Present(self.number, self.name, self.instance, self.observed)

    def wants(self, name: str) -> bool:
        """Its own relay knows."""
        return True

    def hand(self, envelope: bytes, sender: int) -> bool:
        """Send it an envelope, from the node of that number; False when too much is on its way already."""
        return self.carry(envelope, sender)


AnyMember = Member | RemoteMember


class Local(Protocol):
    """What the others ask of a registry."""

    @property
    def members(self) -> list[Member]:
        "Everybody who is here."

    def named(self, network: str, name: str) -> Member | None:
        """The member of that name."""
        ...

    def prove(self, number: int) -> None:
        """That member must show that it lives."""
        ...

    def send_away(self, member: Member, reason: str) -> None:
        """Hang up on it; it may come again."""
        ...

    def announce(self, before: AnyMember | None, after: AnyMember | None) -> None:
        """Tell those who watch it whom a name stands for now."""
        ...

    def deliver(self, sender: RemoteMember, shown: int, envelope: bytes) -> None:
        """
        Hand on an envelope from remote.

        :param shown: the number by which those here know who has sent it.
        :raises MalformedFrame: there is nothing in it.
        """
        ...


class Cluster(Protocol):
    """The other relays, as a registry sees them."""

    @property
    def state(self) -> str:
        """For people: "" when all is well, or what is not."""
        ...

    def settle(self, local: Local) -> None:
        """Before anything else."""
        ...

    def counters(self) -> dict[str, int]:
        """For the status."""
        ...

    def number(self, chance: int) -> int:
        """
        A number for a member that no other relay gives away, or 0.

        :param chance: 32 bits of it.
        """
        ...

    def taken(self, network: str, name: str, instance: str) -> bool:
        """
        Whether another instance has that name at another relay.

        It is asked to show life, and so is the same instance, which may have come here because it lost its line there.
        """
        ...

    def named(self, network: str, name: str) -> RemoteMember | None:
        """The latest of that name."""
        ...

    def everybody(self, network: str) -> Iterable[RemoteMember]:
        """One for each name."""
        ...

    def find(self, number: int) -> RemoteMember | None:
        """Who has that number."""
        ...

    def came(self, member: Member) -> None:
        """A member is here, or something about it has changed."""
        ...

    def left(self, member: Member) -> None:
        """It is not here any more."""
        ...

    def revoked(self, network: str, crl: str, parts: Iterable[str]) -> None:
        """There is a new list of revoked certificates, and so many of its parts as we have."""
        ...


class Alone(Cluster):
    """There are no others."""

    state = ""

    def settle(self, local: Local) -> None:
        """Before anything else."""

    def counters(self) -> dict[str, int]:
        """For the status."""
        return {}

    def number(self, chance: int) -> int:
        """A number for a member that no other relay gives away, or 0."""
        return chance

    def taken(self, network: str, name: str, instance: str) -> bool:
        """Whether another instance has that name at another relay."""
        return False

    def named(self, network: str, name: str) -> RemoteMember | None:
        """The latest of that name."""
        return None

    def everybody(self, network: str) -> Sequence[RemoteMember]:
        """One for each name."""
        return ()

    def find(self, number: int) -> RemoteMember | None:
        """Who has that number."""
        return None

    def came(self, member: Member) -> None:
        """A member is here, or something about it has changed."""

    def left(self, member: Member) -> None:
        """It is not here any more."""

    def revoked(self, network: str, crl: str, parts: Iterable[str]) -> None:
        """There is a new list of revoked certificates, and so many of its parts as we have."""
