"""`twistd morph-relay`: options, and the wiring of a relay."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from cryptography import x509
from twisted.application.service import IService
from twisted.internet.defer import DeferredList, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from morphnet.config import RelayConfig
from morphnet.errors import ConfigError, HostError
from morphnet.net.control_server import ControlServer
from morphnet.net.limits import LIMITS
from morphnet.net.listen import listen_tcp
from morphnet.net.relay_server import RelayServer
from morphnet.net.tls import Identity, ServerTls
from morphnet.net.udp import UdpDoor
from morphnet.pki.authority import names_of
from morphnet.pki.files import CA, key_path, load_authority
from morphnet.pki.names import join_address
from morphnet.rendezvous.enrolment import Enrolment
from morphnet.rendezvous.registry import Registry, Terms
from morphnet.store.ledger import DATABASE, Ledger
from morphnet.store.sqlite import SqliteStore
from morphnet.tap.options import ConfigOptions, options_for
from morphnet.tap.relay_node import EnrolmentOffice, RelayNode
from morphnet.tap.renewal import Renewal, identity_of
from morphnet.tap.service import RoleService, reactor
from morphnet.wire.batch import Arrival, Departure

Options = options_for(RelayConfig, Path("/etc/morphnet/relay.toml"))


class RelayService(RoleService):
    """A public host where nodes meet."""

    def __init__(self, config: RelayConfig) -> None:
        super().__init__(config)
        self.config = config
        self._ports: list[IListeningPort] = []
        self._doors: list[UdpDoor] = []
        self._store: SqliteStore | None = None
        self._control: ControlServer | None = None
        self._revoked: frozenset[str] = frozenset()

    def open(self) -> RelayNode:
        config = self.config
        identity = self._identity()
        terms = Terms(config.max_nodes, config.node_rate, config.echo_port, config.echo_port + 1)
        registry = Registry(reactor, os.urandom, terms)
        self._node = node = RelayNode(config, registry)
        tls = ServerTls(identity, lambda serial: serial in self._revoked)
        self._renewal = Renewal(config.pki_dir, config.name, tls, time.time)
        limits = replace(LIMITS, connections=min(config.max_nodes + LIMITS.half_open, self.files - 64))
        self._server = RelayServer(tls, registry, reactor, limits)
        node.counters, node.read_again = self._counters, self._read_again
        for host in config.listen:
            self._listen(host, config.relay_port, self._server.factory)
            for port in (terms.echo_port, terms.second_port):
                self._open_echo(host, port)
        serves = [f"tcp {config.relay_port}, udp {terms.echo_port} and {terms.second_port}"]
        if config.enrol and key_path(config.pki_dir, CA).exists():
            self._enrol(tls, identity, node)
            serves.append(f"tcp {config.control_port} for invitations")
        node.serves = tuple(f"{host} {', '.join(serves)}" for host in config.listen)
        self._read_again()
        node.state = "serving"
        self._log.info("morph-relay {name} is serving", name=config.name)
        return node

    def _identity(self) -> Identity:
        """What we show; the CAs of other networks are trusted for their own nodes."""
        identity = identity_of(self.config.pki_dir, self.config.name)
        others = b""
        for name in self.config.trust:
            try:
                pem = Path(name).read_bytes()
                x509.load_pem_x509_certificates(pem)
            except (OSError, ValueError):
                raise ConfigError(f"trust: {name} is no file with CA certificates in PEM") from None
            others += b"\n" + pem
        return replace(identity, ca=identity.ca + others)

    def _enrol(self, tls: ServerTls, identity: Identity, node: RelayNode) -> None:
        config = self.config
        self._store = store = SqliteStore(config.state_dir / DATABASE, reactor)
        lease = partial(store.lease, pool4=config.pool4, pool6=config.pool6)
        authority = load_authority(config.pki_dir)
        enrolment = Enrolment(authority, store, reactor, lambda name: lease(name, fresh_session=os.urandom(16)))
        names = names_of(x509.load_pem_x509_certificate(identity.certificate))
        own = join_address(names[:2][-1], config.relay_port)  # the first is what it is called, the next where it is
        office = EnrolmentOffice(enrolment, identity.ca.decode(), node, own)
        self._control = ControlServer(tls, office, reactor)
        for host in config.listen:
            self._listen(host, config.control_port, self._control.factory)

    def _listen(self, host: str, port: int, factory: IProtocolFactory) -> None:
        optional = host == "::" and len(self.config.listen) > 1
        listening = listen_tcp(reactor, host, port, factory, optional=optional)
        if listening is not None:
            self._ports.append(listening)

    def _open_echo(self, host: str, port: int) -> None:
        door = UdpDoor(reactor, len(self._doors), partial(self._echo, len(self._doors)), host=host, port=port)
        try:
            door.open()
        except HostError:
            if host == "::" and len(self.config.listen) > 1:  # a host without IPv6
                return
            raise
        self._doors.append(door)

    def _echo(self, number: int, arrivals: Sequence[Arrival]) -> None:
        answers: list[Departure] = []
        for arrival in arrivals:
            for at in range(0, len(arrival.data), arrival.size):
                datagram = bytes(arrival.data[at : at + arrival.size])
                answer = self._node.registry.echo(datagram, arrival.source.host, arrival.source.port)
                if answer is not None:
                    answers.append(Departure(number, arrival.source, answer, len(answer)))
        if answers:
            self._doors[number].send(answers)

    def _counters(self) -> dict[str, int]:
        total = Counter[str](self._server.counters())
        for door in self._doors:
            total.update(door.counters())
        if self._control is not None:
            total.update(self._control.counters())
        return total

    def _read_again(self) -> None:
        self._renewal.read_again()
        if not (self.config.state_dir / DATABASE).exists():
            return
        ledger = Ledger(self.config.state_dir / DATABASE)
        try:
            self._revoked = frozenset(record.serial for record in ledger.certificates() if record.revoked_at)
        finally:
            ledger.close()

    async def close(self) -> None:
        await DeferredList([maybeDeferred(port.stopListening) for port in self._ports])
        await self._server.close()
        if self._control is not None:
            await self._control.close()
        for door in self._doors:
            door.close()
        if self._store is not None:
            await self._store.close()


def makeService(options: ConfigOptions[RelayConfig]) -> IService:
    """Open nothing yet: twistd may still fork."""
    return RelayService(options.config)
