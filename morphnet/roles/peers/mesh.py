"""The other machines of the network: the relays where they are met, and each of them."""

from __future__ import annotations

import ipaddress
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cryptography import x509
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from morphnet.config.roles import MeshConfig, Tuning
from morphnet.host.uplinks import Uplink
from morphnet.net.limits import TokenBucket
from morphnet.net.pump import Pump
from morphnet.net.relay_client import RelayClient
from morphnet.net.tls import Identity
from morphnet.net.tls import Peer as Certificate
from morphnet.pki.authority import describe
from morphnet.roles.certificates.spreading import Spreading
from morphnet.roles.peers.guess_sockets import GuessSockets
from morphnet.roles.peers.peer import Peer
from morphnet.roles.peers.portmaps import PortMaps
from morphnet.roles.peers.relays import Relays
from morphnet.roles.peers.rotation import Rotation
from morphnet.roles.peers.sockets import PeerSockets
from morphnet.roles.peers.streams import Streams
from morphnet.roles.process.node import shown_address
from morphnet.status import PeerStatus
from morphnet.text import is_machine
from morphnet.traversal.courtesy import Courtesy
from morphnet.tunnel.carrier import DIRECT, RELAYED
from morphnet.tunnel.events import Effects, Event, Forgotten, Mapped, Overrun, PathChanged, Reached, WayFound
from morphnet.tunnel.path import Path as TunnelPath
from morphnet.tunnel.path import State
from morphnet.tunnel.session import Session
from morphnet.wire.batch import Endpoint
from morphnet.wire.places import Place
from morphnet.wire.relaying import EVERYBODY, Present

NEWS, NEWS_AT_ONCE = 0.2, 10  # times a second that we search anew since a relay sees us elsewhere
MEETINGS, MEETINGS_AT_ONCE = 10.0, 300  # handshakes a second through one relay: most have one at the start
PROVE_WITHIN = 2.0  # seconds that a relay has to show life when our network has changed


