"""A client: what it opens, and how that is joined."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from morphnet.config.roles import CONTROL_PORT, RELAY_PORT, ClientConfig
from morphnet.host.uplinks import UplinkScan, UplinkWatch
from morphnet.net.dial import Destination
from morphnet.net.lookup import UplinkResolver
from morphnet.net.ondevice import Source
from morphnet.net.pump import Pump, since_boot
from morphnet.net.tls import ClientTls, Identity
from morphnet.net.tun import Tun
from morphnet.pki.files import trusted_cas
from morphnet.pki.names import split_address
from morphnet.rendezvous.reconnect import Reconnect, reconnect
from morphnet.roles.certificates.renewal import LOOK_EVERY, Renewal, identity_of
from morphnet.roles.certificates.revocation_exchange import RevocationExchange
from morphnet.roles.certificates.revocation_file import FILE, Revoked
from morphnet.roles.certificates.server_certificate import ServerCertificate
from morphnet.roles.client.node import ClientNode
from morphnet.roles.client.uplink_paths import UplinkPaths
from morphnet.roles.peers.mesh import Mesh
from morphnet.roles.process.process import HostProcess
from morphnet.roles.signalling.control_client import ControlClient, Link, Pushed
from morphnet.roles.signalling.relay_client import Listener, RelayClient
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.messages.control import Hello, Welcome

LOOK_AT_CERTIFICATES_EVERY = 2.0  # seconds between looks whose has expired

SEEK_EVERY = 1.0  # seconds


class _Ear:
    """Hears the control link, for the node and for the machine of the link."""

    def __init__(self, node: ClientNode, machine: Reconnect) -> None:
        self.node, self._machine = node, machine

    def hello(self) -> Hello:
        return self.node.hello()

    def welcomed(self, welcome: Welcome, link: Link) -> None:
        self.node.welcomed(welcome, link)
        self._machine.opened()

    def refused(self, reason: str, retry_after: float | None) -> None:
        self.node.notices.refused(f"the server refuses us: {reason}")
        self._machine.refused(reason, retry_after)

    def failed(self, reason: str) -> None:
        self._machine.failed(reason)

    def signal(self, signal: Pushed) -> None:
        self.node.signal(signal)

    def lost(self, reason: str) -> None:
        self.node.link_lost(reason)
        self._machine.lost(reason)


class ClientProcess(HostProcess):
    """A machine with uplinks: doors first, then the control link, for ever."""

    def __init__(self, config: ClientConfig, reactor: Any) -> None:
        super().__init__(config, reactor)
        self.config = config
        self._turn = 0
        self._machine: Reconnect | None = None  # of the control link, if there is a server

    def open(self) -> ClientNode:
        config = self.config
        self._pump = pump = Pump(self.reactor, Tunnel(server=False, entropy=os.urandom), since_boot)
        self._tun = pump.tun = tun = Tun(self.reactor, config.tun, pump.from_tun)
        tun.open()
        uplink_paths = UplinkPaths(self.reactor, pump, lambda kind, text: self._node.tell(kind, "", text))
        machine = self._machine = reconnect(self, self.reactor, random.random) if config.server else None
        changed = machine.network_changed if machine is not None else lambda: None
        self._node = node = ClientNode(config, pump, self.host, tun, uplink_paths, changed)
        self.watch_host(node, tun.name)
        identity = partial(identity_of, config.pki_dir, config.name)
        revoked = Revoked(partial(trusted_cas, config.pki_dir), config.state_dir / FILE, node.announced)
        node.lists = lists = RevocationExchange(revoked, self.reactor, node.look_at_certificates)
        node.server_certificate = ServerCertificate(
            revoked.is_revoked,
            node.hang_up_on_server,
            lambda: node.hang_up_on_server("your certificate ends", session=False),
        )
        self.every(LOOK_AT_CERTIFICATES_EVERY, node.look_at_certificates)
        if config.mesh.relays:
            node.join_mesh(Mesh(config, pump, identity, self.reactor, lists, node))
        if machine is not None:
            self._prepare_link(node, revoked, machine)
            self.every(SEEK_EVERY, uplink_paths.seek)
        if config.server or config.mesh.relays:
            cure = f"it renews itself when the server or a relay is reached, or `morphnet invite {config.name}` there"
            node.renewal = Renewal(config.pki_dir, config.name, node, time.time, cure=cure)
            self.every(LOOK_EVERY, node.renew_in_time, now=True)
        scan = UplinkScan(config.uplinks, (*config.exclude, tun.name))
        self._watch = UplinkWatch(self.reactor, node.uplinks_are, scan)
        self._watch.networks_changed = node.networks_changed
        self._watch.start()
        if node.mesh is not None:
            node.mesh.call_relays(partial(self._dial_relay, node, identity, revoked))
        if machine is not None:
            machine.start()
        else:
            node.state = "among peers"
        return node

    def _prepare_link(self, node: ClientNode, revoked: Revoked, machine: Reconnect) -> None:
        """The control link, as far as it can be made before it is called."""
        config = self.config
        host, port = split_address(config.server, CONTROL_PORT)
        identity = identity_of(config.pki_dir, config.name)
        self._tls = ClientTls(identity, config.server_name or host, revoked.is_revoked)
        node.shows.append(self._tls)
        to = Destination(host, port, self._sources, self._resolver(node))
        self._client = ControlClient(self.reactor, self._tls, to, _Ear(node, machine))

    def _dial_relay(
        self,
        node: ClientNode,
        identity: Callable[[], Identity],
        revoked: Revoked,
        place: str,
        number: int,
        listener: Listener,
    ) -> RelayClient:
        host, port = split_address(place, RELAY_PORT)
        destination = Destination(host, port, node.sources, self._resolver(node))
        relay = RelayClient(
            self.reactor, ClientTls(identity(), host, revoked.is_revoked), destination, number, listener
        )
        relay.pq = self.config.mesh.relay_pq
        return relay

    def _resolver(self, node: ClientNode) -> UplinkResolver:
        return UplinkResolver(self.reactor, self.host.upstream_dns, node.sources, self.reactor.nameResolver)

    # -- what the machine of the control link asks for --------------------------------------------------------------

    def dial(self) -> None:
        """Call the server."""
        self._client.connect()

    def _sources(self) -> list[Source]:
        """Where to call from, each time beginning with another: one may connect and carry nothing more."""
        sources = self._node.sources()
        first = self._turn % max(1, len(sources))
        self._turn += 1
        return sources[first:] + sources[:first]

    def hang_up(self) -> None:
        """Give up the call, or end the link."""
        self._client.close()

    def told(self, state: str) -> None:
        """How it stands, in one phrase."""
        self._node.state = state

    def take_leave(self) -> None:
        self._pump.take_leave()

    async def close(self) -> None:
        if self._machine is not None:
            self._machine.stop()
        left = self._node.leave_mesh()
        self._watch.stop()
        self._node.uplink_paths.close()
        self._pump.stop()
        self._tun.close()
        await left
