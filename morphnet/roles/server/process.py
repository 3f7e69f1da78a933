"""A server: what it opens, and how that is joined."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from cryptography import x509
from twisted.internet.defer import DeferredList, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from morphnet.config.carry import service
from morphnet.config.roles import ServerConfig
from morphnet.host.host import ServerNetwork
from morphnet.host.hosts import HOSTS
from morphnet.host.outside import Network
from morphnet.host.phones import PhonesHost
from morphnet.host.uplinks import UplinkScan, served_addresses
from morphnet.net.gate import Gate, OpenGate
from morphnet.net.limits import LIMITS, Limits
from morphnet.net.listen import dispensable, listen_tcp, opens
from morphnet.net.pump import Pump, since_boot
from morphnet.net.tls import ClientTls, Identity, ServerTls
from morphnet.net.tun import Tun
from morphnet.net.udp import UdpDoor
from morphnet.net.web import WebDoor
from morphnet.net.webhook import Webhook
from morphnet.ops.rundir import REVOKED_SERVER
from morphnet.pki.asking import Signers
from morphnet.pki.authority import network_of
from morphnet.pki.files import trusted_cas
from morphnet.pki.trust import networks_of
from morphnet.rendezvous.enrolment import Enrolment
from morphnet.roles.carry.services import OF_ALL, Services
from morphnet.roles.certificates.bearers import Bearers
from morphnet.roles.certificates.proxied import Proxied
from morphnet.roles.certificates.publishing import LOOK_EVERY as PRUNE_EVERY
from morphnet.roles.certificates.publishing import Publisher
from morphnet.roles.certificates.renewal import LOOK_EVERY, AllShow, Renewal, SelfRenewal, Shows, identity_of
from morphnet.roles.certificates.revocation_file import Revoked
from morphnet.roles.certificates.signing import LaterSigner
from morphnet.roles.process.legacy_key import read_or_make_key
from morphnet.roles.process.masks import masks_of
from morphnet.roles.process.node import Node
from morphnet.roles.process.process import HostProcess
from morphnet.roles.server.accounting import WRITE_EVERY, Accounting, month_of
from morphnet.roles.server.certificates import Certificates
from morphnet.roles.server.closed import ClosedNode
from morphnet.roles.server.legacy import Around
from morphnet.roles.server.names import LOOK_EVERY as NAMES_LOOK_EVERY
from morphnet.roles.server.names import READ_EVERY as NAMES_EVERY
from morphnet.roles.server.names import Around as NamesAround
from morphnet.roles.server.names import Names
from morphnet.roles.server.networks import READ_EVERY as NETWORKS_EVERY
from morphnet.roles.server.node import LIVE, Parts, gateway, interface
from morphnet.roles.server.old_clients import OldClients
from morphnet.roles.server.passages import Meetings
from morphnet.roles.server.phoned_node import PhonedNode
from morphnet.roles.server.phones import LOOK_EVERY as PHONES_EVERY
from morphnet.roles.server.reporting import LOOK_EVERY as REPORT_LOOK_EVERY
from morphnet.roles.server.reporting import Reporter, read_token
from morphnet.roles.server.streams import Streams
from morphnet.roles.server.wireguard import Machine, phones_of
from morphnet.roles.signalling.control_server import ControlServer, nobody
from morphnet.store.base import Approval, Lease, Store
from morphnet.store.ledger import DATABASE, Ledger, RecordsDamaged, RecordsLost
from morphnet.store.sqlite import SqliteStore
from morphnet.tunnel.tunnel import Tunnel

LOOK_AT_RELAYS_EVERY = 5.0  # seconds between looks whether the settings name others
LOOK_AT_CAS_EVERY = 5.0  # seconds between looks whom the network trusts
SWEEP_EVERY = 10.0  # seconds between looks for dead sessions, at most
EXPIRE_EVERY = 2.0  # seconds between looks whose certificate has expired


class ServerProcess(HostProcess):
    """A gateway: TUN and NAT first, then the data plane, and the control link last: who is let in can be served."""

    gateway, serves_many, live = True, True, LIVE

    def __init__(self, config: ServerConfig, reactor: Any, read: Callable[[], ServerConfig] | None = None) -> None:
        self._machine: PhonesHost | None = None
        super().__init__(config, reactor, read)
        self.config = config
        self._listening: list[IListeningPort] = []
        self._udp: list[UdpDoor] = []
        self._services: Services | None = None
        self._node: PhonedNode | None = None  # None for lack of records
        self._old_clients: OldClients | None = None  # None where they are not wanted

    def make_host(self, journal: Path) -> PhonesHost:
        self._machine = PhonesHost(journal)
        return self._machine

    def open(self) -> Node:
        config = self.config
        identity = identity_of(config.pki_dir, config.name)
        self._signer = LaterSigner(Signers(config.pki_dir, config.state_dir), self.reactor)
        self._pump = Pump(self.reactor, Tunnel(server=True, entropy=os.urandom), since_boot)
        try:
            ledger = Ledger.of_network(config.state_dir / DATABASE)
        except (RecordsLost, RecordsDamaged) as lost:
            return self._stay_closed(str(lost))
        records, approved, leases = ledger.certificates(), ledger.approved(), ledger.leases()
        standing = ledger.account(lambda book: book.standing(month_of(time.time())))
        self._store = store = SqliteStore(ledger, self.reactor)
        certificates = self._certificates(identity, store)
        self._accounting = Accounting(self._pump.tunnel, store, time.time, standing, self._reporter(store))
        self._bearers = Bearers(config.name, certificates.exchange, self.reactor, self._tell_of_revocations)
        tls = ServerTls(identity, certificates.is_revoked, config.knock)
        parts = self._make_parts(store, certificates, AllShow(tls, self._bearers))
        assert self._machine is not None  # made in __init__
        ground = Machine(self._machine, self._beside)
        phones = phones_of(config, self.reactor, ground, self._accounting, store, self._pump.now)
        self._node = node = PhonedNode(config, self._pump, parts, os.urandom, phones)
        self.watch_host(node, config.tun, [pool for pool in (config.pool4, config.pool6) if pool])
        certificates.know(records)  # before anybody may come in
        self._begin(node, approved, leases)
        limits = replace(LIMITS, connections=min(LIMITS.connections, self.files * 3 // 8))
        self._streams = self._make_streams(node, certificates, limits)
        takes = self._streams.take if config.streams else nobody
        self._control = ControlServer(tls, node, self.gate, limits, streams=takes)
        masks = masks_of(self._pump.tunnel.wardrobe, config.pki_dir, None)
        self.every(LOOK_AT_CAS_EVERY, masks.look)
        self._web = WebDoor(self.reactor, self._control.factory, masks.knows, Proxied.address)
        self._meetings = Meetings(self.reactor, self._control.factory)
        self._bearers.meet = self._meetings.asked
        self._open_tcp()
        self._keep_house(node, parts)
        self.every(LOOK_AT_RELAYS_EVERY, partial(self._call_relays, node), now=True)
        node.state = "serving"
        self._log.info("morph-server {name} is serving", name=config.name)
        return node

    def _begin(self, node: PhonedNode, approved: Iterable[Approval], leases: Sequence[Lease]) -> None:
        """With what the records say of networks, and of who has which address."""
        node.networks.begin(approved, leases)
        node.access.begin(leases)
        self._names.begin(leases)

    def _stay_closed(self, sentence: str) -> ClosedNode:
        """Without its records a server lets nobody in."""
        self._log.error("{sentence}", sentence=sentence)
        return ClosedNode(self.config.name, self._pump, sentence)

    def _certificates(self, identity: Identity, store: Store) -> Certificates:
        config = self.config
        cas = partial(trusted_cas, config.pki_dir)
        sign, later = Signers(config.pki_dir, config.state_dir).sign_revocations, self._signer.later
        publisher = Publisher(config.state_dir, cas, sign, later=later)
        revoked = Revoked(cas, config.state_dir / REVOKED_SERVER)
        return Certificates(identity.ca.decode(), store, revoked, publisher, self.reactor)

    def _open_to_old_clients(self) -> OldClients | None:
        config = self.config.legacy.morphprotocol
        if not config.enabled:
            return None
        around = Around(self.reactor, self._pump.new_number, self._pump.now, self._tell, self._accounting)
        return OldClients(config, around)

    def _reporter(self, store: Store) -> Reporter | None:
        """Who tells the webhook, if there is one."""
        config, old = self.config.accounting, self.config.legacy.morphprotocol
        if not config.webhook:
            return None
        key = read_or_make_key(old.key_file).text if config.webhook_key and old.enabled else ""
        addresses = served_addresses(UplinkScan(excluded=(self.config.tun,)), self.config.listen)
        server = {
            "name": self.config.name,
            "ip": next(iter(addresses), "0.0.0.0"),
            "udpPort": str(old.port if old.enabled else self.config.data_port),
            "info": key,
            "status": "running",
        }
        door = Webhook(self.reactor, config.webhook, read_token(config.webhook_token_file))
        return Reporter(store, door, server, self._pump.now)

    def _tell_of_revocations(self, sentence: str) -> None:
        if self._node is not None:
            self._node.tell("revocations", "", sentence)

    def _enrolment(self, store: Store) -> Enrolment:
        config = self.config
        lease = partial(store.lease, pool4=config.pool4, pool6=config.pool6)
        return Enrolment(self._signer, store, time.time, lambda name: lease(name, fresh_session=os.urandom(16)))

    def _make_parts(self, store: Store, certificates: Certificates, shows: Shows) -> Parts:
        config = self.config
        self._open_tun()
        for host in config.listen:
            self._open_udp(host)
        self._old_clients = self._open_to_old_clients()
        cure = "the log says why; `morphnet pki renew` renews it now"
        return Parts(
            store,
            self._enrolment(store),
            certificates,
            self._accounting,
            self._tun,
            self._udp,
            partial(served_addresses, UplinkScan(excluded=(config.tun,)), [door.host for door in self._udp]),
            self._counters,
            Renewal(config.pki_dir, config.name, shows, time.time, cure=cure),
            self.reloading,
            self._old_clients,
            self,
            self._open_services(),
            self._make_names(store),
        )

    def _make_names(self, store: Store) -> Names:
        """Who answers clients that ask for names; at the addresses that this machine has inside."""
        config, families = self.config, self.host.families
        own = [gateway(pool) for pool in (config.pool4, config.pool6) if pool and (6 if ":" in pool else 4) in families]
        around = NamesAround(self.reactor, store, self.host, self._tell, os.access(HOSTS, os.W_OK))
        self._names = Names(config, own, around)
        return self._names

    def _tell(self, kind: str, session: str, sentence: str) -> None:
        if self._node is not None:
            self._node.tell(kind, session, sentence)

    def _open_services(self) -> Services | None:
        """What clients may reach by name; before the first session."""
        if not self.config.carry.services:
            return None
        listed = [service(each) for each in self.config.carry.services]
        services = self._services = Services(self.reactor, self._pump, listed, min(OF_ALL, self.files // 4))
        services.open()
        return services

    def _counters(self) -> dict[str, int]:
        parts = self._control, self._streams, self._meetings, self._web, self.gate
        return {name: number for part in parts for name, number in part.counters().items()}

    def _keep_house(self, node: PhonedNode, parts: Parts) -> None:
        assert parts.renewal is not None  # we have made it
        self.every(min(SWEEP_EVERY, max(1.0, self.config.session_timeout_s)), node.sweep)
        self.every(WRITE_EVERY, self._accounting.write)
        self._accounting.announce(self.config.name)
        self.every(self.config.accounting.webhook_every_s, self._accounting.report)
        self.every(REPORT_LOOK_EVERY, self._accounting.look)
        if parts.services is not None:
            self.every(SWEEP_EVERY, parts.services.sweep)
        self.every(LOOK_EVERY, SelfRenewal(parts.renewal, node.renew_own, node.tell).look, now=True)
        self.every(EXPIRE_EVERY, partial(self._expire, node))
        self.every(PRUNE_EVERY, node.certificates.read)
        self.every(NETWORKS_EVERY, node.networks.read)
        self.every(NAMES_EVERY, self._names.read)
        self.every(NAMES_LOOK_EVERY, self._names.look)
        self.every(PHONES_EVERY, node.phones.look, now=True)

    def _call_relays(self, node: PhonedNode) -> None:
        config, is_revoked = node.config, node.certificates.is_revoked
        self._bearers.start(
            config.relays, lambda host: ClientTls(identity_of(config.pki_dir, config.name), host, is_revoked)
        )

    def _expire(self, node: PhonedNode) -> None:
        node.expire()
        node.cut_off_spent()
        self._streams.look()
        self._bearers.look(time.time())

    def _open_tun(self) -> None:
        config = self.config
        self._tun = self._pump.tun = tun = Tun(self.reactor, config.tun, self._pump.from_tun)
        tun.open()
        inner4, inner6 = (interface(gateway(pool), pool) for pool in (config.pool4, config.pool6))
        self._network = ServerNetwork(
            tun.name,
            inner4,
            inner6,
            config.tuning.mtu,
            config.pool4,
            config.pool6,
            config.nat,
            config.reachable_from,
        )
        self.host.server_up(self._network)

    def lead_in(self, behind: Sequence[str], forwards: Sequence[str]) -> None:
        """
        Let these networks behind clients, and ports, lead into the tunnel.

        :raises HostError: the machine refuses; then it is as it was before.
        """
        self._shape(replace(self._network, behind=tuple(behind), forwards=tuple(forwards)))

    def _beside(self, devices: tuple[str, ...]) -> None:
        self._shape(replace(self._network, beside=devices))

    def _shape(self, network: ServerNetwork) -> None:
        self.host.server_up(network)
        self._network = network

    @property
    def families(self) -> Collection[int]:
        """4 and 6, as far as this machine has them inside."""
        return self.host.families

    def elsewhere(self) -> list[Network]:
        """The networks that this machine reaches without the tunnel."""
        return self.host.elsewhere(self._network.tun)

    def _open_udp(self, host: str) -> None:
        number = self._pump.new_number()
        door = UdpDoor(self.reactor, number, self._pump.from_door, host=host, port=self.config.data_port)
        if opens(door, optional=dispensable(host, self.config.listen)):
            self._udp.append(door)
            self._pump.attach(door)

    def _make_streams(self, node: PhonedNode, certificates: Certificates, limits: Limits) -> Streams:
        """For clients whose UDP does not pass."""

        def cas() -> dict[str, list[x509.Certificate]]:
            trusted = trusted_cas(self.config.pki_dir)
            return {networks_of(trusted)[network_of(trusted[0])]: trusted}

        fewer = replace(limits, connections=limits.connections // 2)
        return Streams(self._pump, node.tell, self.gate, fewer, Proxied(cas, certificates.is_revoked, time.time))

    def _open_tcp(self) -> None:
        """The control port, and where else clients may come by TCP."""
        config, factory = self.config, self._control.factory
        for host in config.listen:
            for port in sorted({config.control_port, *(() if config.proxy else config.stream_ports())}):
                self._listen(self.gate, host, port, factory)
        if config.web_port:
            self._listen(OpenGate(self.reactor), "127.0.0.1", config.web_port, self._web.factory)
        if config.proxy and config.streams:
            self._listen(OpenGate(self.reactor), "127.0.0.1", config.proxy_port, self._streams.factory)

    def _listen(self, gate: Gate, host: str, port: int, factory: IProtocolFactory) -> None:
        listening = listen_tcp(gate, host, port, factory, optional=dispensable(host, self.config.listen))
        if listening is not None:
            self._listening.append(listening)

    def take_leave(self) -> None:
        self._pump.take_leave()
        if self._node is not None:
            self._node.phones.leave()

    async def close(self) -> None:
        if self._node is None:
            self._signer.close()
            return
        if self._services is not None:
            await self._services.last_answers()
        self._pump.stop()
        self._bearers.stop()
        self._meetings.close()
        await self._names.close()
        await self._node.phones.close()
        if self._old_clients is not None:
            await self._old_clients.close()
        await DeferredList([maybeDeferred(port.stopListening) for port in self._listening])
        await self._control.close()
        await self._web.close()
        await self._streams.close()
        await self._accounting.close()
        for door in self._udp:
            door.close()
        if self._services is not None:
            self._services.close()
        self._tun.close()
        self._signer.close()
        await self._store.close()