class Mesh:
    """
    :param identity: our certificate as it is now.
    :param lists: knows what is revoked.
    """

    def __init__(
        self,
        config: MeshConfig,
        tuning: Tuning,
        pump: Pump,
        identity: Callable[[], Identity],
        reactor: Any,
        lists: Spreading,
    ) -> None:
        self.config, self.tuning, self.pump, self.identity = config, tuning, pump, identity
        self.clock: IReactorTime = reactor
        self.wall, self.entropy = time.time, os.urandom
        ours = describe(x509.load_pem_x509_certificate(identity().certificate))
        self.name, self.addresses = ours.name, ours.addresses  # as peers know us, and ours inside
        self.instance = self.entropy(8).hex()
        self.peers: dict[str, Peer] = {}
        self.counts: Counter[str] = Counter()
        self.courtesy = Courtesy()
        self._budgets: dict[str, TokenBucket] = {}  # by relay
        self._news: dict[str, TokenBucket] = {}  # by relay
        self.tell: Callable[[str, str, str], None] = lambda kind, session, text: None  # one line of history
        self.noticed: Callable[[str], None] = lambda text: None  # for the operator
        self.reached: Callable[[], None] = lambda: None  # a relay: it may renew our certificate
        self.renewed: Callable[[str], None] = lambda certificate: None  # it has
        self.lists = lists
        self.named: list[Callable[[dict[str, tuple[str, ...]]], None]] = []  # told of the peers' inner addresses
        self.doors = PeerSockets(reactor, pump, config.port, self._doors_changed)
        self.streams = Streams(self, reactor)
        self.fan = GuessSockets(reactor, pump, self._doors_of_paths)
        self.mapped = PortMaps(reactor, self.doors, identity().key, self._mapping_changed)
        self.relays = Relays(self, reactor)
        self.rotation = Rotation(reactor, self.doors, self._may_be_replaced, self._doors_at_work, self._rotates)

    def stop(self) -> Deferred[None]:
        """Leave everybody; fires when routers have their ports back, or 3 seconds later."""
        for peer in self.peers.values():
            peer.stop()
        self.relays.stop()
        self.rotation.stop()
        self.doors.close()
        self.streams.stop()
        self.fan.close()
        return self.mapped.close()

    # -- for the peers -------------------------------------------------------------------------------------------------

    def places(self) -> list[Place]:
        """Where we may be reached directly, as far as we know."""
        ours = [*self.doors.places(), *self.mapped.places(), *self.streams.places()]
        return list(dict.fromkeys([*ours, *self.relays.seen_places()]))

    def has_door(self, number: int) -> bool:
        """Whether it is one of our sockets for direct ways, and open."""
        return self.doors.has(number) or self.fan.has(number)

    def local_of(self, number: int) -> tuple[str, int] | None:
        """Our address and port at a door to peers."""
        stream = self.streams.of_door(number)
        if stream is not None:
            return stream.local.host, stream.local.port
        return self.doors.local_of(number) or self.fan.local_of(number)

    def _doors_of_paths(self) -> set[int]:
        return {path.door for path in self._paths() if path.state is not State.CLOSED}

    def _doors_at_work(self) -> set[int]:
        return {path.door for path in self._paths() if path.usable}

    def _paths(self) -> list[TunnelPath]:
        sessions = self.pump.tunnel.sessions.values()
        return [path for session in sessions for path in session.paths.values()]

    def _may_be_replaced(self, number: int) -> bool:
        """Not where a router leads a port to the socket, nor where it gives each destination another port."""
        return not self.mapped.places() and not self.relays.varies(number)

    def _rotates(self, text: str) -> None:
        self.tell("mapping-life", "", text)

    @staticmethod
    def endpoint(name: str) -> Endpoint:
        """A peer as relays' doors know it."""
        return Endpoint(name, 0)

    def foreign(self, addresses: Iterable[str]) -> list[str]:
        """Those of a peer's inner addresses that are not ours, and in the networks that peers are in."""
        networks = [ipaddress.ip_network(each) for each in self.config.networks]
        return [
            each
            for each in addresses
            if each not in self.addresses and any(ipaddress.ip_address(each) in network for network in networks)
        ]

    def is_revoked(self, peer: Certificate) -> bool:
        """Asked at every handshake."""
        return self.lists.revoked.is_revoked(peer)

    def carry_out(self, session: Session, effects: Effects) -> None:
        """What a change from outside asked for."""
        self.pump.tunnel.poke(session, self.pump.now())
        self.pump.carry_out(effects)

    def names_changed(self) -> None:
        """Peers have come or gone: tell who keeps their names."""
        met = [peer for peer in self.peers.values() if peer.session is not None]
        names = {peer.name: tuple(self.foreign(peer.inner)) for peer in met}
        for told in self.named:
            told(names)

    def inside(self) -> tuple[list[str], list[str]]:
        """Our inner addresses, and the networks of peers that each of them is in."""
        networks = [ipaddress.ip_network(each) for each in self.config.networks]
        found = [(each, net) for each in self.addresses for net in networks if ipaddress.ip_address(each) in net]
        return [address for address, _ in found], [str(network) for _, network in found]

    # -- our own network -----------------------------------------------------------------------------------------------

    def uplinks_are(self, uplinks: Sequence[Uplink]) -> None:
        """The machine has these uplinks now."""
        self.doors.uplinks_are(uplinks)
        self.fan.uplinks_are(uplinks)
        if self.config.port_mapping:
            self.mapped.uplinks_are(uplinks)
        self.relays.uplinks_are(uplinks)

    def _doors_changed(self) -> None:
        self.streams.sources_are(self.doors.sources)
        self.relays.use_doors()
        self.rotation.sockets_are()
        for peer in list(self.peers.values()):
            peer.doors_changed()

    def _mapping_changed(self, text: str) -> None:
        self.tell("port-mapping", "", text)
        self._addresses_changed()

    def _addresses_changed(self) -> None:
        for peer in list(self.peers.values()):
            peer.story.addresses_changed("our")

    # -- what relays tell ----------------------------------------------------------------------------------------------

    def present(self, relay: RelayClient, peer: Present) -> None:
        """A peer is there."""
        if peer.name == self.name:
            return
        if not is_machine(peer.name):  # nobody could show a certificate for it
            self.counts["misnamed_peer"] += 1
            return
        if EVERYBODY not in self.config.peers and peer.name not in self.config.peers:
            self.counts["unwanted_peers"] += 1  # the relay was told whom we want: it is not to be trusted
            return
        known = self.peers.get(peer.name)
        if known is None:
            known = self.peers[peer.name] = Peer(self, peer.name)
        known.present(relay, peer)

    def absent(self, relay: RelayClient, name: str) -> None:
        """It is gone."""
        peer = self.peers.get(name)
        if peer is None:
            return
        peer.absent(relay)
        if not peer.is_proven and not self.relays.having(name):  # nothing but a name
            peer.stop()
            del self.peers[name]

    def may_meet(self, relay: RelayClient) -> bool:
        """Whether one more handshake may begin through that relay, with whomever: each costs us more than the relay."""
        if self._has(self._budgets, relay.host, MEETINGS, MEETINGS_AT_ONCE):
            return True
        self.counts["too_many_meetings"] += 1
        return False

    def _has(self, budgets: dict[str, TokenBucket], relay: str, rate: float, burst: int) -> bool:
        """Whether that relay has something left of its budget, of which it takes one."""
        now = self.clock.seconds()
        budget = budgets.get(relay)
        if budget is None:
            budget = budgets[relay] = TokenBucket(rate, burst, now=now)
        return budget.take(now=now)

    def relays_changed(self) -> None:
        """Another relay than before is the one to take."""
        for peer in self.peers.values():
            peer.keep_relay_paths()

    def look_at_certificates(self) -> None:
        """Leave those whose certificate is revoked or has expired by now, peers and relays."""
        now = self.wall()
        for peer in list(self.peers.values()):
            shown = peer.certificate
            if peer.session is not None and shown is not None:
                if self.is_revoked(shown):
                    peer.forget("its certificate was revoked")
                elif shown.not_after <= now:
                    peer.forget("its certificate has expired")
        self.relays.look_at_certificates(now)

    def handshake(self, relay: RelayClient, name: str, content: bytes) -> None:
        """Bytes of a peer's handshake."""
        if name in self.peers:
            self.peers[name].handshake.received(relay, content)

    def called(self, relay: RelayClient, name: str) -> None:
        """A peer asks us to begin."""
        if name in self.peers:
            self.peers[name].handshake.called(relay)

    # -- what the data plane tells -------------------------------------------------------------------------------------

    def told(self, event: Event) -> None:
        """An event, of whatever session."""
        if isinstance(event, Mapped):
            self.rotation.seen_as(event.door, event.seen)
            self.relays.rank()
            if self._has(
                self._news, event.relay, NEWS, NEWS_AT_ONCE
            ):  # one that sees us elsewhere all the time may lie
                self._addresses_changed()
        elif (peer := self.peers.get(event.session)) is not None:
            match event:
                case PathChanged():
                    peer.path_changed(event)
                case WayFound():
                    peer.way_found(event)
                case Reached():
                    peer.reached(event)
                case Forgotten():
                    peer.forget("its keys are too old")
                case Overrun():
                    peer.forget(f"closed: {event.forged} forged packets")

    # -- what ops sees -------------------------------------------------------------------------------------------------

    def peer_statuses(self) -> tuple[PeerStatus, ...]:
        """Every peer, now."""
        return tuple(self._peer_status(peer) for _, peer in sorted(self.peers.items()))

    def _peer_status(self, peer: Peer) -> PeerStatus:
        candidates = peer.session.outbound.candidates() if peer.session is not None else []
        used = next(iter(candidates), None)
        rank = used.rank if used is not None else RELAYED
        stream = self.streams.of_door(used.door) if used is not None else None
        local = self.local_of(used.door) if used is not None else None
        return PeerStatus(
            name=peer.name,
            state=peer.state,
            since=self.wall() - (self.pump.now() - peer.since),
            inner=peer.inner,
            way="none" if used is None else "direct" if rank < RELAYED else "relay",
            local=shown_address(Endpoint(*local)) if local else "",
            remote=str(stream or (shown_address(used.remote) if rank == DIRECT else used.uplink)) if used else "",
            rtt=used.rtt.smoothed if used is not None else None,
            group=peer.group,
            words=peer.words,
            decisions=tuple(peer.decisions),
        )
