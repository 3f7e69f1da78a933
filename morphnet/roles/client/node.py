"""The client: one session, its uplinks, and the control link that it keeps alive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from morphnet.config.roles import SCHEDULERS, ClientConfig
from morphnet.config.web import web_way
from morphnet.errors import ConfigError
from morphnet.host.host import Host
from morphnet.host.uplinks import Uplink
from morphnet.net.pump import Pump
from morphnet.net.tun import Tun
from morphnet.roles.carry.ports import Ports
from morphnet.roles.client.certified_node import Certificates
from morphnet.roles.client.machine import Machine
from morphnet.roles.client.notices import Notices
from morphnet.roles.client.policed_node import PolicedNode
from morphnet.roles.client.policies import Policies
from morphnet.roles.client.portals import Portals
from morphnet.roles.client.resolving import NoStub, Stubs, of_others
from morphnet.roles.client.shapes import Maker, Shapes
from morphnet.roles.client.streaming import Streaming
from morphnet.roles.client.uplink_paths import UplinkPaths, plain_paths, server_hosts
from morphnet.roles.peers.names import PeerNames
from morphnet.roles.process.agreed import agreed, framing_of
from morphnet.roles.process.instance import new_instance
from morphnet.roles.process.node import open_paths, shown_address
from morphnet.roles.process.reloading import Reloading
from morphnet.roles.signalling.control_client import Link
from morphnet.tunnel.carrier import DIRECT
from morphnet.tunnel.events import Effects, Event, PathChanged
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.session import Session
from morphnet.wire.batch import Endpoint
from morphnet.wire.keys import split_export
from morphnet.wire.messages.access import Holders
from morphnet.wire.messages.advice import Advice
from morphnet.wire.messages.control import (
    Drain,
    Goodbye,
    Hello,
    Ids,
    Notice,
    Renewed,
    Revoked,
    Scheduler,
    Signal,
    Welcome,
)
from morphnet.wire.messages.networks import Networks
from morphnet.wire.messages.revocations import BEFORE, PartsWanted, Revocations, RevokedPart
from morphnet.wire.messages.trying import Tried

if TYPE_CHECKING:
    from morphnet.roles.peers.ethernet import EthernetLan
    from morphnet.roles.peers.mesh import Mesh, Owner

LIVE = frozenset(
    {"advertise", "advertise_routed", "accept_networks", "shape", "shape_web", "tuning.scheduler"}
    | {"routes", "local", "strict", "dns", "dns_split", "mss_clamp", "uplink_policies", "names.domains"}
)
PROVE_WITHIN = 2.0  # seconds that a link has to show life when its own address, or every path, is gone


@dataclass(frozen=True)
class Parts:
    """What a client is made of, besides its data plane."""

    host: Host
    tun: Tun | None
    uplink_paths: UplinkPaths
    certificates: Certificates
    streaming: Streaming | None = None  # the server by TCP, if there is one and it shall be
    mesh: Callable[[Owner], Mesh] | None = None  # makes what has to do with peers, if there shall be any
    network_changed: Callable[[], None] = lambda: None  # for the control link: a call may come through now
    reloading: Reloading[ClientConfig] | None = None
    make_shape: Maker = lambda name: None
    ports: Ports | None = None  # where programs hand in UDP that is carried, if anything is
    policies: Policies | None = None  # None: those of the settings, and nothing is remembered
    stub: Stubs = field(default_factory=NoStub)  # our own DNS server on this machine, where one is needed


class ClientNode(PolicedNode):
    """Follows the control link: keys and addresses come from it, paths are opened, and it may go away again."""

    role = "client"
    sections = ("sessions", "relays", "peers")
    _log = Logger()

    def __init__(self, config: ClientConfig, pump: Pump, parts: Parts) -> None:
        super().__init__(config, pump, parts.certificates, parts.policies or Policies(config.policies()))
        self.host, self.tun, self.ports = parts.host, parts.tun, parts.ports
        self.by_ways(parts.uplink_paths, parts.streaming)
        self._network_changed, self._reloading = parts.network_changed, parts.reloading
        self._lan: EthernetLan | None = None  # layer 2, if it is wanted
        self._names: PeerNames | None = None  # kept in /etc/hosts
        self.notices = Notices(self._told, pump.now)
        self.shapes = Shapes(config.shape, pump, self._told, parts.make_shape, self.uplink_paths.ladders)
        self.portals = Portals(self._told)
        self._instance = new_instance(config.state_dir)  # a clone of this machine has another
        self._group = ""
        self._machine = Machine(
            config, self.host, config.tun, self.notices.tell, pump.now, lambda: self.status().headline
        )
        self._machine.stub, self._stub = parts.stub, parts.stub
        self.mesh = parts.mesh(self) if parts.mesh is not None else None

    # -- the control link ----------------------------------------------------------------------------------------------

    def hello(self) -> Hello:
        """Who we are and where we left off."""
        session = self._session_there()
        return Hello(
            name=self.config.name,
            session=session.name.hex() if session else "",
            epoch=max(session.outbound.keys.epoch, session.inbound.keys.epoch) if session else 0,
            scheduler=session.outbound.scheduler.name if session else self.config.tuning.scheduler,
            compression=("zstd", "gzip"),
            framings=("compact", "seed") if self.config.tuning.framing == "compact" else ("seed",),
            instance=self._instance,
            revocations=self.lists.number if self.lists is not None else BEFORE,
            reorder_tcp_ms=self.config.tuning.repair_ms,
            advertise=self.config.advertise,
            networks=True,
            holders=True,
            terms=self.has_terms,
            advice=True,
        )

    def welcomed(self, welcome: Welcome, link: Link) -> None:
        """The server knows us: take its keys and addresses into use."""
        now, name = self.pump.now(), bytes.fromhex(welcome.session)
        self.link, self._group = link, link.group
        self.server_heeds(link if welcome.terms else None)
        self.meets(welcome, link.peer)
        self._leave_other()
        server, session, effects = self._server, self._session(), Effects()
        if session is None or session.name != name:
            session = self.tunnel.add_session(server, name, agreed(self.config.tuning, welcome, framing_of(welcome)))
            self._since[server] = now
        elif not welcome.resumed:
            session.peer_restarted(effects)
        session.use_format(framing_of(welcome))
        session.inbound.keys.expect(welcome.rekey_seconds)
        session.be_patient(welcome.reorder_tcp_ms / 1000)
        session.install(*split_export(link.export(name)), welcome.epoch, now)
        _learn(session, welcome.ids)
        self.shapes.welcomed(session, welcome.shapes, effects)
        self._machine.paths_of(self._session())
        self._machine.welcomed(welcome)
        self._relays_are(welcome.relays)
        self._server_hosts = server_hosts(link.peer_host, welcome.addresses, self._server_hosts)
        self.uplink_paths.serve(session, [Endpoint(host, welcome.data_port) for host in self._server_hosts])
        if self.streaming is not None:
            self.streaming.serve(session, self._server_hosts, welcome.streams)
        through = f": the server is reached through the relay {link.relay}" if link.relay else ""
        self.tell("control-up", server, ("control link is up" if welcome.resumed else "session begins") + through)
        session.greet(self.pump.now(), effects)
        self.tunnel.poke(session, now)
        self.pump.carry_out(effects)
        self.treat_paths()
        if self.lists is not None and welcome.revocations != BEFORE:
            self.lists.joined(link, welcome.revocations)
        self.renew_in_time()

    def signal(self, signal: Signal) -> None:
        """The server pushes something."""
        session = self._session()
        match signal:
            case Ids() if session is not None:
                _learn(session, signal.ids)
            case Scheduler() if session is not None and signal.name in SCHEDULERS:
                session.set_scheduler(signal.name)
                self.tell("scheduler", session.peer, f"the server asked for {signal.name}")
            case Renewed():
                self.renewed(signal.certificate)
            case Revoked():
                self.tell("revoked", "", "the server says that our certificate is revoked: ask for a new invitation")
            case Notice():
                self.notices.take(f"the server says: {signal.reason}")
            case Revocations() | PartsWanted() | RevokedPart():
                if self.lists is not None and self.link is not None:
                    self.lists.heard(self.link, signal)
            case Networks() | Holders() | Advice() | Tried():
                self._server_tells(self._machine, signal)
            case Drain():
                self.tell("drain", "", f"the server goes away in {signal.seconds:.0f} s: {signal.reason}")
            case Goodbye():
                self.tell("goodbye", "", signal.reason or "the server says goodbye")

    def link_lost(self, reason: str) -> None:
        """The control link is gone; the data plane goes on."""
        if self.lists is not None and self.link is not None:
            self.lists.left(self.link)
        self.link = None
        self.server_heeds(None)
        self.tell("control-down", "", f"control link is down: {reason}")

    def heard(self, event: Event) -> None:
        """
        Paths are a sign for the control link: without any, the server may have moved; with one again, call it.

        A stream is no such sign: it finds a server that has moved at once, and the link would know it no sooner.
        """
        super().heard(event)
        session = self._session()
        if session is None or not isinstance(event, PathChanged) or event.session != session.peer:
            return
        self.look_at_paths()
        path = session.paths.get(event.path)
        if path is not None and path.rank == DIRECT:  # what a stream goes by is no uplink's name
            self.portals.path_is(event.uplink, event.now)
        if self.link is None:
            if event.now == State.ACTIVE:
                self._network_changed()
        elif event.now == State.SILENT and not any(each.usable for each in plain_paths(session)):
            self.link.prove(PROVE_WITHIN)

    def look_at_paths(self) -> None:
        """Whether traffic may go into the tunnel; called now and then as well."""
        self._machine.paths_of(self._session())

    def uplinks_are(self, uplinks: list[Uplink]) -> None:
        """The machine's uplinks changed, or which of them are to be left alone."""
        uplinks = self.allowed(uplinks)
        self._machine.uplinks_are(uplinks)
        self.portals.uplinks_are(uplinks)
        self.uplink_paths.uplinks_are(uplinks)
        if self.mesh is not None:
            self.mesh.uplinks_are(uplinks)
            self.mesh.relays.shun(self.shunned())
        ours = {address for uplink in uplinks if uplink.up for address in (*uplink.addresses4, *uplink.addresses6)}
        if self.link is not None and self.link.local_host in self.shunned():
            self.link.close("its uplink is to be left alone")
        elif self.link is not None and self.link.local_host not in ours:
            self.link.prove(PROVE_WITHIN)
        self._network_changed()

    def networks_changed(self) -> None:
        """The machine's uplinks are as they were, and other routes are not."""
        self._machine.networks_changed()

    def join_mesh(self) -> None:
        """
        Be reachable for the peers.

        :raises ConfigError: our certificate does not say who we are among them.
        :raises HostError: the machine refuses the inner addresses.
        """
        mesh = self._peers()
        inner, networks = mesh.ourselves.inside()
        if not inner:
            named = ", ".join(mesh.config.networks)
            raise ConfigError(
                f"the certificate of {self.name} has no inner address in {named}: run `morphnet join` with a new"
                " invitation, or set [mesh] networks as on the machine where the network was founded"
            )
        self._machine.among_peers(inner, tuple(networks), self.config.tuning.mtu)
        if mesh.config.hosts:
            self._names = PeerNames(partial(self.host.name_peers, taken=of_others(self.config)), mesh.around.clock)
        if mesh.config.ethernet:
            from morphnet.roles.peers.ethernet import EthernetLan  # few have one

            ethernet, bridge = mesh.config.ethernet, mesh.config.bridge
            self._lan = EthernetLan(
                mesh.around.clock, ethernet, bridge, next(filter(None, self._machine.inner)), self.pump.now
            )
            self._lan.open()

    def peers_are(self, names: dict[str, tuple[str, ...]]) -> None:
        """With these peers there is a session: tell who keeps their names, and their addresses inside."""
        if self._names is not None:
            self._names.are(names)
        if self._lan is not None:
            self._lan.peers_are(names)
        self._peers_lead(self._machine, names)

    def noticed(self, text: str) -> None:
        """A relay has a word for our operator."""
        self.notices.take(text)

    def leave_mesh(self) -> Deferred[None]:
        """Be reachable no more, see `Mesh.stop`; the host has forgotten the peers' names already."""
        if self._names is not None:
            self._names.close()
        if self._lan is not None:
            self._lan.close()
        return self.mesh.stop() if self.mesh is not None else succeed(None)

    def traffic_goes(self) -> str:
        """Into the tunnel, past it, or nowhere."""
        return self._machine.traffic

    def warnings(self) -> tuple[str, ...]:
        """What the operator should see to."""
        parts = self._machine, self.portals, self.notices, self.shapes
        return (*super().warnings(), *(sentence for part in parts for sentence in part.warnings()))

    # -- what ops sees -------------------------------------------------------------------------------------------------

    def set_scheduler(self, name: str, session: str = "") -> str:
        """Switch both directions."""
        answer = super().set_scheduler(name, session)
        if self.link is not None:
            self.link.send(Scheduler(name))
        return answer

    def reload(self) -> str:
        """Read the settings again, and live by them as far as that is possible now."""
        return self._reloading.reload(self) if self._reloading is not None else super().reload()

    def reconfigure(self, config: ClientConfig, keys: Collection[str]) -> str:
        """Live by these settings."""
        self._machine.reconfigure(config)
        self._advertise(config, keys)
        before, self.config = web_way(self.config.shape, self.config.shape_web), config
        self.police(config, keys)
        known = self.shapes.wish(config.shape) if "shape" in keys else ""
        self.uplink_paths.climb()
        if self.streaming is not None and before != web_way(config.shape, config.shape_web):
            self.streaming.begin_anew()
        if "tuning.scheduler" not in keys:
            return known
        self.set_scheduler(config.tuning.scheduler)
        if self.mesh is not None:
            self.mesh.sessions.begin_with(config.tuning.scheduler)
        late = config.all_servers() and self.link is None
        return "to what this machine sends; the server does the same when it is reached" if late else known

    def cut_path(self, path: int | str, session: str = "") -> str:
        """Leave the uplink of this path alone until it is restored."""
        known = self._session()
        chosen = next(iter(open_paths(known, path)), None) if known is not None else None
        if chosen is None:
            raise ConfigError(f"there is no open path {path}")
        if self.streaming is None or not self.streaming.cut(chosen):
            self.uplink_paths.cut(chosen.id)
        return f"path {path} is closed"

    def restore_path(self, path: int | str, session: str = "") -> str:
        """Use it again."""
        stream = self.streaming
        if not self.uplink_paths.restore(path) and not (stream is not None and stream.restore(path)):
            raise ConfigError(f"path {path} was not cut")
        return f"path {path} is opened again"

    def hang_up(self, session: str, reason: str) -> None:
        """The control link is called again, and a new session begins."""
        if self.link is not None:
            self.link.close(reason)

    def offloads(self) -> tuple[str, ...]:
        """TUN's, then UDP's."""
        return (*(self.tun.offloads if self.tun is not None else ()), *self.uplink_paths.offloads())

    def door_counters(self) -> Counter[str]:
        """Sums over the doors and the TUN."""
        total = super().door_counters()
        for part in (self.tun, self._lan, self.streaming, self.mesh, self.ports, self._stub):
            total.update(part.counters() if part is not None else {})
        return total

    def control_of(self, session: Session) -> tuple[str, str]:
        """State and TLS group of the control link."""
        if session is not self._session():  # with a peer: TLS was there for the introduction, and is gone
            peer = self.mesh.peers.get(session.peer) if self.mesh is not None else None
            return "met", peer.group if peer is not None else ""
        return "up" if self.link is not None else "down", self._group

    def inner_of(self, session: Session) -> tuple[str, ...]:
        """Our inner addresses."""
        peer = self.mesh.peers.get(session.peer) if self.mesh is not None else None
        if peer is not None and session is peer.session:
            return peer.inner
        return tuple(address for address in self._machine.inner if address)

    def local_of(self, path: Path) -> str:
        """Our side of a path."""
        local = self.mesh.local_of(path.door) if self.mesh is not None else None
        if local is None and self.streaming is not None:
            local = self.streaming.local_of(path.door)
        return shown_address(Endpoint(*local)) if local is not None else self.uplink_paths.local_of(path)


def _learn(session: Session, ids: Sequence[str]) -> None:
    """The server has issued these."""
    session.add_ids(bytes.fromhex(text) for text in ids)
