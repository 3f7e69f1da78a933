"""A relay: what it opens, and how that is joined."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from cryptography import x509
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from morphnet.config.redis_url import redis_url_of
from morphnet.config.roles import RELAY_PORT, RelayConfig
from morphnet.errors import ConfigError
from morphnet.net.gate import Gate, OpenGate
from morphnet.net.limits import LIMITS
from morphnet.net.listen import dispensable, listen_shared, listen_tcp, opens
from morphnet.net.redis_exchange import RedisLink
from morphnet.net.tls import ClientTls, Identity, Peer, ServerTls
from morphnet.net.udp import UdpDoor
from morphnet.pki.asking import Signers
from morphnet.pki.authority import names_of, network_of
from morphnet.pki.files import has_authority
from morphnet.pki.names import join_address, split_address
from morphnet.pki.unreadable import UNREADABLE
from morphnet.rendezvous.enrolment import Enrolment
from morphnet.rendezvous.relay.cluster import Alone
from morphnet.rendezvous.relay.registry import Registry, Terms
from morphnet.rendezvous.relay.shared_cluster import SharedCluster
from morphnet.roles.certificates.bearers import Bearers
from morphnet.roles.certificates.proxied import Proxied
from morphnet.roles.certificates.publishing import LOOK_EVERY as PRUNE_EVERY
from morphnet.roles.certificates.publishing import Publisher
from morphnet.roles.certificates.renewal import LOOK_EVERY, AllShow, Renewal, SelfRenewal, identity_of
from morphnet.roles.certificates.revocation_exchange import RevocationExchange
from morphnet.roles.certificates.signing import LaterSigner
from morphnet.roles.process.process import Process
from morphnet.roles.relay.lines import RelayServer
from morphnet.roles.relay.lists import RelayLists
from morphnet.roles.relay.node import EnrolmentOffice, RelayNode
from morphnet.roles.relay.renewal import Afar, Nobody, RelayRenewal, Signatory
from morphnet.roles.signalling.control_server import ControlServer
from morphnet.store.base import CertificateRecord
from morphnet.store.ledger import DATABASE, Ledger, RecordsDamaged, RecordsLost
from morphnet.store.sqlite import SqliteStore
from morphnet.wire.batch import Arrival, Departure
from morphnet.wire.messages.cluster import MOST_GUESTS

EXPIRE_EVERY = 2.0  # seconds between looks whose certificate has expired


class RelayProcess(Process):
    """A public host where nodes meet."""

    serves_many = True
    state = "relay-journal"  # it has no journal any more; `morphnet backup` knows by this name whether it runs

    def __init__(self, config: RelayConfig, reactor: Any, read: Callable[[], RelayConfig] | None = None) -> None:
        super().__init__(config, reactor, read)
        self.config = config
        self._ports: list[IListeningPort] = []
        self._doors: list[UdpDoor] = []
        self._store: SqliteStore | None = None
        self._control: ControlServer | None = None
        self._signers: Signers | None = None  # if the CA is here
        self._signer: LaterSigner | None = None
        self._records: list[CertificateRecord] = []  # as they were at the start, if the CA is here
        self._cas: dict[str, x509.Certificate] = {}  # all that we trust, by identifier; ours first
        self._same: Mapping[str, str] = {}  # CAs that stand for one network: identifier -> network
        self._lists = RelayLists(self._trusted, config.state_dir, reactor, self._revoke, self._announced)
        self._server: RelayServer | None = None
        self._renewal: Renewal | None = None
        self._publisher: Publisher | None = None
        self._bearers: Bearers | None = None
        self._cluster: SharedCluster | None = None
        self._redis: RedisLink | None = None

    def open(self) -> RelayNode:
        config = self.config
        identity = self._identity()
        self._own = self._know_cas(identity)
        enrols = config.enrol and has_authority(config.pki_dir)
        renews = self._own if enrols or config.renew_at else ""
        terms = Terms(config.max_nodes, config.node_rate, config.echo_port, config.echo_port + 1, renews)
        registry = self._registry(terms)
        self._node = node = RelayNode(config, registry, reloading=self.reloading)
        tls = ServerTls(identity, self._is_revoked, config.knock)
        cure = "the log says why it was not renewed"
        self._shows = AllShow(tls)
        self._renewal = own = Renewal(config.pki_dir, config.name, self._shows, time.time, self._identity, cure=cure)
        node.renewal = own
        limits = replace(
            LIMITS, connections=min(config.max_nodes + LIMITS.half_open, max(self.files - 64, self.files * 3 // 8))
        )
        door = Proxied(self._trusted, self._is_revoked, time.time) if config.proxy else tls
        self._server = RelayServer(door, registry, self.gate, self._lists, limits)
        node.counters, node.read_again = self._counters, self._read_again
        serves = [self._open_doors(self._server.factory, (terms.echo_port, terms.second_port))]
        signatory: Signatory = Afar(config.renew_at, self._identity, self.reactor) if config.renew_at else Nobody()
        if enrols and (ledger := self._open_ledger(node)) is not None:
            signatory = self._enrol(ledger, tls, identity, node)
            serves.append(f"tcp {config.control_port} for invitations")
        node.serves = tuple(f"{host} {', '.join(serves)}" for host in config.listen)
        renewal = RelayRenewal(signatory, self.reactor)
        self._server.asked_renewal = renewal.asked
        self.every(LOOK_EVERY, SelfRenewal(own, renewal.own, node.tell).look, now=True)
        self._read_lists()
        if self._redis is not None:
            self._redis.start()
        node.state = "serving"
        self._log.info("morph-relay {name} is serving", name=config.name)
        return node

    def _open_doors(self, factory: IProtocolFactory, echo_ports: tuple[int, int]) -> str:
        """The relay's own port and those of the echo; in words."""
        config = self.config
        hosts, port = (("127.0.0.1",), config.proxy_port) if config.proxy else (config.listen, config.relay_port)
        gate = OpenGate(self.reactor) if config.proxy else self.gate
        for host in hosts:
            self._listen(host, port, factory, gate, shared=self._redis is not None)
        for host in config.listen:
            for echo_port in echo_ports:
                self._open_echo(host, echo_port)
        return f"tcp {port}{' for a proxy' if config.proxy else ''}, udp {echo_ports[0]} and {echo_ports[1]}"

    def _registry(self, terms: Terms) -> Registry:
        """With other relays as its cluster, if there is a Redis to meet them at."""
        if not self.config.redis_url:
            return Registry(self.reactor, os.urandom, terms, Alone())
        terms = replace(terms, nodes=min(terms.nodes, MOST_GUESTS))
        cluster = SharedCluster(
            self.reactor,
            os.urandom,
            self._trusted(),
            self._told_revocations,
            lambda sentence: self._node.tell("neighbours", "", sentence),
            self._lists.part_afar,
        )
        self._cluster = cluster
        self._redis = RedisLink(self.reactor, redis_url_of(self.config.redis_url), cluster)
        return Registry(self.reactor, os.urandom, terms, cluster)

    def _identity(self) -> Identity:
        """What we show; the CAs of other networks are trusted for their own nodes."""
        identity = identity_of(self.config.pki_dir, self.config.name)
        others = b""
        for name in self.config.trust:
            try:
                pem = Path(name).read_bytes()
                x509.load_pem_x509_certificates(pem)
            except (OSError, *UNREADABLE):
                raise ConfigError(f"trust: {name} is no file with CA certificates in PEM") from None
            others += b"\n" + pem
        return replace(identity, ca=identity.ca + others)

    def _open_ledger(self, node: RelayNode) -> Ledger | None:
        """The records; without them machines still meet, as far as the last list lets them, but none may join."""
        try:
            return Ledger.of_network(self.config.state_dir / DATABASE)
        except (RecordsLost, RecordsDamaged) as lost:
            self._log.error("no invitation is taken: {sentence}", sentence=str(lost))
            node.troubles = (str(lost),)
            return None

    def _know_cas(self, identity: Identity) -> str:
        """Those of our network are one; each other stands for itself. Answers with the network of our certificate."""
        self._cas = {network_of(ca): ca for ca in x509.load_pem_x509_certificates(identity.ca)}
        self._same = identity.networks
        return self._same[next(iter(self._cas))]

    def _trusted(self) -> dict[str, list[x509.Certificate]]:
        """The CAs of each network."""
        found: dict[str, list[x509.Certificate]] = {}
        for identifier, ca in self._cas.items():
            found.setdefault(self._same.get(identifier, identifier), []).append(ca)
        return found

    def _announced(self, network: str, cas: Sequence[x509.Certificate]) -> None:
        """A list says whom a network trusts now: ours we follow, and show it to whoever comes."""
        if network == self._own and self._renewal is not None and self._renewal.follow(cas):
            self._know_cas(self._identity())
            self._node.tell("ca", "", f"the network has {len(cas)} CA(s) from now on")

    def _enrol(self, ledger: Ledger, tls: ServerTls, identity: Identity, node: RelayNode) -> EnrolmentOffice:
        config = self.config
        self._records = ledger.certificates()
        self._store = store = SqliteStore(ledger, self.reactor)
        lease = partial(store.lease, pool4=config.pool4, pool6=config.pool6)
        self._signers = signers = Signers(config.pki_dir, config.state_dir)
        self._signer = signer = LaterSigner(signers, self.reactor)
        enrolment = Enrolment(signer, store, time.time, lambda name: lease(name, fresh_session=os.urandom(16)))
        names = names_of(x509.load_pem_x509_certificate(identity.certificate))
        own = join_address(names[:2][-1], config.relay_port)  # the first is what it is called, the next where it is
        office = EnrolmentOffice(enrolment, identity.ca.decode(), node, own)
        self._control = ControlServer(tls, office, self.gate)
        for host in config.listen:
            self._listen(host, config.control_port, self._control.factory, self.gate)
        return office

    def _listen(self, host: str, port: int, factory: IProtocolFactory, gate: Gate, *, shared: bool = False) -> None:
        optional = dispensable(host, self.config.listen)
        listen = listen_shared if shared else listen_tcp
        listening = listen(gate, host, port, factory, optional=optional)
        if listening is not None:
            self._ports.append(listening)

    def _open_echo(self, host: str, port: int) -> None:
        door = UdpDoor(self.reactor, len(self._doors), partial(self._echo, len(self._doors)), host=host, port=port)
        if opens(door, optional=dispensable(host, self.config.listen)):
            self._doors.append(door)

    def _echo(self, number: int, arrivals: Sequence[Arrival]) -> None:
        answers: list[Departure] = []
        for arrival in arrivals:
            for at in range(0, len(arrival.data), arrival.size):
                datagram = bytes(arrival.data[at : at + arrival.size])
                answer = self._node.registry.echo.answer(datagram, arrival.source.host, arrival.source.port)
                if answer is not None:
                    answers.append(Departure(number, arrival.source, answer, len(answer)))
        if answers:
            self._doors[number].send(answers)

    def _counters(self) -> dict[str, int]:
        total = Counter[str](self.gate.counters())
        total.update(self._server.counters() if self._server is not None else {})
        for door in self._doors:
            total.update(door.counters())
        if self._control is not None:
            total.update(self._control.counters())
        return total

    # -- what is revoked -----------------------------------------------------------------------------------------------

    def _read_lists(self) -> None:
        """Known before anybody may come in: what was known before, and where the CA is, what was revoked since."""
        self._lists.read()
        sign = self._signers.sign_revocations if self._signers is not None else None
        later = self._signer.later if self._signer is not None else None
        self._publisher = Publisher(self.config.state_dir, lambda: self._trusted()[self._own], sign, later=later)
        self._make_known(self._records)
        self.every(EXPIRE_EVERY, self._end_expired)
        self.every(PRUNE_EVERY, self._read_records)
        if self._store is not None:
            names = {*names_of(x509.load_pem_x509_certificate(self._identity().certificate)), "localhost"}
            others = [each for each in self.config.announce if split_address(each, RELAY_PORT)[0] not in names]
            exchange = self._lists.of(self._own)
            tell = partial(self._node.tell, "revocations", "")
            self._bearers = Bearers(self.config.name, exchange, self.reactor, tell)
            self._shows.add(self._bearers)
            self._bearers.start(others, lambda host: ClientTls(self._identity(), host, self._is_revoked))

    def _make_known(self, records: Sequence[CertificateRecord]) -> None:
        assert self._publisher is not None  # made before anything else is known
        self._publisher.make_known(records, time.time(), self._lists.of(self._own))

    def _read_again(self) -> None:
        """The certificate, the CAs, and what was revoked."""
        if self._renewal is not None:
            self._renewal.read_again()
        self._know_cas(self._identity())
        self._read_records()

    def _read_records(self) -> None:
        if self._store is None:
            self._make_known(())
            return
        reading = Deferred.fromCoroutine(self._make_known_later(self._store))
        reading.addErrback(lambda failure: self._log.failure("cannot read revocations", failure))

    async def _make_known_later(self, store: SqliteStore) -> None:
        assert self._publisher is not None  # made before anything else is known
        records, exchange = await store.certificates(), self._lists.of(self._own)
        await self._publisher.make_known_later(records, time.time(), exchange)

    def _is_revoked(self, peer: Peer) -> bool:
        return self._lists.is_revoked(peer)

    def _told_revocations(self, network: str, crl: str) -> None:
        """Another relay has brought a list."""
        self._lists.told_afar(network, crl)

    def _revoke(self, network: str, exchange: RevocationExchange) -> None:
        """There is another list, or more of it: hang up on whoever shows what is revoked, and tell other relays."""
        registry, serials, latest = self._node.registry, exchange.revoked.serials, exchange.revoked.latest
        ended = registry.revoke(network, serials, exchange.number)
        if self._server is not None:
            self._server.end_revoked()
        if latest is not None:
            registry.cluster.revoked(network, latest.pem, latest.parts.values())
            self._node.tell("revoked", "", f"{len(serials)} certificate(s) are revoked, {ended} hung up on")
        if self._publisher is not None and network == self._own and self._publisher.is_behind(exchange):
            self.reactor.callLater(0, self._read_records)

    def _end_expired(self) -> None:
        wall = time.time()
        if self._server is not None:
            self._server.end_expired(wall)
        if self._bearers is not None:
            self._bearers.look(wall)

    async def close(self) -> None:
        if self._cluster is not None and self._redis is not None:
            self._cluster.stop()
            self._redis.stop()
        if self._bearers is not None:
            self._bearers.stop()
        await DeferredList([maybeDeferred(port.stopListening) for port in self._ports])
        await DeferredList([each.close() for each in (self._server, self._control) if each is not None])
        for door in self._doors:
            door.close()
        if self._signer is not None:
            self._signer.close()
        if self._store is not None:
            await self._store.close()
