"""The lines of a node to its relays: which are up, which is the nearest, and what is told on them."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from morphnet.host.uplinks import Uplink
from morphnet.net.limits import SourceLimiter
from morphnet.net.pump import Pump
from morphnet.net.tls import ClientTls
from morphnet.rendezvous.reconnect import Reconnect, reconnect
from morphnet.roles.certificates.revocation_exchange import RevocationExchange
from morphnet.roles.peers.outside import Outside
from morphnet.roles.peers.surroundings import Line, Surroundings
from morphnet.roles.process.statuses import shown_address
from morphnet.roles.signalling.relay_client import Listener, RelayClient
from morphnet.status import RelayStatus
from morphnet.traversal.reflexive import ReflexiveClient
from morphnet.tunnel.carrier import RELAYED, Carrier
from morphnet.wire.batch import Arrival, Endpoint
from morphnet.wire.messages.control import Renew
from morphnet.wire.messages.relay import (
    EVERYBODY,
    MOST_WATCHED,
    Asked,
    Drain,
    Notice,
    Present,
    Register,
    Registered,
    Renewed,
)
from morphnet.wire.messages.revocations import Listing

PROVE_WITHIN = 2.0  # seconds that a relay has to show life when our network has changed
MEETINGS, MEETINGS_AT_ONCE = 10.0, 300  # handshakes a second through one relay: most have one at the start
MOST_CALLED = 32  # relays
MOST_RELAYS = 256  # whose handshakes are counted

Standing = tuple[RelayClient, str, ReflexiveClient | None]  # a line, how it stands, and who asks the relay's echo
Dial = Callable[[str, int, Listener], RelayClient]  # a line: the relay's place, its number among all doors, who hears


class Peers(Protocol):
    """Who wants to know who is at a relay."""

    def present(self, relay: Line, said: Present) -> None:
        """A peer is there."""
        ...

    def absent(self, relay: Line, name: str) -> None:
        """It is gone."""
        ...

    def handshake(self, relay: Line, name: str, content: bytes) -> None:
        """Bytes of a peer's handshake."""
        ...

    def called(self, relay: Line, name: str) -> None:
        """A peer asks us to begin."""
        ...

    def relays_changed(self) -> None:
        """Another relay than before is the one to take."""
        ...


class Owner(Protocol):
    """Whose relays they are."""

    def reached(self) -> None:
        """A relay is: it may renew our certificate."""
        ...

    def renewed(self, certificate: str) -> None:
        """A relay has had it renewed."""
        ...

    def noticed(self, text: str) -> None:
        """A word for the operator."""
        ...


class _Caller:
    """Does what the machine of the line to one relay decides."""

    def __init__(self, relay: RelayClient) -> None:
        self.relay, self.state = relay, "not called yet"

    def dial(self) -> None:
        """Call it."""
        self.relay.connect()

    def hang_up(self) -> None:
        """Give up, or end."""
        self.relay.close()

    def entered(self, state: str) -> None:
        """How it stands."""
        self.state = state


