"""An upload server: what it opens, and how that is joined."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.threads import deferToThreadPool

from morphnet.config.legacy import split_place
from morphnet.config.redis_url import redis_url_of
from morphnet.config.upload import UploadConfig
from morphnet.errors import ConfigError
from morphnet.net.clamd import Clamd
from morphnet.net.gate import Gate, OpenGate
from morphnet.net.http import Exchange, HttpFactory
from morphnet.net.listen import dispensable, listen_tcp
from morphnet.net.pump import since_boot
from morphnet.net.redis_exchange import RedisLink
from morphnet.net.xmpp import UploadComponent
from morphnet.ops.metrics import KIND, exposition
from morphnet.roles.process.process import Process
from morphnet.roles.upload.callers import Callers
from morphnet.roles.upload.certificate import LOOK_EVERY, Certificate
from morphnet.roles.upload.desk import Desk, Rules
from morphnet.roles.upload.node import UploadNode
from morphnet.roles.upload.scanning import Aside, Scanning
from morphnet.roles.upload.secrets import Keys, read_password, read_secrets, read_tokens
from morphnet.roles.upload.sharing import Sharing
from morphnet.roles.upload.shelf import Shelf
from morphnet.roles.upload.slotting import Allowance, Slotting
from morphnet.store.base import Uploads
from morphnet.store.redis_uploads import RedisUploads
from morphnet.store.shared_vault import SharedVault
from morphnet.store.upload_notes import record_of
from morphnet.store.uploads import DATABASE, SqliteUploads, UploadLedger
from morphnet.store.vault import Vault
from morphnet.wire.messages.upload.drafts import Appends

SWEEP_EVERY = 600.0  # seconds between looks for uploads that nobody went on with


async def _tell_metrics(node: UploadNode, exchange: Exchange) -> None:
    if exchange.location != "/metrics" or exchange.verb not in ("GET", "HEAD"):
        exchange.answer(404, {"Content-Type": "text/plain"}, b"/metrics is here\n")
        return
    exchange.answer(200, {"Content-Type": KIND}, exposition(node.status(), time.time()).encode())


class UploadProcess(Process):
    """Takes files with slots, and gives them out."""

    state = "upload"

    def __init__(self, config: UploadConfig, reactor: Any, read: Callable[[], UploadConfig] | None = None) -> None:
        super().__init__(config, reactor, read)
        self.config = config
        self._ports: list[IListeningPort] = []
        self._uploads: Uploads | None = None
        self._redis: RedisLink | None = None
        self._keys = Keys((), {})
        self._component: UploadComponent | None = None
        self._certificate: Certificate | None = None
        self._is_redis_there: Callable[[str], None] = lambda why_not: None

    def open(self) -> UploadNode:
        config = self.config
        self._read_secrets()
        shelf = self._shelf = self._open_shelf()
        part, whole = int(config.partial_hours * 3600), int(config.keep_days * 86400)  # seconds that each is kept
        rules = Rules(
            config.base, config.max_size, part, config.user_quota, whole, Appends(config.min_append, config.max_append)
        )
        callers = Callers(config.proxies, self.reactor.seconds)
        desk = Desk(rules, shelf, lambda path: self._keys.of(path), callers)
        node = UploadNode(config, self._counters, reloading=self.reloading, uploads=shelf.under_way.statuses)
        node.read_again = partial(self._read_again, node)
        if config.scan.clamd:
            clamd = Clamd(self.reactor, config.scan.clamd, config.scan.within_s)
            tell, scan = partial(node.tell, "scanned"), config.scan
            aside = Aside(scan.aside_days * 86400, scan.aside_bytes)
            shelf.scanning = Scanning(clamd.scan, shelf.vault, shelf.counts, tell, required=scan.required, aside=aside)
        if self._redis is not None:
            self._is_redis_there = node.redis_is
            self._redis.start()
        gate = OpenGate(self.reactor)
        self._open_component(node)
        self._listen(node, HttpFactory(desk.answer, self.reactor, config.idle_s), gate)
        self._open_metrics(node, gate)
        self.every(SWEEP_EVERY, self._sweep)
        node.state = "serving"
        self._log.info("morph-upload {name} is serving", name=config.name)
        return node

    def _listen(self, node: UploadNode, factory: IProtocolFactory, gate: Gate) -> None:
        """:raises ConfigError: what is to be shown is no certificate and its key."""
        config, kind = self.config, "HTTP"
        if config.tls.certificate or config.tls.key:
            certificate = self._certificate = Certificate(config.tls)
            factory, kind = certificate.wrap(factory), "HTTPS"
            self.every(LOOK_EVERY, partial(certificate.look, node.certificate_is))
        for host in config.listen:
            port = listen_tcp(gate, host, config.port, factory, optional=dispensable(host, config.listen))
            if port is not None:
                self._ports.append(port)
        node.serves = tuple(f"{host} tcp {config.port}, {kind}" for host in config.listen)

    def _open_metrics(self, node: UploadNode, gate: Gate) -> None:
        if self.config.metrics:
            factory = HttpFactory(partial(_tell_metrics, node), self.reactor, self.config.idle_s)
            listening = listen_tcp(gate, *split_place(self.config.metrics), factory)
            if listening is not None:
                self._ports.append(listening)

    def _open_shelf(self) -> Shelf:
        """With other servers, if there is a Redis to meet them at."""
        config, shared = self.config, self.config.shared
        beside = partial(deferToThreadPool, self.reactor, self.reactor.getThreadPool())
        clocks = time.time, since_boot
        files = Path(shared.files) if shared.files else config.state_dir / "files"
        if not shared.redis_url:
            self._uploads = SqliteUploads(UploadLedger(config.state_dir / DATABASE), self.reactor)
            return Shelf(self._uploads, Vault(files, config.keep_free, once=config.dedup), beside, *clocks)
        sharing = Sharing(lambda path: shelf.turns.end(path), lambda why: self._is_redis_there(why))
        vault = SharedVault(files, config.keep_free, once=config.dedup, patience=shared.patience_s)
        uploads = self._uploads = RedisUploads(
            sharing.ask,
            lambda path: vault.size(path) is not None,
            lambda path: record_of(vault.noted(path)),
            lambda: filter(None, map(record_of, vault.all_noted())),
        )
        shelf = Shelf(uploads, vault, beside, *clocks)
        shelf.taken, sharing.catch_up, sharing.restore = sharing.taken, uploads.catch_up, uploads.restore
        self._redis = RedisLink(self.reactor, redis_url_of(shared.redis_url), sharing)
        return shelf

    def _open_component(self, node: UploadNode) -> None:
        """:raises ConfigError: its secret cannot be read, or nobody has said where its slots are."""
        config = self.config.component
        if not config.jid:
            return
        if not self.config.url:
            raise ConfigError("component.jid needs url: the address that clients are given")
        allowance = Allowance(config.served(), self.config.max_size, self.config.user_quota, config.slots_an_hour)
        shelf = self._shelf
        slotting = Slotting(
            self.config.url, allowance, shelf.uploads, lambda: self._keys.shared[0], shelf.wall, shelf.counts
        )
        host, _, port = config.server.rpartition(":")
        component = self._component = UploadComponent(
            config.jid, self._component_secret(), allowance.max_size, slotting.slot, node.component_is
        )
        node.component_is("it was not reached yet")
        component.service(self.reactor, host.strip("[]"), int(port)).setServiceParent(self)

    def _read_again(self, node: UploadNode) -> None:
        """:raises ConfigError: something is wrong: what is right has its effect, and the rest stays as it was."""
        self._read_secrets()
        if self._certificate is not None:
            self._certificate.read_again()
            node.certificate_is("")

    def _read_secrets(self) -> None:
        tokens = self.config.tokens_file
        keys = Keys(read_secrets(self.config.secret_file), read_tokens(Path(tokens)) if tokens else {})
        if self._component is not None:
            self._component.use(self._component_secret())
        self._keys = keys

    def _component_secret(self) -> str:
        return read_password(self.config.component.secret_file, "component.secret_file")

    def _counters(self) -> dict[str, int]:
        counts, turns = self._shelf.counts.copy(), self._shelf.turns
        counts["uploads_taken_over"] += turns.taken_over
        counts["deduplicated_bytes"] += self._shelf.vault.saved
        counts["uploads_running"] += len(turns)
        counts["copied_bytes"] += self._shelf.vault.copied
        return counts

    def _sweep(self) -> None:
        kept, partial = self.config.keep_days * 86400.0, self.config.partial_hours * 3600.0
        sweeping = Deferred.fromCoroutine(self._shelf.sweep(partial, kept))
        sweeping.addErrback(lambda failure: self._log.failure("cannot sweep", failure))

    async def close(self) -> None:
        await DeferredList([maybeDeferred(port.stopListening) for port in self._ports])
        if self._redis is not None:
            self._redis.stop()
        if self._uploads is not None:
            await self._uploads.close()
