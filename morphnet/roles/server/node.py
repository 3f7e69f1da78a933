"""The server: its sessions, and the office that the control link asks."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from morphnet.config.roles import SCHEDULERS, ServerConfig
from morphnet.errors import Refused
from morphnet.net.pump import Pump
from morphnet.net.tls import Peer
from morphnet.net.tun import Tun
from morphnet.net.udp import UdpDoor
from morphnet.ops.verb import Verb
from morphnet.ops.verbs import of_a_server
from morphnet.pki.authority import read_description
from morphnet.rendezvous.enrolment import Enrolment
from morphnet.rendezvous.rivals import PROVE_WITHIN, Rivals
from morphnet.roles.carry.services import Services
from morphnet.roles.certificates.renewal import Renewal
from morphnet.roles.process.node import Node
from morphnet.roles.process.reloading import Reloading
from morphnet.roles.server.access import ServerAccess
from morphnet.roles.server.accounting import COME_AGAIN as NEXT_MONTH
from morphnet.roles.server.accounting import Accounting
from morphnet.roles.server.certificates import Certificates
from morphnet.roles.server.names import Names, NoNames
from morphnet.roles.server.networks import Around, Ground, NetworksBehind, NoGround
from morphnet.roles.server.old_clients import OldClients
from morphnet.roles.server.resumption import Resumption
from morphnet.roles.server.terms import terms_told
from morphnet.roles.server.trying import Trying
from morphnet.roles.signalling.control_server import Caller, RefusedForNow
from morphnet.status import CarryStatus, LegacyStatus, NetworkStatus
from morphnet.store.base import Lease, Store
from morphnet.tunnel.session import Session
from morphnet.tunnel.terms import UNTOLD
from morphnet.wire.formats import COMPACT
from morphnet.wire.messages.control import (
    Goodbye,
    Hello,
    Joined,
    Notice,
    Renew,
    Renewed,
    Revoked,
    Scheduler,
    Signal,
    Welcome,
)
from morphnet.wire.messages.networks import Advertise
from morphnet.wire.messages.revocations import BEFORE, PartsWanted, Revocations, RevokedPart
from morphnet.wire.messages.terms import PathTerms
from morphnet.wire.messages.trying import TryPort

LIVE = frozenset(
    {"max_sessions", "session_timeout_s", "tuning.scheduler", "accounting.quota", "accounting.quotas", "forward"}
    | {"dns", "relays", "names.serve", "names.domains", "names.hosts"}
    | {"wireguard.listen", "wireguard.phone_mtu"}
)
FIRST_IDS = 8  # issued ids that a client gets with its welcome
COME_AGAIN = 10.0  # seconds before its certificate ends at which a client is asked to show another one, if it has one


def interface(address: str, pool: str) -> str:
    """ "10.73.0.2", "10.73.0.0/24" -> "10.73.0.2/24"; "" where there is no address."""
    return f"{address}/{ipaddress.ip_network(pool).prefixlen}" if address and pool else ""


def gateway(pool: str) -> str:
    """The server's own address in a pool: the first."""
    return str(ipaddress.ip_network(pool)[1]) if pool else ""


@dataclass(frozen=True)
class Parts:
    """What a server is made of, besides its data plane."""

    store: Store
    enrolment: Enrolment
    certificates: Certificates
    accounting: Accounting
    tun: Tun | None = None
    udp: Sequence[UdpDoor] = ()
    addresses: Callable[[], Sequence[str]] = tuple  # of the data plane, for clients to know
    counters: Callable[[], dict[str, int]] = dict  # of the control port
    renewal: Renewal | None = None  # of the certificate that is shown there
    reloading: Reloading[ServerConfig] | None = None
    old_clients: OldClients | None = None
    ground: Ground = field(default_factory=NoGround)  # the machine, for networks behind clients
    services: Services | None = None  # what clients may reach by name, if there is anything
    names: Names | NoNames = field(default_factory=NoNames)  # who answers for those of this network


