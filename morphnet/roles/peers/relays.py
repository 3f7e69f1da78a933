"""The lines of a node to its relays: which are up, which is the nearest, and what each echo tells."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IHostnameResolver

from morphnet.config.roles import RELAY_PORT
from morphnet.host.uplinks import Uplink
from morphnet.net.dial import Destination
from morphnet.net.ondevice import Source
from morphnet.net.relay_client import RelayClient
from morphnet.net.tls import ClientTls
from morphnet.pki.names import split_address
from morphnet.rendezvous.reconnect import Reconnect, reconnect
from morphnet.roles.process.node import shown_address
from morphnet.status import RelayStatus
from morphnet.traversal.echoing import Echoer
from morphnet.tunnel.carrier import RELAYED, Carrier
from morphnet.tunnel.events import Effects
from morphnet.wire.batch import Arrival, Endpoint
from morphnet.wire.places import LINE, OBSERVED, VARYING, Place, read_places
from morphnet.wire.relaying import EVERYBODY, MOST_WATCHED, Drain, Notice, Present, Register, Registered, Renewed
from morphnet.wire.revoking import Listing
from morphnet.wire.signals import Renew

if TYPE_CHECKING:
    from morphnet.roles.peers.mesh import Mesh

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


class Relays:
    """All of them, for one mesh."""

    def __init__(self, mesh: Mesh, reactor: Any) -> None:
        self._mesh, self._reactor = mesh, reactor
        self._lines: dict[RelayClient, tuple[Reconnect, _Caller]] = {}
        self.echoers: dict[RelayClient, Echoer] = {}
        self._draining: set[RelayClient] = set()

    def start(
        self, tls: Callable[[str], ClientTls], sources: Callable[[], Sequence[Source]], resolver: IHostnameResolver
    ) -> None:
        """
        Call every relay.

        :param tls: our end of TLS with a server of that name.
        :param sources: where to call from.
        :param resolver: knows the names of relays.
        """
        for place in self._mesh.config.relays:
            host, port = split_address(place, RELAY_PORT)
            destination = Destination(host, port, sources, resolver)
            relay = RelayClient(self._reactor, tls(host), destination, self._mesh.pump.new_number(), self)
            relay.pq = self._mesh.config.relay_pq
            caller = _Caller(relay)
            story = reconnect(caller, self._mesh.clock, random.random)
            self._lines[relay] = story, caller
            self._mesh.pump.attach(relay)
            story.start()
        self.rank()

    def stop(self) -> None:
        """Hang up."""
        for story, _ in self._lines.values():
            story.stop()

    # -- which one -----------------------------------------------------------------------------------------------------

    def having(self, name: str) -> list[RelayClient]:
        """The relays where a peer is, the nearest first; those that are going away last."""
        return [relay for relay in self._by_nearness() if relay.answer is not None and name in relay.peers]

    def _by_nearness(self) -> list[RelayClient]:
        """The relays, those that go away last."""

        def distance(relay: RelayClient) -> tuple[bool, float, int]:
            echoer = self.echoers.get(relay)
            rtt = echoer.rtt() if echoer is not None else None
            return relay in self._draining, rtt if rtt is not None else float("inf"), relay.number

        return sorted(self._lines, key=distance)

    def rank(self) -> None:
        """Traffic that needs a relay goes through the nearest one."""
        for turn, relay in enumerate(self._by_nearness()):
            self._mesh.pump.describe(relay.number, Carrier(RELAYED + turn, f"relay {relay.host}"))

    def uplinks_are(self, uplinks: Sequence[Uplink]) -> None:
        """The machine has these uplinks now."""
        here = {address for uplink in uplinks if uplink.up for address in (*uplink.addresses4, *uplink.addresses6)}
        for relay, (story, _) in self._lines.items():
            if relay.local and relay.local not in here:
                relay.prove(PROVE_WITHIN)
            story.network_changed()

    # -- what NATs make of us ------------------------------------------------------------------------------------------

    def use_doors(self) -> None:
        """We have other sockets than before."""
        for echoer in self.echoers.values():
            echoer.use(self._mesh.doors.families, self._mesh.pump.now())
        self._mesh.pump.carry_out(Effects())

    def seen_places(self) -> list[Place]:
        """As what the relays see our sockets."""
        found: dict[Place, None] = {}
        for echoer in self.echoers.values():
            for socket in echoer.sockets.values():
                found.update((Place(OBSERVED, seen.host, seen.port), None) for seen in socket.seen.values())
            found.update((Place(VARYING, seen.host, 1), None) for seen in echoer.varying())
        return list(found)

    def lines(self) -> list[tuple[str, Place]]:
        """Our address on the line to each relay, and the one that the relay sees."""
        up = [(relay.local, relay.answer.observed) for relay in self._lines if relay.answer is not None]
        return [(local, place) for local, seen in up for place in read_places(seen) if place.kind == LINE]

    def varying_door(self) -> tuple[str, str] | None:
        """Uplink and address of a socket whose router gives each destination another port; None when there is none."""
        for echoer in self.echoers.values():
            for number in echoer.sockets:
                local = self._mesh.doors.local_of(number)
                if echoer.varies(number) and local is not None:
                    return self._mesh.pump.carrier(number).name, local[0]
        return None

    def varies(self, number: int) -> bool:
        """Whether the router of that socket is known to give each destination another port."""
        return any(echoer.varies(number) for echoer in self.echoers.values())

    def udp_is_blocked(self) -> bool:
        """Whether relays are reached, and none of them ever by UDP, though there was time."""
        now = self._mesh.pump.now()
        return bool(self.echoers) and all(echoer.is_deaf(now) for echoer in self.echoers.values())

    def hurry(self) -> None:
        """What NATs make of our addresses matters now."""
        for echoer in self.echoers.values():
            echoer.hurry(self._mesh.pump.now())

    # -- what relays tell ----------------------------------------------------------------------------------------------

    def register(self) -> Register:
        """Who we are."""
        names = self._mesh.config.peers
        watch = (EVERYBODY,) if EVERYBODY in names else names[:MOST_WATCHED]
        return Register(self._mesh.name, self._mesh.instance, watch, revocations=self._mesh.lists.number, notices=True)

    def registered(self, relay: RelayClient, answer: Registered) -> None:
        """A line is up."""
        self._draining.discard(relay)
        self.rank()
        self._lines[relay][0].opened()
        self._mesh.reached()
        self._mesh.tell("relay-up", "", f"relay {relay.host} is reached")
        self._mesh.lists.joined(relay, answer.revocations)
        if answer.echo_port:
            ports = tuple(port for port in (answer.echo_port, answer.second_port) if port)
            ids = bytes.fromhex(answer.echo_id), bytes.fromhex(answer.echo_key)
            echoer = self.echoers[relay] = Echoer(relay.address, ports, *ids, self._mesh.entropy)
            self._mesh.pump.tunnel.add_asker(echoer.id, echoer)
            echoer.use(self._mesh.doors.families, self._mesh.pump.now())
            self._mesh.pump.carry_out(Effects())

    def refused(self, relay: RelayClient, reason: str, retry_after: float | None) -> None:
        """The relay said no."""
        self._mesh.tell("relay-refused", "", f"relay {relay.host} refuses us: {reason}")
        self._lines[relay][0].refused(reason, retry_after)

    def failed(self, relay: RelayClient, reason: str) -> None:
        """Nobody there."""
        self._lines[relay][0].failed(reason)

    def lost(self, relay: RelayClient, reason: str) -> None:
        """A line is not up any more."""
        echoer = self.echoers.pop(relay, None)
        if echoer is not None:
            self._mesh.pump.tunnel.drop_asker(echoer.id, echoer)
        self._mesh.lists.left(relay)
        self._mesh.tell("relay-lost", "", f"relay {relay.host} is lost: {reason}")
        self._lines[relay][0].lost(reason)

    def present(self, relay: RelayClient, peer: Present) -> None:
        """A peer is there."""
        self._mesh.present(relay, peer)

    def absent(self, relay: RelayClient, name: str) -> None:
        """It is gone."""
        self._mesh.absent(relay, name)

    def said(self, relay: RelayClient, message: Drain | Renewed | Notice | Listing) -> None:
        """The relay goes away, knows what is revoked, has our next certificate, or a word for our operator."""
        if isinstance(message, Drain):
            self._draining.add(relay)
            self.rank()
            text = f"relay {relay.host} goes away in {message.seconds:.0f} s: {message.reason}"
            self._mesh.tell("relay-drain", "", text)
            self._mesh.relays_changed()
        elif isinstance(message, Renewed):
            self._mesh.renewed(message.certificate)
        elif isinstance(message, Notice):
            self._mesh.noticed(f"relay {relay.host} says: {message.reason}")
        else:
            self._mesh.lists.heard(relay, message)

    def look_at_certificates(self, now: float) -> None:
        """
        Hang up on relays whose certificate is revoked or has expired.

        :param now: Unix seconds.
        """
        for relay in self._lines:
            if relay.peer is not None and (relay.peer.not_after <= now or self._mesh.is_revoked(relay.peer)):
                relay.drop("its certificate is not good any more")

    def renewing(self) -> list[Callable[[Renew], None]]:
        """What asks each relay that renews certificates."""
        able = [relay for relay in self._by_nearness() if relay.answer is not None and relay.answer.renews]
        return [relay.renew for relay in able]

    def shows(self) -> list[ClientTls]:
        """What shows our certificate to relays."""
        return [relay.tls for relay in self._lines]

    def handshake(self, relay: RelayClient, name: str, content: bytes) -> None:
        """Bytes of a peer's handshake."""
        self._mesh.handshake(relay, name, content)

    def called(self, relay: RelayClient, name: str) -> None:
        """A peer asks us to begin."""
        self._mesh.called(relay, name)

    def arrived(self, arrivals: Sequence[Arrival]) -> None:
        """Datagrams of peers."""
        self._mesh.pump.from_door(arrivals)

    # -- what ops sees -------------------------------------------------------------------------------------------------

    def standing(self) -> list[tuple[RelayClient, str, Echoer | None]]:
        """To every relay, the nearest first: each with how it stands, and who asks the relay's echo."""
        return [(relay, self._lines[relay][1].state, self.echoers.get(relay)) for relay in self._by_nearness()]

    def statuses(self) -> tuple[RelayStatus, ...]:
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
            for relay, (_, caller) in self._lines.items()
        )
