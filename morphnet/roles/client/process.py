"""A client: what it opens, and how that is joined."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from cryptography import x509
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.internet.protocol import Factory

from morphnet import __version__
from morphnet.config.carry import entry
from morphnet.config.roles import CONTROL_PORT, RELAY_PORT, ClientConfig
from morphnet.config.shapes import sni_of
from morphnet.host.uplinks import UplinkScan, UplinkWatch
from morphnet.net.dial import Destination, Dial
from morphnet.net.lookup import UplinkNames
from morphnet.net.ondevice import Source
from morphnet.net.passage import PassageDial
from morphnet.net.proof import proof_of, proving
from morphnet.net.pump import Pump, since_boot
from morphnet.net.tls import ClientTls, Identity
from morphnet.net.tun import Tun
from morphnet.net.web import WebDial
from morphnet.ops.rundir import REVOKED
from morphnet.pki.files import trusted_cas
from morphnet.pki.names import split_address
from morphnet.rendezvous.reconnect import Reconnect, reconnect
from morphnet.roles.carry.ports import Ports
from morphnet.roles.certificates.renewal import LOOK_EVERY as RENEW_EVERY
from morphnet.roles.certificates.renewal import Renewal, identity_of
from morphnet.roles.certificates.revocation_exchange import RevocationExchange
from morphnet.roles.certificates.revocation_file import Revoked
from morphnet.roles.certificates.server_certificate import ServerCertificate
from morphnet.roles.client.certified_node import Certificates
from morphnet.roles.client.ear import Ear
from morphnet.roles.client.ladders import Ladders
from morphnet.roles.client.looking import LOOK_EVERY, Looking, Visitor
from morphnet.roles.client.machine import kill_switch
from morphnet.roles.client.node import LIVE, ClientNode, Parts
from morphnet.roles.client.policies import Policies
from morphnet.roles.client.resolving import Stub
from morphnet.roles.client.servers import Servers
from morphnet.roles.client.streaming import Streaming
from morphnet.roles.client.uplink_paths import UplinkPaths
from morphnet.roles.client.ways import Relays, WebServer
from morphnet.roles.process.masks import look_for, masks_of
from morphnet.roles.process.process import HostProcess
from morphnet.roles.signalling.control_client import ControlClient
from morphnet.roles.signalling.control_client import Listener as ControlListener
from morphnet.store.networks import FILE as NETWORKS
from morphnet.store.networks import Networks
from morphnet.store.uplinks import FILE as UPLINKS
from morphnet.store.uplinks import UplinkRecords
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Endpoint

if TYPE_CHECKING:
    from morphnet.roles.peers.mesh import Mesh, Owner
    from morphnet.roles.signalling.relay_client import Listener, RelayClient

SWEEP_EVERY = 10.0  # seconds between looks for programs that are gone
LOOK_AT_CERTIFICATES_EVERY = 2.0  # seconds between looks whose has expired

SEEK_EVERY = 1.0  # seconds
CLIMB_EVERY = 0.1  # seconds between looks which shapes get through, where that is to be found out
LOOK_AT_PATHS_EVERY = 1.0  # seconds between looks whether none has worked for a while
COUNT_EVERY = 0.5  # seconds between looks at what each uplink has carried
KEEP_EVERY = 5.0  # seconds after which that outlives a `kill -9`
STREAM_EVERY = 0.25  # seconds between looks whether the server is to be reached by TCP


def _on(device: str, sources: Callable[[], list[Source]]) -> list[Source]:
    """Those on one device."""
    return [each for each in sources() if each.device == device]


def _make_mesh(
    config: ClientConfig,
    pump: Pump,
    identity: Callable[[], Identity],
    reactor: Any,
    lists: RevocationExchange,
    owner: Owner,
) -> Mesh:
    from morphnet.roles.peers.mesh import Mesh  # brings all that peers need

    return Mesh(config, pump, identity, reactor, lists, owner)


class ClientProcess(HostProcess):
    """A machine with uplinks: doors first, then the control link, for ever."""

    live = LIVE

    def __init__(self, config: ClientConfig, reactor: Any, read: Callable[[], ClientConfig] | None = None) -> None:
        super().__init__(config, reactor, read)
        self.config = config
        self._turn = 0
        self._tun: Tun | None = None
        self._ports: Ports | None = None
        self._node: ClientNode | None = None  # None until its parts are made
        networks = config.mesh.networks if config.mesh.relays else ()
        self._stub = Stub(reactor, self.host.upstream_dns, networks)  # our own servers for names
        self._machine: Reconnect | None = None  # of the control link, if there is a server
        self._looking: Looking | None = None  # the same

    def take_over(self) -> None:
        """
        Undo what an earlier run left behind; a kill switch stays shut meanwhile.

        :raises HostError: another process has the journal.
        """
        strict = self.config.strict
        self.host.recover(strict=strict)
        if strict:
            self.host.shut(kill_switch(self.config))

    def open(self) -> ClientNode:
        config = self.config
        self._pump = pump = Pump(self.reactor, Tunnel(server=False, entropy=os.urandom), since_boot)
        tun, uplink_paths = self._open_tun(), self._make_uplink_paths(pump)
        servers = config.all_servers()
        machine = self._machine = reconnect(self, self.reactor, random.random) if servers else None
        changed = machine.network_changed if machine is not None else lambda: None
        identity = partial(identity_of, config.pki_dir, config.name)
        revoked = Revoked(partial(trusted_cas, config.pki_dir), config.state_dir / REVOKED, self._announced)
        lists = RevocationExchange(revoked, self.reactor, self._look_at_certificates)
        tls = self._tls_with_server(identity, revoked) if servers else None
        mesh = partial(_make_mesh, config, pump, identity, self.reactor, lists) if config.mesh.relays else None
        certificates, streaming = self._certificates(lists, tls), self._make_streaming(tls, uplink_paths)
        masks = masks_of(pump.tunnel.wardrobe, config.pki_dir, sni_of(config.shape_sni, servers)) if servers else None
        make, ports, heed = partial(look_for, masks, identity), self._open_ports(), self.reloading
        parts = Parts(self.host, tun, uplink_paths, certificates, streaming, mesh, changed, heed, make, ports)
        self._node = node = ClientNode(config, pump, replace(parts, policies=self._make_policies(), stub=self._stub))
        if tun is not None:
            self.watch_host(node, tun.name)
        self.every(LOOK_AT_CERTIFICATES_EVERY, node.look_at_certificates)
        if node.mesh is not None:
            node.join_mesh()
        if machine is not None and tls is not None:
            self._prepare_link(node, tls, machine)
            self._keep_looking(node, tls)
        if servers or config.mesh.relays:
            self.every(RENEW_EVERY, node.renew_in_time, now=True)
        scan = UplinkScan(config.uplinks, (*config.exclude, *((tun.name,) if tun is not None else ())))
        self._watch = UplinkWatch(self.reactor, node.uplinks_are, scan)
        self._watch.networks_changed = node.networks_changed
        self._watch.start()
        if node.mesh is not None:
            node.mesh.call_relays(partial(self._dial_relay, node, identity, revoked))
            self.every(LOOK_AT_PATHS_EVERY, node.look_at_peers)
        if machine is not None:
            machine.start()
        else:
            node.state = "among peers"
        self._log.info("morph-client {name} has started, morphnet {version}", name=config.name, version=__version__)
        return node

    def _make_uplink_paths(self, pump: Pump) -> UplinkPaths:
        """With what is known of the networks that we were on."""
        known = Networks(self.config.state_dir / NETWORKS)
        ladders = Ladders(pump.now, self._tell, known, random.random, self.config.shape_retry_s)
        return UplinkPaths(self.reactor, pump, self._tell, ladders=ladders)

    def _make_policies(self) -> Policies:
        """With what is remembered of our uplinks."""
        return Policies(self.config.policies(), UplinkRecords(self.config.state_dir / UPLINKS), self._tell)

    def _open_tun(self) -> Tun | None:
        """None where there shall be no device: then nothing of this machine is changed."""
        if not self.config.tun:
            return None
        self._tun = self._pump.tun = Tun(self.reactor, self.config.tun, self._pump.from_tun)
        self._tun.open()
        return self._tun

    def _open_ports(self) -> Ports | None:
        """Where programs hand in what is carried; before the first session."""
        if not self.config.carry:
            return None
        entries = [entry(each) for each in self.config.carry]
        ports = self._ports = Ports(self.reactor, self._pump, entries, self._server_session)
        ports.open()
        self.every(SWEEP_EVERY, ports.sweep)
        return ports

    def _server_session(self) -> str:
        return self._node.server_session() if self._node is not None else ""

    def _tls_with_server(self, identity: Callable[[], Identity], revoked: Revoked) -> ClientTls:
        self._is_revoked = revoked.is_revoked
        hosts = [split_address(each, CONTROL_PORT)[0] for each in self.config.all_servers()]
        first, *others = [self.config.server_name] if self.config.server_name else hosts
        return ClientTls(identity(), first, revoked.is_revoked, others)

    def _certificates(self, lists: RevocationExchange, tls: ClientTls | None) -> Certificates:
        config = self.config
        of_server = ServerCertificate(
            lists.revoked.is_revoked,
            self._leave_server,
            lambda: self._leave_server("your certificate ends", session=False),
        )
        if not config.all_servers() and not config.mesh.relays:
            return Certificates(lists, of_server)
        cure = f"it renews itself when the server or a relay is reached, or `morphnet invite {config.name}` there"
        renewal = Renewal(config.pki_dir, config.name, self, time.time, cure=cure)
        return Certificates(lists, of_server, renewal, (tls,) if tls is not None else ())

    def _make_streaming(self, tls: ClientTls | None, uplink_paths: UplinkPaths) -> Streaming | None:
        """For where UDP does not pass."""
        if tls is None or not self.config.streams:
            return None

        def sources() -> list[Source]:
            found = self._node.stream_sources() if self._node is not None else []
            return [each for each in found if not uplink_paths.is_cut(each.device)]

        def reach(place: Endpoint) -> Destination:
            return Destination(place.host, place.port, sources, answered=self._answered_by_tcp)

        streaming = Streaming(self.reactor, self._pump, self._tell, tls, sources, reach)
        streaming.passages = lambda: self._passages(self._client.place, sources)
        streaming.web = self._web_server(tls, sources)
        return streaming

    # -- what its parts tell the node: they are made before it -------------------------------------------------------

    def _tell(self, kind: str, text: str) -> None:
        if self._node is not None:
            self._node.tell(kind, "", text)

    def _uplink_sources(self) -> list[Source]:
        return self._node.sources() if self._node is not None else []

    def _answered_by_tcp(self, device: str, proven: bool) -> None:
        """Somebody took a call for a stream. Many a portal answers at 443 alone; with a control link there is none."""
        node = self._node
        if node is not None and (proven or node.link is None):
            node.portals.answered(split_address(self._client.place, CONTROL_PORT)[0], device, proven)

    def _announced(self, cas: Sequence[x509.Certificate]) -> None:
        if self._node is not None:  # what is read at the start was followed when it came
            self._node.announced(cas)

    def _look_at_certificates(self) -> None:
        if self._node is not None:
            self._node.look_at_certificates()

    def _leave_server(self, why: str, *, session: bool = True) -> None:
        if self._node is not None:
            self._node.hang_up_on_server(why, session=session)

    def use(self, identity: Identity) -> None:
        """Show another certificate from the next handshake on."""
        if self._node is not None:
            self._node.use(identity)

    # -- the control link, and the lines to relays -------------------------------------------------------------------

    def _prepare_link(self, node: ClientNode, tls: ClientTls, machine: Reconnect) -> None:
        """The control link, as far as it can be made before it is called."""
        ear = Ear(node, machine)
        call = partial(self._server, node, tls)
        self._client = Servers(self.config.all_servers(), call, ear, self.reactor.seconds, node.spoken_with)

    def _server(self, node: ClientNode, tls: ClientTls, place: str, listener: ControlListener) -> ControlClient:
        to = self._to(*split_address(place, CONTROL_PORT), partial(self._sources, node))
        client = ControlClient(self.reactor, tls, to, listener)
        client.passages = lambda: self._passages(place, node.sources)
        client.web = self._web_server(tls, node.sources)
        return client

    def _to(self, host: str, port: int, sources: Callable[[], list[Source]]) -> Destination:
        """How a host is called."""
        assert self._node is not None  # it is who calls
        answered = partial(self._node.portals.answered, host)
        return Destination(host, port, sources, self._names(self._node), answered=answered)

    def _passages(self, server: str, sources: Callable[[], list[Source]]) -> list[PassageDial]:
        """How that server is called through relays."""
        config = self.config

        def tls(host: str) -> ClientTls:
            return ClientTls(identity_of(config.pki_dir, config.name), host, self._is_revoked)

        return Relays(self.reactor, config, self._to, tls).passages(server, sources) if self._node is not None else []

    def _web_server(self, tls: ClientTls, sources: Callable[[], list[Source]]) -> Callable[[], WebDial | None]:
        """How the server is called through a web server, while that is wanted."""

        def config() -> ClientConfig:
            return self._node.config if self._node is not None else self.config

        return WebServer(self.reactor, config, lambda host, port: self._to(host, port, sources), tls).dial

    def _keep_looking(self, node: ClientNode, tls: ClientTls) -> None:
        """What there is to see to, now and then, where there is a server."""
        self.every(SEEK_EVERY, node.uplink_paths.seek)
        self.every(CLIMB_EVERY, node.uplink_paths.climb)
        self.every(COUNT_EVERY, node.count_carried)
        self.every(KEEP_EVERY, node.policies.records.save)
        self.every(LOOK_AT_PATHS_EVERY, node.look_at_paths)
        self._looking = self._make_looking(node, tls)
        self.every(LOOK_EVERY, self._looking.look)
        if node.streaming is not None:
            self.every(STREAM_EVERY, node.streaming.look)

    def _make_looking(self, node: ClientNode, tls: ClientTls) -> Looking:
        """Who answers by uplinks that carry nothing, in the place of the server that the session is with."""
        visit = proving(tls, cast(IProtocolFactory, Factory.forProtocol(Visitor)), self.reactor, LOOK_EVERY)

        def call(device: str) -> Deferred[IProtocol]:
            host, port = split_address(self._client.place, CONTROL_PORT)
            answered = partial(node.portals.answered, host)
            sources = partial(_on, device, node.sources)
            to = Destination(host, port, sources, self._names(node, sources), answered=answered)
            return Dial(self.reactor, to).connect(visit, proof_of)

        return Looking(call, lambda: node.portals.unclear(node.idle_uplinks()))

    def _dial_relay(
        self,
        node: ClientNode,
        identity: Callable[[], Identity],
        revoked: Revoked,
        place: str,
        number: int,
        listener: Listener,
    ) -> RelayClient:
        from morphnet.roles.signalling.relay_client import RelayClient  # brings Autobahn

        host, port = split_address(place, RELAY_PORT)
        tls = ClientTls(identity(), host, revoked.is_revoked)
        relay = RelayClient(self.reactor, tls, self._to(host, port, node.sources), number, listener)
        relay.pq = self.config.mesh.relay_pq
        return relay

    def _names(self, node: ClientNode, sources: Callable[[], list[Source]] | None = None) -> UplinkNames:
        """:param sources: where to ask from; None is everywhere."""
        return UplinkNames(self.reactor, self.host.upstream_dns, sources or node.sources, self.reactor.nameResolver)

    # -- what the machine of the control link asks for --------------------------------------------------------------

    def dial(self) -> None:
        """Call the server."""
        self._turn += 1
        self._client.connect()

    def _sources(self, node: ClientNode) -> list[Source]:
        """Where to call from, each time beginning with another: one may connect and carry nothing more."""
        sources = node.sources()
        first = (self._turn - 1) % max(1, len(sources))
        return sources[first:] + sources[:first]

    def hang_up(self) -> None:
        """Give up the call, or end the link."""
        self._client.close()

    def entered(self, state: str) -> None:
        """How it stands, in one phrase."""
        if self._node is not None:
            self._node.state = state

    def take_leave(self) -> None:
        self._pump.take_leave()

    async def close(self) -> None:
        if self._machine is not None:
            self._machine.stop()
        assert self._node is not None  # only what was opened is closed
        left = self._node.leave_mesh()
        self._watch.stop()
        await self._stub.close()
        if self._looking is not None:
            self._looking.close()
        self._node.uplink_paths.close()
        self._node.count_carried()
        self._node.policies.records.save()
        if self._node.streaming is not None:
            self._node.streaming.close()
        self._pump.stop()
        if self._ports is not None:
            self._ports.close()
        if self._tun is not None:
            self._tun.close()
        await left
