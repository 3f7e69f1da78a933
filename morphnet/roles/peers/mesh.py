"""The other machines of the network: everything that has to do with them, built and joined."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from cryptography import x509
from twisted.internet.defer import Deferred

from morphnet.config.roles import ClientConfig
from morphnet.host.uplinks import Uplink
from morphnet.net.limits import SourceLimiter
from morphnet.net.pump import Pump
from morphnet.net.tls import Identity
from morphnet.pki.authority import describe
from morphnet.roles.certificates.revocation_exchange import RevocationExchange
from morphnet.roles.peers import relays
from morphnet.roles.peers.doors import Doors
from morphnet.roles.peers.guess_sockets import GuessSockets
from morphnet.roles.peers.netcheck import netcheck
from morphnet.roles.peers.outside import Outside
from morphnet.roles.peers.peer import Peer
from morphnet.roles.peers.pinging import ping
from morphnet.roles.peers.port_guess import PortGuess
from morphnet.roles.peers.portmaps import PortMaps
from morphnet.roles.peers.relays import MOST_RELAYS, Dial, Relays
from morphnet.roles.peers.rotation import Rotation
from morphnet.roles.peers.search import DirectSearch
from morphnet.roles.peers.sessions import Names, Sessions
from morphnet.roles.peers.sockets import PeerSockets
from morphnet.roles.peers.statuses import peer_status
from morphnet.roles.peers.streams import Net, Streams
from morphnet.roles.peers.surroundings import Ourselves, Surroundings
from morphnet.roles.peers.table import PeerTable
from morphnet.roles.process.instance import new_instance
from morphnet.status import NetcheckStatus, PeerStatus, Pong
from morphnet.store.relays import FILE as RELAYS
from morphnet.store.relays import ToldRelays
from morphnet.traversal.courtesy import Courtesy
from morphnet.tunnel.events import Event, Mapped
from morphnet.tunnel.path import Path as TunnelPath
from morphnet.tunnel.path import State
from morphnet.wire.batch import Endpoint
from morphnet.wire.candidates import Candidate

NEWS, NEWS_AT_ONCE = 0.2, 10  # times a second that we search anew since a relay sees us elsewhere


class Owner(relays.Owner, Protocol):
    """The node that has peers."""

    def tell(self, kind: str, session: str, text: str) -> None:
        """One line of history."""
        ...

    def peers_are(self, names: Names) -> None:
        """With these there is a session; their inner addresses."""
        ...


class Written:
    """The node's history, and what is only counted."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self.counts: Counter[str] = Counter()

    def tell(self, kind: str, session: str, text: str) -> None:
        """One line."""
        self._owner.tell(kind, session, text)

    def count(self, what: str) -> None:
        """One more."""
        self.counts[what] += 1


