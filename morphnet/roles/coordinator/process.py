"""A coordinator: what it opens, and how that is joined."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import DeferredList, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from morphnet.config.home import LENT, CoordinatorConfig
from morphnet.config.redis_url import redis_url_of
from morphnet.errors import ConfigError, HostError
from morphnet.net.http import Exchange, HttpFactory
from morphnet.net.listen import dispensable, listen_tcp
from morphnet.net.websocket import server_factory
from morphnet.net.webtls import WebTls
from morphnet.rendezvous.home.registry import KEEPALIVE, Registry, place
from morphnet.roles.coordinator.between import SPEAKS, Between
from morphnet.roles.coordinator.calls import Calls
from morphnet.roles.coordinator.certified import Certified
from morphnet.roles.coordinator.desk import Desk
from morphnet.roles.coordinator.doors import HomeDoors
from morphnet.roles.coordinator.homechannel import HomeChannel
from morphnet.roles.coordinator.invitations import Invited, read_key
from morphnet.roles.coordinator.node import CoordinatorNode
from morphnet.roles.coordinator.pages import read_pages
from morphnet.roles.coordinator.sharing import ALONE, SHARED_KEEPALIVE, TICK_EVERY, Sharing
from morphnet.roles.coordinator.succession import Succession
from morphnet.roles.process.process import Process
from morphnet.store.homes import DATABASE, HomesLedger, LedgerHomes
from morphnet.wire.batch import Endpoint

EXPIRE_EVERY = 5.0  # seconds

Answer = Callable[[Exchange], Coroutine[Any, Any, None]]


class CoordinatorProcess(Process):
    """Introduces browsers to homes."""

    state = "coordinator"
    serves_many = True

    def __init__(
        self, config: CoordinatorConfig, reactor: Any, read: Callable[[], CoordinatorConfig] | None = None
    ) -> None:
        super().__init__(config, reactor, read)
        self.config = config
        self._ports: list[IListeningPort] = []
        self._doors: HomeDoors | None = None
        self._registry: Registry | None = None
        self._ledger: HomesLedger | None = None
        self._sharing: Sharing | None = None
        self._between: Between | None = None
        self._certified: Certified | None = None

    def open(self) -> CoordinatorNode:
        config = self.config
        tls = self._tls()
        self._ledger = ledger = HomesLedger(config.state_dir / DATABASE)
        key = read_key(config.state_dir)
        if config.redis_url:
            self._sharing = Sharing(self.reactor, os.urandom, redis_url_of(config.redis_url), key, ledger)
        sharing = self._sharing
        homes = LedgerHomes(ledger) if sharing is None else sharing.homes
        gatekeeper = Invited(homes, time.time, open_to_all=config.open, copy=ledger if sharing else None)
        keepalive = KEEPALIVE if sharing is None else SHARED_KEEPALIVE
        self._registry = registry = Registry(self.reactor, os.urandom, key, gatekeeper, config.max_homes, keepalive)
        node = CoordinatorNode(config, registry, self._counters, reloading=self.reloading)
        self._succession = succession = Succession(self.reactor, registry, config.state_dir, node.tell)
        node.move, registry.came = succession.move, partial(self._came, node)
        registry.gone = lambda home, at, why: node.tell("home", home[:8], f"gone: {why}")
        calls = self._join(registry, node)
        self._old = HomeChannel(self.reactor, config, node.tell) if config.legacy.homechannel.enabled else None
        self._doors = HomeDoors(self.reactor, config.listen, config.home_port, registry, self._old)
        pages, relay = read_pages(tls=tls is not None), self._relay(calls)
        desk = Desk(pages, calls, config.home_port, proxied=config.proxy, welcome=config.pages, relay=relay)
        desk.name(succession.others)
        node.read_again = partial(self._read_again, desk, tls)
        self._serve(config.port, desk.answer, tls)
        kind = "HTTPS" if tls is not None else "HTTP"
        node.serves = tuple(f"{host} tcp {config.port} {kind}, udp {config.home_port}" for host in config.listen)
        if self._old is not None:
            self._serve(config.legacy.homechannel.port, self._old.answer, tls)
            node.serves += (f"HomeChannel on tcp {config.legacy.homechannel.port} {kind}",)
            self.every(EXPIRE_EVERY, self._old.expire)
        self.every(EXPIRE_EVERY, registry.expire)
        node.state = "serving" if sharing is None else ALONE
        if self._certified is not None:
            self._certified.begin(node, partial(self._open_to_ca, self._certified.door.answer, node))
        self._log.info("morph-coordinator {name} is serving", name=config.name)
        return node

    def _join(self, registry: Registry, node: CoordinatorNode) -> Calls:
        """Calls of browsers, here and with the other coordinators of our name."""
        sharing = self._sharing
        elsewhere = sharing.join(registry, node) if sharing is not None else None
        self._calls = calls = Calls(self.reactor, os.urandom, registry, elsewhere)
        if sharing is not None:
            sharing.start(calls.answered)
            self.every(TICK_EVERY, sharing.tick)
        return calls

    def _relay(self, calls: Calls) -> Callable[[], IProtocolFactory | None]:
        """What serves the WebSockets of the last resort, while there is room."""
        config = self.config
        self._between = between = Between(self.reactor, config.relay_pairs, config.relay_rate)
        calls.made = between.made
        factory = server_factory(between, self.reactor, SPEAKS)
        return lambda: factory if between.may_come() else None

    def _serve(self, port: int, answer: Answer, tls: WebTls | None) -> None:
        factory: Any = HttpFactory(answer, self.reactor, self.config.idle_s)
        if tls is not None:
            factory = tls.wrap(factory)
        for host in self.config.listen:
            optional = dispensable(host, self.config.listen)
            listening = listen_tcp(self.gate, host, port, factory, optional=optional)
            if listening is not None:
                self._ports.append(listening)

    def _open_to_ca(self, answer: Answer, node: CoordinatorNode) -> None:
        """:raises HostError: the port is another's; nothing of it is open then."""
        before, port = len(self._ports), self.config.acme.port
        try:
            self._serve(port, answer, None)
        except HostError:
            for each in self._ports[before:]:
                each.stopListening()
            del self._ports[before:]
            raise
        node.serves += (f"HTTP on tcp {port}, for the CA",)

    def _came(self, node: CoordinatorNode, home: str, where: Endpoint) -> None:
        node.tell("home", home[:8], f"registered from {place(where)}")
        self._succession.came(home)

    def _read_again(self, desk: Desk, tls: WebTls | None) -> None:
        self._succession.read_again()
        desk.name(self._succession.others)
        if tls is not None:
            tls.read_again()
        if self._certified is not None:
            self._certified.renewals.look()

    def _tls(self) -> WebTls | None:
        config = self.config
        if config.plain:
            return None
        if config.acme.names:
            self._certified = Certified(config, self.reactor)
            return self._certified.tls
        if not config.certificate or not config.key:
            raise ConfigError(
                "'certificate' and 'key' are missing: browsers need HTTPS; let [acme] get a certificate, or set 'plain'"
                " with a proxy here that speaks it"
            )
        lent = [config.run_dir / name for name in LENT.values()]
        if all(file.exists() for file in lent):  # by the unit of systemd, which may read more than we
            return WebTls(*lent)
        return WebTls(Path(config.certificate), Path(config.key))

    def _counters(self) -> dict[str, int]:
        counts = Counter[str](self.gate.counters())
        counts.update(self._calls.counts)
        if self._sharing is not None:
            counts.update(self._sharing.counts)
        if self._between is not None:
            counts.update(self._between.counts)
            counts["between"] += len(self._between)
        if self._old is not None:
            counts.update(self._old.counters())
        if self._certified is not None:
            counts.update(self._certified.renewals.counts)
        if self._doors is not None:
            counts.update(self._doors.counters())
        return counts

    async def close(self) -> None:
        await DeferredList([maybeDeferred(port.stopListening) for port in self._ports])
        if self._registry is not None:
            self._succession.end()
            self._registry.end()
        if self._sharing is not None:
            self._sharing.stop()
        if self._certified is not None:
            self._certified.renewals.stop()
        if self._between is not None:
            self._between.close()
        if self._doors is not None:
            self._doors.close()
        if self._ledger is not None:
            self._ledger.close()