class Relays:
    """
    All of them.

    :param lists: of what is revoked.
    :param outside: knows how near each of them is.
    """

    def __init__(
        self, around: Surroundings, pump: Pump, lists: RevocationExchange, outside: Outside, peers: Peers, owner: Owner
    ) -> None:
        self._around, self._pump, self._lists, self._outside = around, pump, lists, outside
        self._peers, self._owner = peers, owner
        self._lines: dict[RelayClient, tuple[Reconnect, _Caller]] = {}
        self._places: set[str] = set()  # of them, as they were given
        self._draining: set[RelayClient] = set()
        self._meetings = SourceLimiter(MEETINGS, MEETINGS_AT_ONCE, MOST_RELAYS)  # by host

    def start(self, places: Iterable[str], dial: Dial) -> None:
        """
        Call every relay that is not called yet.

        :param places: HOST or HOST:PORT of each; of very many, the first.
        """
        for place in dict.fromkeys(places):
            if place in self._places or len(self._places) >= MOST_CALLED:
                continue
            self._places.add(place)
            relay = dial(place, self._pump.new_number(), self)
            caller = _Caller(relay)
            machine = reconnect(caller, self._around.clock, random.random)
            self._lines[relay] = machine, caller
            self._pump.attach(relay)
            machine.start()
        self.rank()

    def stop(self) -> None:
        """Hang up."""
        for machine, _ in self._lines.values():
            machine.stop()

    # -- which one -----------------------------------------------------------------------------------------------------

    def having(self, name: str) -> list[RelayClient]:
        """The relays where a peer is, the nearest first; those that are going away last."""
        return [relay for relay in self._by_nearness() if relay.answer is not None and name in relay.peers]

    def _by_nearness(self) -> list[RelayClient]:
        """The relays, those that go away last."""

        def distance(relay: RelayClient) -> tuple[bool, float, int]:
            rtt = self._outside.rtt(relay)
            return relay in self._draining, rtt if rtt is not None else float("inf"), relay.number

        return sorted(self._lines, key=distance)

    def rank(self) -> None:
        """Traffic that needs a relay goes through the nearest one."""
        for turn, relay in enumerate(self._by_nearness()):
            self._pump.describe(relay.number, Carrier(RELAYED + turn, f"relay {relay.host}"))

    def may_meet(self, line: Line) -> bool:
        """Whether one more handshake may begin through that relay, with whomever: each costs us more than the relay."""
        if self._meetings.admit(line.host, now=self._around.now()):
            return True
        self._around.history.count("too_many_meetings")
        return False

    def uplinks_are(self, uplinks: Sequence[Uplink]) -> None:
        """The machine has these uplinks now."""
        here = {address for uplink in uplinks if uplink.up for address in (*uplink.addresses4, *uplink.addresses6)}
        for relay, (machine, _) in self._lines.items():
            if relay.local and relay.local not in here:
                relay.prove(PROVE_WITHIN)
            machine.network_changed()

    def shun(self, addresses: Collection[str]) -> None:
        """Nothing may go from these addresses of ours any more: hang up at once, and call from others."""
        for relay in self._lines:
            if relay.local in addresses:
                relay.drop("its uplink is to be left alone")

    def hurry(self) -> None:
        """What NATs make of our addresses matters now."""
        self._outside.hurry()

    # -- what relays tell ----------------------------------------------------------------------------------------------

    def register(self) -> Register:
        """Who we are."""
        ours = self._around.ourselves
        watch = (EVERYBODY,) if EVERYBODY in ours.wanted else ours.wanted[:MOST_WATCHED]
        return Register(ours.name, ours.instance, watch, revocations=self._lists.number, notices=True, news=True)

    def registered(self, relay: RelayClient, answer: Registered) -> None:
        """A line is up."""
        self._draining.discard(relay)
        self.rank()
        self._lines[relay][0].opened()
        self._owner.reached()
        self._tell("relay-up", f"relay {relay.host} is reached")
        self._lists.joined(relay, answer.revocations)
        self._outside.joined(relay, answer)

    def refused(self, relay: RelayClient, reason: str, retry_after: float | None) -> None:
        """The relay said no."""
        self._tell("relay-refused", f"relay {relay.host} refuses us: {reason}")
        self._lines[relay][0].refused(reason, retry_after)

    def failed(self, relay: RelayClient, reason: str) -> None:
        """Nobody there."""
        self._lines[relay][0].failed(reason)

    def lost(self, relay: RelayClient, reason: str) -> None:
        """A line is not up any more."""
        self._outside.left(relay)
        self._lists.left(relay)
        self._tell("relay-lost", f"relay {relay.host} is lost: {reason}")
        self._lines[relay][0].lost(reason)

    def said(self, relay: RelayClient, message: Drain | Renewed | Notice | Asked | Listing) -> None:
        """The relay goes away, knows what is revoked, has our next certificate, or a word for our operator."""
        if isinstance(message, Drain):
            self._draining.add(relay)
            self.rank()
            self._tell("relay-drain", f"relay {relay.host} goes away in {message.seconds:.0f} s: {message.reason}")
            self._peers.relays_changed()
        elif isinstance(message, Renewed):
            self._owner.renewed(message.certificate)
        elif isinstance(message, Notice):
            self._owner.noticed(f"relay {relay.host} says: {message.reason}")
        elif not isinstance(message, Asked):  # we are no server
            self._lists.heard(relay, message)

    def _tell(self, kind: str, text: str) -> None:
        self._around.history.tell(kind, "", text)

    def present(self, relay: RelayClient, peer: Present) -> None:
        """A peer is there."""
        self._peers.present(relay, peer)

    def absent(self, relay: RelayClient, name: str) -> None:
        """It is gone."""
        self._peers.absent(relay, name)

    def handshake(self, relay: RelayClient, name: str, content: bytes) -> None:
        """Bytes of a peer's handshake."""
        self._peers.handshake(relay, name, content)

    def called(self, relay: RelayClient, name: str) -> None:
        """A peer asks us to begin."""
        self._peers.called(relay, name)

    def arrived(self, arrivals: Sequence[Arrival]) -> None:
        """Datagrams of peers."""
        self._pump.from_door(arrivals)

    # -- certificates --------------------------------------------------------------------------------------------------

    def look_at_certificates(self) -> None:
        """Hang up on relays whose certificate is revoked or has expired."""
        now = self._around.wall()
        for relay in self._lines:
            shown = relay.peer
            if shown is not None and (shown.not_after <= now or self._around.ourselves.is_revoked(shown)):
                relay.drop("its certificate is not good any more")

    def renewing(self) -> list[Callable[[Renew], None]]:
        """What asks each relay that renews certificates."""
        able = [relay for relay in self._by_nearness() if relay.answer is not None and relay.answer.renews]
        return [relay.renew for relay in able]

    def shows(self) -> list[ClientTls]:
        """What shows our certificate to relays."""
        return [relay.tls for relay in self._lines]

    # -- what ops sees -------------------------------------------------------------------------------------------------

    def standing(self) -> list[Standing]:
        """The lines to every relay, the nearest first."""
        return [(relay, self._lines[relay][1].state, self._outside.echo_of(relay)) for relay in self._by_nearness()]

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