class Mesh:
    """
    :param identity: our certificate as it is now.
    :param lists: knows what is revoked.
    """

    _dial: Dial | None = None  # calls a relay; None before we go anywhere

    def __init__(
        self,
        config: ClientConfig,
        pump: Pump,
        identity: Callable[[], Identity],
        reactor: Any,
        lists: RevocationExchange,
        owner: Owner,
    ) -> None:
        mesh, entropy = config.mesh, os.urandom
        self.config, self.pump, self._owner = mesh, pump, owner
        ours = describe(x509.load_pem_x509_certificate(identity().certificate))
        self.ourselves = Ourselves(
            name=ours.name,
            addresses=ours.addresses,
            networks=mesh.networks,
            wanted=mesh.peers,
            tuning=config.tuning,
            instance=new_instance(config.state_dir, entropy),
            identity=identity,
            is_revoked=lists.revoked.is_revoked,
            candidates=self.candidates,
        )
        self.history = Written(owner)
        self.around = Surroundings(reactor, time.time, entropy, self.ourselves, self.history)
        self.courtesy = Courtesy()
        self._news = SourceLimiter(NEWS, NEWS_AT_ONCE, MOST_RELAYS)  # by relay
        self.sessions = Sessions(pump, entropy, self.courtesy, owner.peers_are)
        self.outside = Outside(pump, entropy)
        self.sockets = PeerSockets(reactor, pump, mesh.port, self._sockets_changed)
        guesses = self._guess_sockets = GuessSockets(reactor, pump, self._doors_of_paths)
        self.doors = Doors(pump, self.sockets, guesses, self.outside)
        self.portmaps = PortMaps(reactor, self.sockets, identity().key, self._mapping_changed)
        net = Net(reactor, mesh.streams, mesh.stream_port)
        self.streams = Streams(self.around, net, pump, self.sessions, self.courtesy, self.outside)
        self.peers = PeerTable(self.around, self._make_peer, lambda name: self.relays.having(name))
        self.relays = Relays(self.around, pump, lists, self.outside, self.peers, owner)
        self._told = ToldRelays(config.state_dir / RELAYS)
        self.rotation = Rotation(reactor, self.sockets, self._may_be_replaced, self._doors_at_work, self._rotates)
        pump.follow(self._heard)

    def _make_peer(self, name: str) -> Peer:
        guess = PortGuess(self.around, name, self.doors, self.courtesy, self.sessions.wake)
        search = DirectSearch(self.around, name, self.sessions, self.doors, guess)
        return Peer(self.around, name, self.sessions, self.relays, search, self.streams)

    def call_relays(self, dial: Dial) -> None:
        """Go where the peers are met; also where the network met last, as a server has said."""
        self._dial = dial
        self.relays.start((*self.config.relays, *self._told.recall()), dial)

    def relays_are(self, told: Sequence[str]) -> None:
        """The network has these relays now: those that the settings do not name are called too."""
        self._told.keep(told)
        if self._dial is not None:
            self.relays.start(told, self._dial)

    def stop(self) -> Deferred[None]:
        """Leave everybody; fires when routers have their ports back, or 2 seconds later."""
        self.peers.stop()
        self.relays.stop()
        self.rotation.stop()
        self.sockets.close()
        self.streams.stop()
        self._guess_sockets.close()
        return self.portmaps.close()

    # -- our own network -----------------------------------------------------------------------------------------------

    def uplinks_are(self, uplinks: Sequence[Uplink]) -> None:
        """The machine has these uplinks now."""
        self.sockets.uplinks_are(uplinks)
        self._guess_sockets.uplinks_are(uplinks)
        if self.config.port_mapping:
            self.portmaps.uplinks_are(uplinks)
        self.relays.uplinks_are(uplinks)

    def _sockets_changed(self) -> None:
        self.streams.sources_are(self.sockets.sources)
        self.outside.sockets_are(self.sockets.families)
        self.rotation.sockets_are()
        self.peers.sockets_changed()

    def _mapping_changed(self, text: str) -> None:
        self._owner.tell("port-mapping", "", text)
        self.peers.addresses_changed()

    def _heard(self, event: Event) -> None:
        """A relay sees one of our sockets elsewhere. One that does all the time may lie."""
        if isinstance(event, Mapped):
            self.rotation.seen_as(event.door, event.seen)
            self.relays.rank()
            if self._news.admit(event.relay, now=self.around.now()):
                self.peers.addresses_changed()

    def _rotates(self, text: str) -> None:
        self._owner.tell("mapping-life", "", text)

    # -- where we are --------------------------------------------------------------------------------------------------

    def candidates(self) -> list[Candidate]:
        """Where we may be reached directly, as far as we know."""
        ours = [*self.sockets.candidates(), *self.portmaps.candidates(), *self.streams.candidates()]
        return list(dict.fromkeys([*ours, *self.outside.candidates()]))

    def local_of(self, number: int) -> tuple[str, int] | None:
        """Our address and port at a door to peers."""
        stream = self.streams.of_door(number)
        return (stream.local.host, stream.local.port) if stream is not None else self.doors.local_of(number)

    def port_at(self, host: str) -> tuple[int, Endpoint, int] | None:
        """Our socket at that address: its door, where it is, and its port as it is called from outside."""
        for door in self.doors.families:
            local = self.doors.local_of(door)
            if local is not None and local[0] == host:
                return door, Endpoint(*local), self.portmaps.outside_of(*local) or local[1]
        return None

    def _may_be_replaced(self, number: int) -> bool:
        """Not where a router leads a port to the socket, nor where it gives each destination another port."""
        return not self.portmaps.candidates() and not self.outside.varies(number)

    def _doors_of_paths(self) -> set[int]:
        return {path.door for path in self._paths() if path.state is not State.CLOSED}

    def _doors_at_work(self) -> set[int]:
        return {path.door for path in self._paths() if path.usable}

    def _paths(self) -> Iterable[TunnelPath]:
        return [path for session in self.pump.tunnel.sessions.values() for path in session.paths.values()]

    # -- what the node wants -------------------------------------------------------------------------------------------

    def look_at_certificates(self) -> None:
        """Leave those whose certificate is revoked or has expired by now, peers and relays."""
        self.peers.look_at_certificates()
        self.relays.look_at_certificates()

    def counters(self) -> Counter[str]:
        """What no door counts: who comes by streams, and what was only counted."""
        return Counter({**self.history.counts, **self.streams.port.counters()})

    def statuses(self) -> tuple[PeerStatus, ...]:
        """Every peer, now."""
        return tuple(peer_status(self.around, peer, self.local_of, self.streams.of_door) for peer in self.peers)

    def ping(self, peer: str, within: float) -> Deferred[Pong]:
        """One question to a peer, see pinging."""
        return ping(self.around, self.peers, self.sessions, peer, within)

    def netcheck(self) -> Deferred[NetcheckStatus]:
        """What stands between us and the others, see netcheck."""
        return netcheck(self.around, self.relays, self.doors, self.sessions)
