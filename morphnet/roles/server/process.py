"""A server: what it opens, and how that is joined."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet.defer import DeferredList, maybeDeferred
from twisted.internet.interfaces import IListeningPort

from morphnet.config.roles import ServerConfig
from morphnet.errors import HostError
from morphnet.host.host import ServerNetwork
from morphnet.host.uplinks import UplinkScan, served_addresses
from morphnet.net.control_server import ControlServer
from morphnet.net.limits import LIMITS
from morphnet.net.listen import listen_tcp
from morphnet.net.pump import Pump, since_boot
from morphnet.net.tls import ClientTls, Identity, ServerTls
from morphnet.net.tun import Tun
from morphnet.net.udp import UdpDoor
from morphnet.pki.asking import Signers
from morphnet.pki.files import trusted_cas
from morphnet.rendezvous.enrolment import Enrolment
from morphnet.roles.certificates.bearers import Bearers
from morphnet.roles.certificates.publishing import LOOK_EVERY as PRUNE_EVERY
from morphnet.roles.certificates.publishing import Publisher
from morphnet.roles.certificates.renewal import LOOK_EVERY, AllShow, Renewal, SelfRenewal, identity_of
from morphnet.roles.certificates.revoked import Revoked
from morphnet.roles.certificates.signing import LaterSigner
from morphnet.roles.certificates.spreading import Spreading
from morphnet.roles.process.process import HostProcess
from morphnet.roles.server.node import ServerNode, gateway, interface
from morphnet.store.base import CertificateRecord, Store
from morphnet.store.ledger import DATABASE, Ledger, RecordsDamaged, RecordsLost
from morphnet.store.memory import MemoryStore
from morphnet.store.sqlite import SqliteStore
from morphnet.tunnel.tunnel import Tunnel

SWEEP_EVERY = 10.0  # seconds between looks for dead sessions, at most
EXPIRE_EVERY = 2.0  # seconds between looks whose certificate has expired
ACCOUNT_EVERY = 30.0  # seconds between writes of traffic


class ServerProcess(HostProcess):
    """A gateway: TUN and NAT first, then the data plane, and the control link last: who is let in can be served."""

    gateway = True

    def __init__(self, config: ServerConfig, reactor: Any) -> None:
        super().__init__(config, reactor)
        self.config = config
        self._listening: list[IListeningPort] = []
        self._closed = False  # for lack of records

    def open(self) -> ServerNode:
        config = self.config
        identity = identity_of(config.pki_dir, config.name)
        self._signer = LaterSigner(Signers(config.pki_dir, config.state_dir), self.reactor)
        self._pump = Pump(self.reactor, Tunnel(server=True, entropy=os.urandom), since_boot)
        try:
            ledger = Ledger.of_network(config.state_dir / DATABASE)
        except (RecordsLost, RecordsDamaged) as lost:
            return self._stay_closed(str(lost))
        records = ledger.certificates()
        self._node = node = self._make_node(SqliteStore(ledger, self.reactor))
        node.ca = identity.ca.decode()
        self._know_revocations(node, identity, records)
        self._open_tun(node)
        for host in config.listen:
            self._open_udp(host, node)
        scan = UplinkScan(excluded=(config.tun,))
        node.addresses = partial(served_addresses, scan, [door.host for door in node.doors])
        tls = ServerTls(identity, node.is_revoked, config.knock)
        cure = "the log says why; `morphnet pki renew` renews it now"
        node.renewal = renewal = Renewal(config.pki_dir, config.name, AllShow(tls, self._bearers), time.time, cure=cure)
        limits = replace(LIMITS, connections=min(LIMITS.connections, self.files * 3 // 8))
        self._control = ControlServer(tls, node, self.gate, limits)
        node.control_counters = lambda: {**self._control.counters(), **self.gate.counters()}
        for host in config.listen:
            self._listen(host)
        self.every(min(SWEEP_EVERY, max(1.0, config.session_timeout_s)), node.sweep)
        self.every(ACCOUNT_EVERY, node.traffic.write)
        self.every(LOOK_EVERY, SelfRenewal(renewal, node.renew_own, node.tell).look, now=True)
        self.every(EXPIRE_EVERY, self._expire)
        self.every(PRUNE_EVERY, node.look_at_records)
        self._bearers.start(config.relays, lambda host: ClientTls(identity, host, node.is_revoked))
        node.state = "serving"
        self._log.info("morph-server {name} is serving", name=config.name)
        return node

    def _make_node(self, store: Store) -> ServerNode:
        config, self._store = self.config, store
        lease = partial(store.lease, pool4=config.pool4, pool6=config.pool6)
        enrolment = Enrolment(self._signer, store, time.time, lambda name: lease(name, fresh_session=os.urandom(16)))
        return ServerNode(config, self._pump, store, enrolment, os.urandom)

    def _stay_closed(self, sentence: str) -> ServerNode:
        """
        Without its records a server lets nobody in: it would not know who was revoked. It stays, and says so, because
        who looks for the trouble asks `morphnet status`, and an end would only be followed by the next start.
        """
        self._closed = True
        self._log.error("{sentence}", sentence=sentence)
        self._node = node = self._make_node(MemoryStore())
        node.state, node.host_warnings = "closed", lambda: (sentence,)
        return node

    def _know_revocations(self, node: ServerNode, identity: Identity, records: Sequence[CertificateRecord]) -> None:
        """Before anybody may come in."""
        config = self.config
        cas = partial(trusted_cas, config.pki_dir)
        revoked = Revoked(cas, config.state_dir / "revoked-server.pem")
        node.spreading = spreading = Spreading(revoked, self.reactor, node.listed)
        sign, later = Signers(config.pki_dir, config.state_dir).sign_revocations, self._signer.later
        node.publisher = Publisher(config.state_dir, cas, sign, later=later)
        self._bearers = Bearers(config.name, spreading, self.reactor, partial(node.tell, "revocations", ""))
        node.know(records)

    def _expire(self) -> None:
        self._node.expire()
        self._bearers.look(time.time())

    def _open_tun(self, node: ServerNode) -> None:
        config = self.config
        node.tun = self._pump.tun = tun = Tun(self.reactor, config.tun, self._pump.from_tun)
        tun.open()
        inner4, inner6 = (interface(gateway(pool), pool) for pool in (config.pool4, config.pool6))
        self.host.server_up(
            ServerNetwork(
                tun.name,
                inner4,
                inner6,
                config.tuning.mtu,
                config.pool4,
                config.pool6,
                config.nat,
                config.reachable_from,
            )
        )
        self.watch_host(node, tun.name, [pool for pool in (config.pool4, config.pool6) if pool])

    def _open_udp(self, host: str, node: ServerNode) -> None:
        number = self._pump.new_number()
        door = UdpDoor(self.reactor, number, self._pump.from_door, host=host, port=self.config.data_port)
        try:
            door.open()
        except HostError:
            if host == "::" and len(self.config.listen) > 1:  # a host without IPv6
                return
            raise
        node.doors.append(door)
        self._pump.attach(door)

    def _listen(self, host: str) -> None:
        optional = host == "::" and len(self.config.listen) > 1
        listening = listen_tcp(self.gate, host, self.config.control_port, self._control.factory, optional=optional)
        if listening is not None:
            self._listening.append(listening)

    def take_leave(self) -> None:
        self._pump.take_leave()

    async def close(self) -> None:
        if self._closed:
            self._signer.close()
            return
        self._bearers.stop()
        await DeferredList([maybeDeferred(port.stopListening) for port in self._listening])
        await self._control.close()
        await DeferredList(self._node.traffic.write())
        self._pump.stop()
        for door in self._node.doors:
            door.close()
        if self._node.tun is not None:
            self._node.tun.close()
        self._signer.close()
        await self._store.close()
