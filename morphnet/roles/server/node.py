"""The server: its sessions, and the office that the control link asks."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from morphnet.config.roles import SCHEDULERS, ServerConfig
from morphnet.errors import Refused
from morphnet.net.control_server import Caller, RefusedForNow
from morphnet.net.pump import Pump
from morphnet.net.tls import Peer
from morphnet.net.tun import Tun
from morphnet.net.udp import UdpDoor
from morphnet.pki.authority import read_description
from morphnet.rendezvous.enrolment import Enrolment
from morphnet.rendezvous.rivals import PROVE_WITHIN, Rivals
from morphnet.roles.certificates.publishing import Publisher
from morphnet.roles.certificates.spreading import Spreading
from morphnet.roles.process.node import Node
from morphnet.roles.server.traffic import Traffic
from morphnet.store.base import CertificateRecord, Lease, PoolExhausted, Store
from morphnet.tunnel.keyring import GENERATION_STEP
from morphnet.tunnel.session import Session
from morphnet.wire.frames import MAX_EPOCH
from morphnet.wire.keys import split_export
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
from morphnet.wire.messages.revocations import BEFORE, NO_LIST, PartsWanted, Revocations, RevokedPart

FIRST_IDS = 8  # issued ids that a client gets with its welcome
COME_AGAIN = 10.0  # seconds before its certificate ends at which a client is asked to show another one, if it has one


def interface(address: str, pool: str) -> str:
    """ "10.73.0.2", "10.73.0.0/24" -> "10.73.0.2/24"; "" where there is no address."""
    return f"{address}/{ipaddress.ip_network(pool).prefixlen}" if address and pool else ""


def gateway(pool: str) -> str:
    """The server's own address in a pool: the first."""
    return str(ipaddress.ip_network(pool)[1]) if pool else ""


