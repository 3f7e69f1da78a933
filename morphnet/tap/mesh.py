"""The other machines of the network: the relays where they are met, and each of them."""

from __future__ import annotations

import ipaddress
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from twisted.internet.interfaces import IReactorTime

from morphnet.config import RELAY_PORT, MeshConfig, Tuning
from morphnet.net.dial import Destination
from morphnet.net.pump import Pump
from morphnet.net.relay_client import RelayClient
from morphnet.net.tls import ClientTls, Identity
from morphnet.net.uplinks import Uplink
from morphnet.pki.authority import describe
from morphnet.pki.names import split_address
from morphnet.rendezvous.reconnect import Reconnect, reconnect
from morphnet.status import PeerStatus, RelayStatus
from morphnet.tap.node import shown_address
from morphnet.tap.peer import Peer
from morphnet.tap.peer_doors import PeerDoors
from morphnet.tap.revoked import Revoked
from morphnet.tap.streams import Streams
from morphnet.tunnel.carrier import DIRECT, RELAYED, Carrier
from morphnet.tunnel.echoing import Echoer
from morphnet.tunnel.events import Effects, Event, Mapped, Overrun, PathChanged, Reached, WayFound
from morphnet.tunnel.session import Session
from morphnet.wire.batch import Arrival, Endpoint
from morphnet.wire.places import LINE, OBSERVED, Place, read_places
from morphnet.wire.relaying import EVERYBODY, MOST_WATCHED, Drain, Present, Register, Registered, Revocations

FIRST_RELAY_DOOR = 1 << 18
MOST_PEERS = 256
PROVE_WITHIN = 2.0  # seconds that a relay has to show life when our network has changed


class _Caller:
    """Does what the life story of the line to one relay decides."""

    def __init__(self, relay: RelayClient) -> None:
        self.relay, self.state = relay, "not called yet"

    def dial(self) -> None:
        """Call it."""
        self.relay.connect()

    def hang_up(self) -> None:
        """Give up, or end."""
        self.relay.close()

    def told(self, state: str) -> None:
        """How it stands."""
        self.state = state


