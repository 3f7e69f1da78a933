"""The relay as `ops` sees it, and the office that takes in invitations where the CA is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence

from morphnet import __version__
from morphnet.config.roles import RelayConfig
from morphnet.errors import Refused
from morphnet.net.pump import since_boot
from morphnet.net.tls import Peer
from morphnet.ops import verbs
from morphnet.ops.eventlog import EventLog
from morphnet.ops.headline import with_headline
from morphnet.ops.history import History
from morphnet.ops.verb import Verb
from morphnet.rendezvous.enrolment import Enrolment
from morphnet.rendezvous.relay.registry import Registry
from morphnet.roles.certificates.renewal import Renewal
from morphnet.roles.process.reloading import Reloading
from morphnet.roles.process.statuses import shown_address
from morphnet.roles.signalling.control_server import Caller
from morphnet.status import GuestStatus, Happening, NodeStatus, by_kind
from morphnet.wire.batch import Endpoint
from morphnet.wire.candidates import Candidate
from morphnet.wire.messages.control import Hello, Joined, Renewed, Signal, Welcome


def _where(candidate: Candidate) -> str:
    return shown_address(Endpoint(candidate.host, candidate.port))


class RelayNode:
    """A running relay."""

    role = "relay"

    def __init__(
        self,
        config: RelayConfig,
        registry: Registry,
        wall: Callable[[], float] = time.time,
        now: Callable[[], float] = since_boot,
        reloading: Reloading[RelayConfig] | None = None,
    ) -> None:
        self.config, self.registry = config, registry
        self.name, self.state = config.name, "starting"
        self.history = History(wall, said=EventLog(now).say)
        self.counters: Callable[[], dict[str, int]] = dict  # of the doors
        self.serves: tuple[str, ...] = ()
        self.troubles: tuple[str, ...] = ()  # since the start, for the operator
        self.renewal: Renewal | None = None  # of the relay's certificate
        self.read_again: Callable[[], None] = lambda: None  # certificates and revocations
        self._wall, self._now, self._reloading = wall, now, reloading
        self._started_at = now()

    def status(self) -> NodeStatus:
        """The whole relay, now."""
        counters, levels = by_kind({**self.counters(), **self.registry.counts, **self.registry.cluster.counters()})
        picture = NodeStatus(
            role=self.role,
            name=self.name,
            version=__version__,
            pid=os.getpid(),
            started_at=self._wall() - (self._now() - self._started_at),
            core="",
            offloads=(),
            listening=self.serves,
            state=", ".join(filter(None, (self.state, self.registry.cluster.state))),
            sessions=(),
            counters=counters,
            levels=levels,
            warnings=self.warnings(),
            sections=("guests",),
            guests=tuple(
                GuestStatus(guest.name, _where(guest.line.observed), guest.sent, guest.received)
                for guest in sorted(self.registry.members, key=lambda guest: guest.name)
            ),
        )
        return with_headline(picture)

    def warnings(self) -> tuple[str, ...]:
        """What the operator should see to."""
        own = self.renewal.warnings if self.renewal is not None else ()
        return (*own, *self.troubles, *self.registry.rivals.warnings(self._now()))

    def happenings(self, after: int) -> list[Happening]:
        """What happened since number `after`."""
        return self.history.after(after)

    def tell(self, kind: str, session: str, text: str) -> None:
        """Add one line to the history."""
        self.history.add(kind, session, text)

    def drain(self, seconds: float) -> str:
        """Ask every node to use another relay; those who register later are turned away."""
        self.registry.drain(seconds, "the operator wants it empty")
        self.state = "draining"
        self.tell("drain", "", "every node was asked to use another relay")
        return f"{len(self.registry.members)} node(s) were asked to use another relay"

    def reload(self) -> str:
        """Read certificates, revocations and settings again."""
        self.read_again()
        settings = f"; {self._reloading.reload(self)}" if self._reloading is not None else ""
        return f"certificates and revocations are read again{settings}"

    def reconfigure(self, config: RelayConfig, keys: Collection[str]) -> str:
        """Live by these settings: there are none that could be changed."""
        return ""

    def verbs(self) -> Sequence[Verb]:
        """What can be asked of it."""
        return verbs.of_a_relay(self)


class EnrolmentOffice:
    """Signs certificates, and carries no VPN."""

    def __init__(self, enrolment: Enrolment, ca: str, node: RelayNode, own: str) -> None:
        """:param own: HOST:PORT of the relay itself."""
        self._enrolment, self._ca, self._node, self._own = enrolment, ca, node, (own,)

    async def hello(self, caller: Caller, hello: Hello) -> Welcome:
        """:raises Refused: always."""
        raise Refused("this is a relay, which carries no VPN: remove `server` from the configuration")

    def welcomed(self, caller: Caller, hello: Hello) -> None:
        """Nobody is."""

    def signal(self, caller: Caller, signal: Signal) -> None:
        """Nobody was welcomed."""

    def gone(self, caller: Caller, reason: str) -> None:
        """Nobody was welcomed."""

    async def join(self, invitation: Peer, csr: str) -> Joined:
        """Have the first certificate of a machine signed, and tell it where machines meet."""
        certificate, config = await self._enrolment.join(invitation, csr), self._node.config
        self._node.tell("joined", invitation.name, "an invitation was used")
        networks = tuple(pool for pool in (config.pool4, config.pool6) if pool)
        return Joined(certificate, self._ca, config.announce or self._own, networks, vpn=False)

    async def renew(self, present: Peer, csr: str) -> Renewed:
        """Have the next certificate of a machine or relay signed."""
        return Renewed(await self._enrolment.renew(present, csr), self._ca)