class ServerNode(Node):
    """
    Answers `hello` with a lease and keys; what the data plane does afterwards needs nobody here.

    `revoked` holds the serials that the records say are refused; `reload` reads them again. `spreading` has those of
    the signed list.
    """

    role = "server"
    _log = Logger()

    def __init__(
        self, config: ServerConfig, pump: Pump, store: Store, enrolment: Enrolment, entropy: Callable[[int], bytes]
    ) -> None:
        super().__init__(config.name, pump)
        self.config, self.store, self.enrolment = config, store, enrolment
        self.ca = ""  # the certificate of our CA, PEM
        self.control_counters: Callable[[], dict[str, int]] = dict  # of the control port
        self.revoked: set[str] = set()
        self.addresses: Callable[[], Sequence[str]] = tuple  # of the data plane, for clients to know
        self.spreading: Spreading | None = None
        self.publisher: Publisher | None = None
        self.doors: list[UdpDoor] = []
        self.tun: Tun | None = None
        self.traffic = Traffic(self.tunnel, store)
        self._entropy = entropy
        self._callers: dict[str, Caller] = {}  # by certificate name
        self._groups: dict[str, str] = {}
        self._instances: dict[str, str] = {}  # which process of that name was let in last; "" when it did not say
        self._rivals = Rivals()
        self._shown: dict[str, Peer] = {}  # the certificate that began or resumed a session, by its name
        self._asked: set[str] = set()  # serials of certificates that end soon, whose clients were asked to come again
        self._leases: dict[str, Lease] = {}
        self._first_epochs: dict[str, int] = {}  # the lowest epoch that a session was given, by its name

    # -- the office ----------------------------------------------------------------------------------------------------

    async def hello(self, caller: Caller, hello: Hello) -> Welcome:
        """
        A client connected: give it its addresses, its session and its keys.

        :raises Refused: no room for it, or another machine has its name.
        """
        config = self.config
        self._only_one(caller, hello)
        if caller.name not in self.tunnel.sessions and len(self.tunnel.sessions) >= config.max_sessions:
            raise Refused("the server has no room for another session")
        try:
            lease = await self.store.lease(caller.name, config.pool4, config.pool6, self._entropy(16))
        except PoolExhausted:
            raise Refused("no inner address is left in the server's pool") from None
        if caller.peer is not None and self.is_revoked(caller.peer):  # while the store was asked
            raise Refused("certificate revoked")
        session = self._known(caller.name, hello, lease)
        resumed = session is not None
        if session is None:
            session = self._open(caller.name, lease, hello)
            session.inbound.reorder.midway = hello.epoch > 0
        if hello.scheduler in SCHEDULERS:
            session.set_scheduler(hello.scheduler)
        session.be_patient(hello.reorder_tcp_ms / 1000)
        epoch = self._next_epoch(session, hello.epoch)
        self._first_epochs[caller.name] = min(epoch, self._first_epochs.get(caller.name, epoch))
        session.install(*split_export(caller.export(lease.session)), epoch, self.pump.now())
        self._admit(caller, resumed, hello.instance)
        return self._welcome(session, lease, epoch, resumed)

    def _known(self, name: str, hello: Hello, lease: Lease) -> Session | None:
        """
        The session of that name, if the client knows this very one: it has used an epoch of it.

        A client whose welcome was lost on the way has not, and still counts what our predecessor sent.
        """
        live = self.tunnel.sessions.get(name)
        if live is None or hello.session != lease.session.hex():
            return None
        return live if self._first_epochs[name] <= hello.epoch else None

    def _open(self, name: str, lease: Lease, hello: Hello) -> Session:
        inner = [ipaddress.ip_address(address).packed for address in (lease.inner4, lease.inner6) if address]
        self._leases[name] = lease
        self._since[name] = self.pump.now()
        self._first_epochs.pop(name, None)
        tuning = self.config.tuning
        if tuning.framing not in hello.framings:
            tuning = dataclasses.replace(tuning, framing="seed")
        session = self.tunnel.add_session(name, lease.session, tuning, inner)
        session.heard_at = self.pump.now()
        return session

    @staticmethod
    def _next_epoch(session: Session, theirs: int) -> int:
        """Above every epoch either end has used, with room for what is under way."""
        highest = max(session.outbound.keys.epoch, session.inbound.keys.epoch, theirs)
        following = (highest // GENERATION_STEP + 2) * GENERATION_STEP
        return following if following < MAX_EPOCH // 2 else GENERATION_STEP

    def _only_one(self, caller: Caller, hello: Hello) -> None:
        """:raises RefusedForNow: a machine of this name is here that is not this one."""
        here, known = self._callers.get(caller.name), self._instances.get(caller.name, "")
        if here is None or not known or hello.instance in ("", known):  # a node of before does not say: it takes over
            return
        here.prove(PROVE_WITHIN)
        turned = self._rivals.turned(caller.name, self.pump.now())
        if turned.tell:
            self.tell("rival", caller.name, f"turned away: {turned.reason}")
            self._log.warn("{name} is turned away: {reason}", name=caller.name, reason=turned.reason)
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
        self.tell("session-up", caller.name, "control link is up" if resumed else "session begins")

    def _welcome(self, session: Session, lease: Lease, epoch: int, resumed: bool) -> Welcome:
        config, tuning = self.config, self.config.tuning
        return Welcome(
            session=lease.session.hex(),
            inner4=interface(lease.inner4, config.pool4),
            inner6=interface(lease.inner6, config.pool6),
            gateway4=gateway(config.pool4),
            gateway6=gateway(config.pool6),
            mtu=tuning.mtu,
            dns=config.dns,
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
            framing=session.framing.name,
            addresses=tuple(self.addresses())[:8],
            revocations=self.spreading.number if self.spreading is not None else NO_LIST,
            reorder_tcp_ms=tuning.repair_ms,
        )

    def welcomed(self, caller: Caller, hello: Hello) -> None:
        """A client is told what is revoked, if it understands."""
        if self.spreading is not None and hello.revocations != BEFORE:
            self.spreading.joined(caller, hello.revocations)

    def signal(self, caller: Caller, signal: Signal) -> None:
        """A message of a client that has been welcomed."""
        session = self.tunnel.sessions.get(caller.name)
        match signal:
            case Scheduler() if session is not None and signal.name in SCHEDULERS:
                session.set_scheduler(signal.name)
                self.tell("scheduler", caller.name, f"the client asked for {signal.name}")
            case Revocations() | PartsWanted() | RevokedPart() if self.spreading is not None:
                self.spreading.heard(caller, signal)
            case Goodbye() if self._callers.get(caller.name) is caller:
                self.tell("goodbye", caller.name, signal.reason or "the client says goodbye")

    def gone(self, caller: Caller, reason: str) -> None:
        """A control link ended; its session lives on."""
        if self.spreading is not None:
            self.spreading.left(caller)
        if self._callers.get(caller.name) is caller:
            del self._callers[caller.name]
            self.tell("control-down", caller.name, f"control link is down: {reason}")

    async def join(self, invitation: Peer, csr: str) -> Joined:
        """Have the first certificate of a machine signed, and tell it where machines meet."""
        certificate = await self.enrolment.join(invitation, csr)
        self.tell("joined", invitation.name, "an invitation was used")
        networks = tuple(pool for pool in (self.config.pool4, self.config.pool6) if pool)
        return Joined(certificate, self.ca, self.config.relays, networks)

    async def renew(self, present: Peer, csr: str) -> Renewed:
        """Have the next certificate of a machine or relay signed."""
        return Renewed(await self.enrolment.renew(present, csr), self.ca)

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

    async def read_revocations(self) -> None:
        """Learn which certificates are revoked; cut off whoever shows one, and tell others."""
        records = await self.store.certificates()
        self._know(records)
        if self.publisher is not None and self.spreading is not None:
            await self.publisher.make_known_later(records, self._wall(), self.spreading)

    def look_at_records(self) -> None:
        """The same, from time to time: what has expired may leave the list."""
        Deferred.fromCoroutine(self.read_revocations()).addErrback(self._not_read)

    def _know(self, records: Iterable[CertificateRecord]) -> None:
        self.revoked = {record.serial for record in records if record.revoked_at}
        self.cut_off()

    def know(self, records: Sequence[CertificateRecord]) -> None:
        """The records are these at the start."""
        self._know(records)
        if self.publisher is not None and self.spreading is not None:
            self.publisher.make_known(records, self._wall(), self.spreading)

    def listed(self) -> None:
        """There is another list of what is revoked than before."""
        self.cut_off()
        if self.publisher is not None and self.spreading is not None and self.publisher.is_behind(self.spreading):
            self.look_at_records()

    def cut_off(self) -> None:
        """Close the session of each certificate that is revoked, whether its control link is up or not."""
        for name, peer in list(self._shown.items()):
            if self.is_revoked(peer):
                self._close(name, Revoked("this certificate was revoked"), "certificate revoked")

    def expire(self) -> None:
        """Close the session of each certificate that has ended; a client that may have another one is asked for it."""
        now = self._wall()
        for name, peer in list(self._shown.items()):
            caller = self._callers.get(name)
            if peer.not_after <= now:
                self._close(name, Goodbye("certificate expired"), "certificate expired")
            elif peer.not_after - COME_AGAIN <= now and caller is not None and peer.serial not in self._asked:
                self._asked.add(peer.serial)
                caller.close("your certificate ends: come with the next one")

    def _close(self, name: str, last: Signal, reason: str) -> None:
        self._asked.discard(self._shown.pop(name).serial)
        caller = self._callers.get(name)
        if caller is not None:
            caller.finish(last, reason)
        if self.tunnel.drop_session(name):
            self.tell("revoked" if isinstance(last, Revoked) else "expired", name, f"{reason}, session closed")

    def is_revoked(self, peer: Peer) -> bool:
        """Asked at every handshake."""
        listed = self.spreading is not None and self.spreading.revoked.is_revoked(peer)
        return listed or peer.serial in self.revoked

    def _not_read(self, failure: Failure) -> None:
        self._log.failure("cannot read revocations", failure)

    # -- what ops sees -------------------------------------------------------------------------------------------------

    def warnings(self) -> tuple[str, ...]:
        """What the operator should see to."""
        return (*super().warnings(), *self._rivals.warnings(self.pump.now()))

    def reload(self) -> str:
        """Read revocations again."""
        Deferred.fromCoroutine(self.read_revocations()).addErrback(self._not_read)
        if self.renewal is not None:
            self.renewal.read_again()
        return "revocations and the server's certificate are read again"

    def hang_up(self, session: str, reason: str) -> None:
        """Its client will connect again."""
        caller = self._callers.get(session)
        if caller is not None:
            caller.close(reason)

    def set_scheduler(self, name: str, session: str = "") -> str:
        """Switch what the server sends, and ask each client to do the same."""
        answer = super().set_scheduler(name, session)
        for each in self.sessions_named(session):
            caller = self._callers.get(each.peer)
            if caller is not None:
                caller.send(Scheduler(name))
        return answer

    def offloads(self) -> tuple[str, ...]:
        """TUN's, then UDP's."""
        return (*(self.tun.offloads if self.tun else ()), *(self.doors[0].offloads() if self.doors else ()))

    def listening(self) -> tuple[str, ...]:
        """Control and data ports."""
        port = self.config.control_port
        if self.state == "closed":
            return ()
        return tuple(f"{host} tcp {port}, udp {self.config.data_port}" for host in self.config.listen)

    def door_counters(self) -> Counter[str]:
        """Sums over the sockets and the TUN."""
        total = Counter[str](self.control_counters())
        total["no_door"] += self.pump.no_door
        doors: Iterable[UdpDoor | Tun] = (*self.doors, *((self.tun,) if self.tun else ()))
        for door in doors:
            total.update(door.counters())
        return total

    def control_of(self, session: Session) -> tuple[str, str]:
        """State and TLS group of its control link."""
        return "up" if session.peer in self._callers else "down", self._groups.get(session.peer, "")

    def inner_of(self, session: Session) -> tuple[str, ...]:
        """Its inner addresses."""
        lease = self._leases.get(session.peer)
        return tuple(address for address in (lease.inner4, lease.inner6) if address) if lease else ()