class Mesh:
    """
    :param identity: our certificate as it is now.
    :param state_dir: where what is revoked is kept.
    """

    def __init__(
        self,
        config: MeshConfig,
        tuning: Tuning,
        pump: Pump,
        identity: Callable[[], Identity],
        reactor: Any,
        state_dir: Path,
    ) -> None:
        self.config, self.tuning, self.pump, self.identity = config, tuning, pump, identity
        self.clock: IReactorTime = reactor
        self.wall, self.entropy = time.time, os.urandom
        ours = describe(x509.load_pem_x509_certificate(identity().certificate))
        self.name, self.addresses = ours.name, ours.addresses  # as peers know us, and ours inside
        self.instance = self.entropy(8).hex()
        self.peers: dict[str, Peer] = {}
        self.counts: Counter[str] = Counter()
        self.tell: Callable[[str, str, str], None] = lambda kind, session, text: None  # one line of history
        self.revocations = Revoked(identity, state_dir)
        self.named: Callable[[dict[str, tuple[str, ...]]], None] = lambda names: None  # told of the peers' addresses
        self.doors = PeerDoors(reactor, pump, config.port, self._doors_changed)
        self.streams = Streams(self, reactor)
        self._reactor = reactor
        self._relays: dict[RelayClient, tuple[Reconnect, _Caller]] = {}
        self._echoers: dict[RelayClient, Echoer] = {}
        self._draining: set[RelayClient] = set()

    def start(self, tls: Callable[[str], ClientTls], sources: Callable[[], Sequence[str]]) -> None:
        """
        Call every relay.

        :param tls: our end of TLS with a server of that name.
        :param sources: our addresses to call from.
        """
        for turn, place in enumerate(self.config.relays):
            host, port = split_address(place, RELAY_PORT)
            destination = Destination(host, port, sources)
            relay = RelayClient(self._reactor, tls(host), destination, FIRST_RELAY_DOOR + turn, self)
            caller = _Caller(relay)
            story = reconnect(caller, self.clock, random.random)
            self._relays[relay] = story, caller
            self.pump.doors[relay.number] = relay
            story.start()
        self._rank_relays()

    def stop(self) -> None:
        """Leave everybody."""
        for peer in self.peers.values():
            peer.stop()
        for story, _ in self._relays.values():
            story.stop()
        self.doors.close()
        self.streams.stop()

    # -- for the peers -------------------------------------------------------------------------------------------------

    def relays_with(self, name: str) -> list[RelayClient]:
        """The relays where a peer is, the nearest first; those that are going away last."""
        return [relay for relay in self._by_nearness() if relay.answer is not None and name in relay.peers]

    def _by_nearness(self) -> list[RelayClient]:
        """The relays, those that go away last."""

        def distance(relay: RelayClient) -> tuple[bool, float, int]:
            echoer = self._echoers.get(relay)
            rtt = echoer.rtt() if echoer is not None else None
            return relay in self._draining, rtt if rtt is not None else float("inf"), relay.number

        return sorted(self._relays, key=distance)

    def _rank_relays(self) -> None:
        """Traffic that needs a relay goes through the nearest one."""
        tunnel = self.pump.tunnel
        for turn, relay in enumerate(self._by_nearness()):
            tunnel.carriers[relay.number] = Carrier(RELAYED + turn, f"relay {relay.host}")
        for session in tunnel.sessions.values():
            for path in session.paths.values():
                if path.door in tunnel.carriers:
                    path.rank = tunnel.carriers[path.door].rank

    def places(self) -> list[Place]:
        """Where we may be reached directly, as far as we know."""
        found = dict.fromkeys([*self.doors.places(), *self.streams.places()])
        for echoer in self._echoers.values():
            for socket in echoer.sockets.values():
                found.update((Place(OBSERVED, seen.host, seen.port), None) for seen in socket.seen.values())
        return list(found)

    def lines(self) -> list[tuple[str, Place]]:
        """Our address on the line to each relay, and the one that the relay sees."""
        up = [(relay.local, relay.answer.observed) for relay in self._relays if relay.answer is not None]
        return [(local, place) for local, seen in up for place in read_places(seen) if place.kind == LINE]

    def local_of(self, number: int) -> tuple[str, int] | None:
        """Our address and port at a door to peers."""
        stream = self.streams.of_door(number)
        return (stream.local.host, stream.local.port) if stream is not None else self.doors.local_of(number)

    def hurry_echoes(self) -> None:
        """What NATs make of our addresses matters now."""
        for echoer in self._echoers.values():
            echoer.hurry(self.pump.now())

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

    def is_revoked(self, serial: str) -> bool:
        """Asked at every handshake."""
        return serial in self.revocations.serials

    def carry_out(self, session: Session, effects: Effects) -> None:
        """What a change from outside asked for."""
        self.pump.tunnel.poke(session, self.pump.now())
        self.pump.carry_out(effects)

    def names_changed(self) -> None:
        """Peers have come or gone: tell who keeps their names."""
        self.named({peer.name: peer.inner for peer in self.peers.values() if peer.session is not None})

    def inner_interfaces(self) -> list[str]:
        """Our inner addresses with the length of the network that peers are in, as "10.73.0.2/24"."""
        networks = [ipaddress.ip_network(each) for each in self.config.networks]
        return [
            f"{address}/{network.prefixlen}"
            for address in self.addresses
            for network in networks
            if ipaddress.ip_address(address) in network
        ]

    # -- our own network -----------------------------------------------------------------------------------------------

    def uplinks_are(self, uplinks: Sequence[Uplink]) -> None:
        """The machine has these uplinks now."""
        self.doors.uplinks_are(uplinks)
        here = {address for uplink in uplinks if uplink.up for address in (*uplink.addresses4, *uplink.addresses6)}
        for relay, (story, _) in self._relays.items():
            if relay.local and relay.local not in here:
                relay.prove(PROVE_WITHIN)
            story.network_changed()

    def _doors_changed(self) -> None:
        self.streams.hosts_are(self.doors.hosts)
        for echoer in self._echoers.values():
            echoer.use(self.doors.families, self.pump.now())
        self.pump.carry_out(Effects())
        for peer in list(self.peers.values()):
            peer.doors_changed()

    # -- what relays tell ----------------------------------------------------------------------------------------------

    def register(self) -> Register:
        """Who we are."""
        names = self.config.peers
        watch = (EVERYBODY,) if EVERYBODY in names else names[:MOST_WATCHED]
        return Register(self.name, self.instance, watch)

    def registered(self, relay: RelayClient, answer: Registered) -> None:
        """A line is up."""
        self._draining.discard(relay)
        self._rank_relays()
        self._relays[relay][0].opened()
        self.tell("relay-up", "", f"relay {relay.host} is reached")
        if self.revocations.pem:
            relay.tell(Revocations(self.revocations.pem))
        if answer.echo_port:
            ports = tuple(port for port in (answer.echo_port, answer.second_port) if port)
            ids = bytes.fromhex(answer.echo_id), bytes.fromhex(answer.echo_key)
            echoer = self._echoers[relay] = Echoer(relay.address, ports, *ids, self.entropy)
            self.pump.tunnel.askers[echoer.id] = echoer
            echoer.use(self.doors.families, self.pump.now())
            self.pump.carry_out(Effects())

    def refused(self, relay: RelayClient, reason: str, retry_after: float | None) -> None:
        """The relay said no."""
        self.tell("relay-refused", "", f"relay {relay.host} refuses us: {reason}")
        self._relays[relay][0].refused(reason, retry_after)

    def failed(self, relay: RelayClient, reason: str) -> None:
        """Nobody there."""
        self._relays[relay][0].failed(reason)

    def lost(self, relay: RelayClient, reason: str) -> None:
        """A line is not up any more."""
        echoer = self._echoers.pop(relay, None)
        if echoer is not None:
            self.pump.tunnel.askers.pop(echoer.id, None)
        self.tell("relay-lost", "", f"relay {relay.host} is lost: {reason}")
        self._relays[relay][0].lost(reason)

    def present(self, relay: RelayClient, peer: Present) -> None:
        """A peer is there."""
        if peer.name == self.name:
            return
        known = self.peers.get(peer.name)
        if known is None:
            if len(self.peers) >= MOST_PEERS:
                self.counts["too_many_peers"] += 1
                return
            known = self.peers[peer.name] = Peer(self, peer.name)
        known.present(relay, peer)

    def absent(self, relay: RelayClient, name: str) -> None:
        """It is gone."""
        if name in self.peers:
            self.peers[name].absent(relay)

    def said(self, relay: RelayClient, message: Drain | Revocations) -> None:
        """The relay goes away, or somebody's certificate was revoked."""
        if isinstance(message, Drain):
            self._draining.add(relay)
            self._rank_relays()
            self.tell("relay-drain", "", f"relay {relay.host} goes away in {message.seconds:.0f} s: {message.reason}")
            for peer in self.peers.values():
                peer.keep_relay_paths()
        elif self.revocations.learn(message.crl):
            for other in self._relays:
                if other is not relay:
                    other.tell(message)
            for peer in list(self.peers.values()):
                if peer.session is not None and self.is_revoked(peer.serial):
                    peer.forget("its certificate was revoked")

    def handshake(self, relay: RelayClient, name: str, content: bytes) -> None:
        """Bytes of a peer's handshake."""
        if name in self.peers:
            self.peers[name].meeting.received(relay, content)

    def called(self, relay: RelayClient, name: str) -> None:
        """A peer asks us to begin."""
        if name in self.peers:
            self.peers[name].meeting.called()

    def arrived(self, arrivals: Sequence[Arrival]) -> None:
        """Datagrams through a relay."""
        self.pump.from_door(arrivals)

    # -- what the data plane tells -------------------------------------------------------------------------------------

    def told(self, event: Event) -> None:
        """An event, of whatever session."""
        if isinstance(event, Mapped):
            self._rank_relays()
            for each in list(self.peers.values()):
                each.story.addresses_changed("our")
        elif (peer := self.peers.get(event.session)) is not None:
            match event:
                case PathChanged():
                    peer.path_changed(event)
                case WayFound():
                    peer.way_found(event)
                case Reached():
                    peer.reached(event)
                case Overrun():
                    peer.forget(f"closed: {event.forged} forged packets")

    # -- what ops sees -------------------------------------------------------------------------------------------------

    def relay_statuses(self) -> tuple[RelayStatus, ...]:
        """Every relay, now."""
        return tuple(
            RelayStatus(
                name=relay.host,
                address=shown_address(Endpoint(relay.address, relay.port)) if relay.address else "",
                state=caller.state,
                group=relay.group,
                peers=len(relay.peers),
                sent_bytes=relay.sent_bytes,
                received_bytes=relay.received_bytes,
            )
            for relay, (_, caller) in self._relays.items()
        )

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
            since=peer.since,
            inner=peer.inner,
            way="none" if used is None else "direct" if rank < RELAYED else "relay",
            local=shown_address(Endpoint(*local)) if local else "",
            remote=str(stream or (shown_address(used.remote) if rank == DIRECT else used.uplink)) if used else "",
            rtt=used.rtt.smoothed if used is not None else None,
            group=peer.group,
            words=peer.words,
            decisions=tuple(peer.decisions),
        )
