"""A home: what it opens, and how that is joined."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from morphnet.config.home import HOME_PORT, HomeConfig
from morphnet.config.services import named
from morphnet.errors import ConfigError
from morphnet.net import rtc_make
from morphnet.net.rtc import RtcDoor
from morphnet.pki.names import split_address
from morphnet.rendezvous.home.coordinators import Coordinators, Known
from morphnet.rendezvous.home.registering import HomeKeys, Registering
from morphnet.roles.home import known, password
from morphnet.roles.home.beneath import Beneath
from morphnet.roles.home.homechannel import HomeChannelHome
from morphnet.roles.home.identity import link, name_of, read_identity
from morphnet.roles.home.line import Line
from morphnet.roles.home.node import HomeNode
from morphnet.roles.home.old_files import OldFiles
from morphnet.roles.home.passkeys import Passkeys
from morphnet.roles.home.reception import Keys, Reception
from morphnet.roles.home.relayed import NONCE, RelayedDoor, Seal
from morphnet.roles.home.services.files import Files
from morphnet.roles.home.services.heads import agent_of
from morphnet.roles.home.services.passkeys import PasskeyService
from morphnet.roles.home.services.shells import shell_of, ssh_of
from morphnet.roles.home.services.tcp import Tcp, dial_of
from morphnet.roles.home.services.terminal import PACE_EVERY, Terminals
from morphnet.roles.home.services.web import Web
from morphnet.roles.home.turn import TurnServers
from morphnet.roles.home.visits import Service, Visits
from morphnet.roles.process.process import Process
from morphnet.wire.messages.home.calls import Call, from_text
from morphnet.wire.messages.home.invitation import Invitation

LOOK_UP_EVERY = 15.0  # seconds between questions for the coordinator's address, while we are not registered
EXPIRE_EVERY = 60.0
THREADS = 4  # that work for files at once


class HomeProcess(Process):
    """Serves browsers that a coordinator introduces."""

    state = "home"

    def __init__(self, config: HomeConfig, reactor: Any, read: Callable[[], HomeConfig] | None = None) -> None:
        super().__init__(config, reactor, read)
        self.config = config
        self._services: dict[str, Service] = {}
        self._coordinators: Coordinators | None = None
        self._old: HomeChannelHome | None = None
        self._pages_of: dict[str, str] = {}  # calls that are being answered, and the page of who passed them on
        self._threads = ThreadPool(0, THREADS, "files")

    def open(self) -> HomeNode:
        config = self.config
        make = rtc_make.chosen(config.webrtc)
        if make is None:
            extra = "wrtc" if config.webrtc == "wrtc" else "home"
            raise ConfigError(f"WebRTC is not installed: pip install 'morphnet[{extra}]'")
        if config.user and os.getuid() == 0 and config.user != "root":
            raise ConfigError(f"it is to run as {config.user}, not as root: `morphnet up home` does that with systemd")
        self._identity, self._known = read_identity(config.state_dir), known.read(config)
        self._ice: list[str] = []
        self._rtc = RtcDoor(make, self._ice, self.reactor)
        self._relayed = RelayedDoor(self.reactor)
        node = HomeNode(config, self._counters, reloading=self.reloading)
        passkeys = self._open_services(name_of(self._identity), node)
        self._visits = Visits(self.reactor, self._services, lambda session: self._reception.forget(session))
        self._visits.told = lambda session, text: node.tell("access", session[:8], text)
        stretched = password.read(config.state_dir)
        servers = TurnServers.read(config.turn)
        turn = partial(lambda session, now: servers.of_session(session, now()), now=time.time)
        self._reception = Reception(self._identity, stretched, self.reactor.seconds, self._answer, turn, passkeys)
        self._reception.told, self._reception.relay = lambda kind, text: node.tell(kind, "", text), self._relay
        self._coordinators = Coordinators(self.reactor, self._known, self._way, self._keep, known.read_line)
        self._coordinators.changed, node.read_again = partial(self._changed, node), self._coordinators.look
        self._coordinators.told = lambda text: node.tell("coordinator", "", text)
        self._coordinators.in_use = lambda: self._visits.linked > 0
        node.serves = tuple(sorted(self._services)) or ("nothing: no service is allowed",)
        self._coordinators.start()
        self.every(LOOK_UP_EVERY, self._coordinators.look_up)
        self.every(EXPIRE_EVERY, self._visits.expire)
        self._log.info("WebRTC is made by {make}", make=make)
        self._open_old(node)
        self._tell_link(self._known[0])
        return node

    def _way(self, to: Invitation) -> Line:
        """To that coordinator; what browsers ask over it is answered over it."""
        wall = partial(lambda now: int(now() * 1000), time.time)
        keys = HomeKeys(self._identity, from_text(to.key), to.token)
        registering = Registering(
            self.reactor, os.urandom, wall, keys, lambda call: self._called(registering, to.page, call)
        )
        return Line(self.reactor, *split_address(to.coordinator, HOME_PORT), registering)

    def _keep(self, coordinators: Known) -> None:
        self._known = coordinators
        known.keep(self.config, coordinators)
        self._tell_link(coordinators[0])

    def _changed(self, node: HomeNode, state: str) -> None:
        """We are something else to the coordinators."""
        assert self._coordinators is not None  # it has called
        node.registered(state)
        if state.startswith("registering:"):
            self._coordinators.look_up()  # now: there may be another one behind the name

    def _pages(self) -> list[str]:
        """Where browsers may come from."""
        return [one.page for one in self._known]

    def _tell_link(self, first: Invitation) -> None:
        if first.page:
            self._log.info("browsers open {link}", link=link(first.page, name_of(self._identity)))

    def _open_old(self, node: HomeNode) -> None:
        files = self.config.files
        if not self.config.legacy.homechannel.enabled:
            return
        if not files.root:
            raise ConfigError("legacy.homechannel: files.root is missing: there is nothing else for its browsers")
        old_files = OldFiles(Beneath(Path(files.root)), Path(files.root), writable=files.writable)
        work = partial(deferToThreadPool, self.reactor, self._threads)
        self._old = HomeChannelHome(self.reactor, self.config, self._identity, old_files, work, node.tell)
        self._log.info("browsers of the original HomeChannel know us by {key}", key=self._old.name)
        self.every(LOOK_UP_EVERY, self._old.look_up, now=True)
        self.every(1.0, self._old.tick)

    def _open_services(self, home: str, node: HomeNode) -> Passkeys | None:
        """All that are allowed; the passkeys, if they are."""
        files, terminal = self.config.files, self.config.terminal
        if files.root:
            beneath = Beneath(Path(files.root))
            self._threads.start()
            work = partial(deferToThreadPool, self.reactor, self._threads)
            self._services["files"] = Files(beneath, work, writable=files.writable)
        if terminal.enabled:
            who = self.reactor, terminal.user, os.environ
            terminals = Terminals(ssh_of(*who, terminal.ssh) if terminal.ssh else shell_of(*who))
            self._services["terminal"] = terminals
            self.every(PACE_EVERY, terminals.pace)
        dial = dial_of(self.reactor)
        if self.config.vnc.server:
            self._services["vnc"] = Tcp("vnc", {"": self.config.vnc.server}, dial)
        if self.config.tcp.services:
            self._services["tcp"] = Tcp("tcp", named(self.config.tcp.services), dial)
        if self.config.web.services:
            self._services["web"] = Web(named(self.config.web.services), agent_of(self.reactor), self.reactor)
        if not self.config.passkeys.enabled:
            return None
        passkeys = Passkeys(self.config.state_dir, self.config.page, time.time, self._pages)
        passkeys.told = lambda text: node.tell("passkey", "", text)
        self._services["passkeys"] = PasskeyService(passkeys, home, os.urandom)
        return passkeys

    async def _answer(self, session: str, offer: str) -> str:
        assert self._coordinators is not None  # one of them has brought the offer
        host, port = split_address(self._coordinators.best.coordinator, HOME_PORT)
        self._ice[:] = f"stun:{host}:{port}", *self.config.ice  # of the one that answers now
        return await self._rtc.answer(offer, self._visits.of(session))

    def _relay(self, keys: Keys, nonce: bytes, call: str) -> bytes | None:
        ours, visit = os.urandom(NONCE), self._visits.of(keys.session)
        sending, receiving = Seal(keys.down, nonce + ours), Seal(keys.up, nonce + ours)
        return ours if self._relayed.open(self._pages_of.get(call, ""), visit, call, sending, receiving) else None

    def _called(self, registering: Registering, page: str, call: Call) -> None:
        replying = Deferred.fromCoroutine(self._reply(registering, page, call))
        replying.addErrback(lambda failure: self._log.failure("a call was not answered", failure))

    async def _reply(self, registering: Registering, page: str, call: Call) -> None:
        self._pages_of[call.call] = page
        try:
            registering.reply(call.call, await self._reception.reply(call))
        finally:
            del self._pages_of[call.call]

    def _counters(self) -> dict[str, int]:
        counts = Counter[str]()
        if self._coordinators is not None:
            counts.update(self._coordinators.counters())
        if self._old is not None:
            counts.update(self._old.counters())
        counts.update(self._reception.counts)
        counts["connections_crashed"] += self._rtc.crashed
        counts.update(self._visits.counts)
        counts["visits_kept"] += len(self._visits)
        counts["visits_unread"] += self._visits.kept
        counts["visits_linked"] += self._visits.linked
        counts["visits_relayed"] += len(self._relayed)
        terminals = self._services.get("terminal")
        if isinstance(terminals, Terminals):
            counts["terminals"] += len(terminals.running)
        return counts

    async def close(self) -> None:
        if self._coordinators is None:
            return
        self._coordinators.stop()
        self._visits.end()
        self._rtc.close()
        self._relayed.close()
        if self._old is not None:
            self._old.close()
        for service in self._services.values():
            service.close()
        if self._threads.started:
            self._threads.stop()