class ServerNode(Node):
    """Answers `hello` with a lease and keys; what the data plane does afterwards needs nobody here."""

    role = "server"

    def __init__(self, config: ServerConfig, pump: Pump, parts: Parts, entropy: Callable[[int], bytes]) -> None:
        super().__init__(config.name, pump)
        self.config, self.certificates, self.renewal = config, parts.certificates, parts.renewal
        self._parts, self._names, self._trying = parts, parts.names, Trying(pump.now)
        if parts.services is not None:
            self.sections = (*self.sections, "carries")
        if parts.old_clients is not None:
            self.sections = (*self.sections, "legacy")
        self.accounting, self._rivals = parts.accounting, Rivals()
        self.accounting.configure(config.accounting)
        self._callers: dict[str, Caller] = {}  # by certificate name
        self._groups: dict[str, str] = {}
        self._instances: dict[str, str] = {}  # which process of that name was let in last; "" when it did not say
        self._shown: dict[str, Peer] = {}  # the certificate that began or resumed a session, by its name
        self._asked: set[str] = set()  # serials of certificates that end soon, whose clients were asked to come again
        around = Around(self.tunnel, parts.store, parts.ground, pump.now, self.tell, pump.later)
        self.networks = NetworksBehind(config, around)
        self.sections = (*self.sections, "networks")
        self._resumption = Resumption(config, parts.store, self.tunnel, pump.now, entropy)
        parts.certificates.follow(self.cut_off)
        self.access: ServerAccess = ServerAccess(config, pump, parts.certificates, self.tell)

    # -- the office ----------------------------------------------------------------------------------------------------

    async def hello(self, caller: Caller, hello: Hello) -> Welcome:
        """
        A client connected: give it its addresses, its session and its keys.

        :raises Refused: no room for it, its quota is used up, or another machine has its name.
        """
        config = self.config
        self._only_one(caller, hello)
        if over := self.accounting.refusal(caller.name):
            raise RefusedForNow(over, NEXT_MONTH)
        if caller.name not in self.tunnel.sessions and len(self.tunnel.sessions) >= config.max_sessions:
            raise Refused("the server has no room for another session")
        lease = await self._resumption.lease(caller.name)
        if caller.peer is not None and self.certificates.is_revoked(caller.peer):  # while the store was asked
            raise Refused("certificate revoked")
        session, resumed = self._resumption.session(hello, caller.name, lease)
        if not resumed:
            self._since[caller.name] = self.pump.now()
        if hello.scheduler in SCHEDULERS:
            session.set_scheduler(hello.scheduler)
        session.be_patient(hello.reorder_tcp_ms / 1000)
        self.networks.came(caller.name, hello, lease, caller.host)
        self.access.leased(lease)
        self._names.leased(lease)
        if hello.terms:
            session.table.expect_terms()
        epoch = self._resumption.give_keys(session, hello.epoch, caller.export(lease.session))
        self._admit(caller, resumed, hello.instance)
        return self._welcome(session, lease, epoch, resumed)

    def _only_one(self, caller: Caller, hello: Hello) -> None:
        """:raises RefusedForNow: a machine of this name is here that is not this one."""
        here, known = self._callers.get(caller.name), self._instances.get(caller.name, "")
        if here is None or not known or not hello.instance:  # a node of before does not say: it takes over
            return
        if self._rivals.takes_over(caller.name, known, hello.instance):
            return
        here.prove(PROVE_WITHIN)
        turned = self._rivals.turned(caller.name, self.pump.now())
        if turned.tell:
            self.tell("rival", caller.name, f"turned away: {turned.reason}")
            here.send(Notice(turned.reason))
        raise RefusedForNow(turned.reason, turned.retry_after)

    def _admit(self, caller: Caller, resumed: bool, instance: str) -> None:
        before = self._callers.get(caller.name)
        if self._instances.get(caller.name) != instance:
            self._rivals.settled(caller.name)
        self._instances[caller.name] = instance
        self._callers[caller.name] = caller
        self._groups[caller.name] = caller.group
        if caller.peer is not None:
            self._shown[caller.name] = caller.peer
        if before is not None and before is not caller:
            before.close("another link of the same name has taken over")
        self.accounting.came(caller.name)
        self.tell("session-up", caller.name, "control link is up" if resumed else "session begins")

    def _welcome(self, session: Session, lease: Lease, epoch: int, resumed: bool) -> Welcome:
        config, tuning, advice = self.config, self.config.tuning, self._names.advice
        return Welcome(
            session=lease.session.hex(),
            inner4=interface(lease.inner4, config.pool4),
            inner6=interface(lease.inner6, config.pool6),
            gateway4=gateway(config.pool4),
            gateway6=gateway(config.pool6),
            mtu=tuning.mtu,
            dns=advice.dns,
            data_port=config.data_port,
            epoch=epoch,
            ids=tuple(issued.hex() for issued in self.tunnel.issue_ids(session, FIRST_IDS)),
            scheduler=session.outbound.scheduler.name,
            compression=tuning.compression,
            rekey_seconds=tuning.rekey_seconds,
            rekey_packets=tuning.rekey_packets,
            heartbeat_s=tuning.heartbeat_s,
            reorder_ms=tuning.reorder_ms,
            resumed=resumed,
            framing=session.format.name,
            addresses=tuple(self._parts.addresses())[:8],
            revocations=self.certificates.exchange.number,
            reorder_tcp_ms=tuning.repair_ms,
            streams=config.stream_ports(),
            shapes=tuple(dict.fromkeys(shape.name for shape in self.tunnel.wardrobe.shapes))
            if session.format is COMPACT
            else (),
            services=tuple(each.service for each in self.carry_statuses()),
            terms=True,
            names=advice.names,
            domains=advice.domains,
            relays=advice.relays,
            tries=True,
        )

    def welcomed(self, caller: Caller, hello: Hello) -> None:
        """A client is told what is revoked, if it understands."""
        if hello.revocations != BEFORE:
            self.certificates.exchange.joined(caller, hello.revocations)
        self.networks.welcomed(caller, hello)
        self.access.welcomed(caller, hello)
        self._names.welcomed(caller, hello)

    def signal(self, caller: Caller, signal: Signal) -> None:
        """A message of a client that has been welcomed; an old link of it says nothing of the session any more."""
        session = self.tunnel.sessions.get(caller.name) if (here := self._callers.get(caller.name) is caller) else None
        match signal:
            case Scheduler() if session is not None and signal.name in SCHEDULERS:
                session.set_scheduler(signal.name)
                self.tell("scheduler", caller.name, f"the client asked for {signal.name}")
            case PathTerms() if session is not None:
                session.table.treat(terms_told(signal), UNTOLD)
                self.tunnel.poke(session, self.pump.now())
            case Revocations() | PartsWanted() | RevokedPart():
                self.certificates.exchange.heard(caller, signal)
            case Advertise() if here:
                self.networks.offers(caller.name, signal.networks)
            case TryPort() if here:
                self._trying.asked(caller, signal)
            case Goodbye() if here:
                self.networks.said_goodbye(caller.name)
                self.tell("goodbye", caller.name, signal.reason or "the client says goodbye")

    def gone(self, caller: Caller, reason: str) -> None:
        """A control link ended; its session lives on."""
        self.certificates.exchange.left(caller)
        self.networks.left(caller)
        self.access.left(caller)
        self._names.left(caller)
        if self._callers.get(caller.name) is caller:
            del self._callers[caller.name]
            self.tell("control-down", caller.name, f"control link is down: {reason}")

    async def join(self, invitation: Peer, csr: str) -> Joined:
        """Have the first certificate of a machine signed, and tell it where machines meet."""
        certificate = await self._parts.enrolment.join(invitation, csr)
        self.tell("joined", invitation.name, "an invitation was used")
        networks = tuple(pool for pool in (self.config.pool4, self.config.pool6) if pool)
        return Joined(certificate, self.certificates.ca, self.config.relays, networks)

    async def renew(self, present: Peer, csr: str) -> Renewed:
        """Have the next certificate of a machine or relay signed."""
        return Renewed(await self._parts.enrolment.renew(present, csr), self.certificates.ca)

    async def renew_own(self, request: Renew) -> Renewed:
        """The same for the server itself."""
        return await self.renew(read_description(request.certificate), request.csr)

    # -- housekeeping --------------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Forget sessions that were silent for too long."""
        now = self.pump.now()
        for session in list(self.tunnel.sessions.values()):
            if session.peer not in self._callers and now - session.heard_at > self.config.session_timeout_s:
                self.tunnel.drop_session(session.peer)
                self.tell("session-gone", session.peer, "nothing was heard of it for too long")

    def cut_off(self) -> None:
        """Close the session of each certificate that is revoked, whether its control link is up or not."""
        for name, peer in list(self._shown.items()):
            if self.certificates.is_revoked(peer):
                self._close(name, Revoked("this certificate was revoked"), "certificate revoked", kind="revoked")

    def expire(self) -> None:
        """Close the session of each certificate that has ended; a client that may have another one is asked for it."""
        now = self._wall()
        for name, peer in list(self._shown.items()):
            caller = self._callers.get(name)
            if peer.not_after <= now:
                self._close(name, Goodbye("certificate expired"), "certificate expired", kind="expired")
            elif peer.not_after - COME_AGAIN <= now and caller is not None and peer.serial not in self._asked:
                self._asked.add(peer.serial)
                caller.close("your certificate ends: come with the next one")

    def cut_off_spent(self) -> None:
        """Close the session of each client whose quota is used up."""
        for name in list(self._shown):
            if over := self.accounting.refusal(name):
                self._close(name, Goodbye(over), over, kind="quota")

    def _close(self, name: str, last: Signal, reason: str, *, kind: str) -> None:
        self._asked.discard(self._shown.pop(name).serial)
        if (caller := self._callers.get(name)) is not None:
            caller.finish(last, reason)
        if self.tunnel.drop_session(name):
            self.tell(kind, name, f"{reason}, session closed")

    # -- what ops sees -------------------------------------------------------------------------------------------------

    def warnings(self) -> tuple[str, ...]:
        """What the operator should see to."""
        own = (*self._rivals.warnings(self.pump.now()), *self.accounting.warnings(), *self.networks.warnings())
        return (*super().warnings(), *own, *self._names.warnings())

    def reload(self) -> str:
        """Read revocations and settings again."""
        self.certificates.read()
        if self.renewal is not None:
            self.renewal.read_again()
        settings = f"; {self._parts.reloading.reload(self)}" if self._parts.reloading is not None else ""
        return f"revocations and the server's certificate are read again{settings}"

    def reconfigure(self, config: ServerConfig, keys: Collection[str]) -> str:
        """Live by these settings."""
        self.config = config
        self.accounting.configure(config.accounting)
        self.networks.reconfigure(config)
        self._names.reconfigure(config)
        if "tuning.scheduler" not in keys:
            return ""
        return f"{self.set_scheduler(config.tuning.scheduler)}; a client that begins anew brings its own scheduler"

    def hang_up(self, session: str, reason: str) -> None:
        """Its client will connect again."""
        if (caller := self._callers.get(session)) is not None:
            caller.close(reason)

    def set_scheduler(self, name: str, session: str = "") -> str:
        """Switch what the server sends, and ask each client to do the same."""
        answer = super().set_scheduler(name, session)
        for each in self.sessions_named(session):
            if (caller := self._callers.get(each.peer)) is not None:
                caller.send(Scheduler(name))
        return answer

    def offloads(self) -> tuple[str, ...]:
        """TUN's, then UDP's."""
        tun, udp = self._parts.tun, self._parts.udp
        return (*(tun.offloads if tun else ()), *(udp[0].offloads() if udp else ()))

    def listening(self) -> tuple[str, ...]:
        """Control and data ports."""
        config = self.config
        more = f" and {config.stream_port}" if config.stream_port and not config.proxy else ""
        behind = (f"127.0.0.1 tcp {config.proxy_port} for a web server",) if config.proxy else ()
        own = (f"{host} tcp {config.control_port}{more}, udp {config.data_port}" for host in config.listen)
        old = (self._parts.old_clients.listening(),) if self._parts.old_clients is not None else ()
        return (*own, *behind, *old, *self._names.listening())

    def door_counters(self) -> Counter[str]:
        """Sums over the doors, the TUN, and who comes in at the control port."""
        total, parts = super().door_counters(), self._parts
        total.update(parts.counters())
        for part in (self.accounting, parts.tun, parts.old_clients, parts.services, self._names, self._trying):
            total.update(part.counters() if part is not None else {})
        return total

    def legacy_statuses(self) -> tuple[LegacyStatus, ...]:
        """Clients of the original."""
        old = self._parts.old_clients
        return old.statuses(self._statuses.dated) if old is not None else ()

    def carry_statuses(self) -> tuple[CarryStatus, ...]:
        """The services."""
        return self._parts.services.statuses() if self._parts.services is not None else ()

    def network_statuses(self) -> tuple[NetworkStatus, ...]:
        """Those behind clients, and ports that lead to clients."""
        return self.networks.statuses()

    def verbs(self) -> Sequence[Verb]:
        """What can be asked of it."""
        return (*super().verbs(), *of_a_server(self.networks))

    def control_of(self, session: Session) -> tuple[str, str]:
        """State and TLS group of its control link."""
        return "up" if session.peer in self._callers else "down", self._groups.get(session.peer, "")

    def inner_of(self, session: Session) -> tuple[str, ...]:
        """Its inner addresses."""
        return self._resumption.inner_of(session.peer)
