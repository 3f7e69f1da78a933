"""
From where the CA is, a line to each relay of the network: so a revocation gets there without a machine that calls both.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from morphnet.config.roles import RELAY_PORT
from morphnet.net.dial import Destination
from morphnet.net.tls import ClientTls, Identity
from morphnet.pki.names import split_address
from morphnet.rendezvous.reconnect import Reconnect, reconnect
from morphnet.roles.certificates.revocation_exchange import RevocationExchange
from morphnet.roles.signalling.relay_client import RelayClient
from morphnet.wire.batch import Arrival
from morphnet.wire.messages.relay import Asked, Drain, Notice, Present, Register, Registered, Renewed
from morphnet.wire.messages.revocations import Listing

INSTANCE = "0" * 16  # who is no guest needs none


class _Caller:
    """Does what the machine of one line decides."""

    def __init__(self, relay: RelayClient) -> None:
        self._relay = relay

    def dial(self) -> None:
        """Call it."""
        self._relay.connect()

    def hang_up(self) -> None:
        """Give up, or end."""
        self._relay.close()

    def entered(self, state: str) -> None:
        """Nobody asks."""


class Bearers:
    """
    Lines that carry lists of revoked certificates, both ways, and tell us of clients that wait there, if we go to them:
    we are no guest there.

    :param name: of our certificate, a server's.
    :param tell: hears one sentence when a relay is reached or refuses us.
    """

    def __init__(self, name: str, exchange: RevocationExchange, reactor: Any, tell: Callable[[str], None]) -> None:
        self._name, self._exchange, self._reactor, self._tell = name, exchange, reactor, tell
        self._machines: dict[RelayClient, Reconnect] = {}
        self._places: set[str] = set()
        self.meet: Callable[[RelayClient, str], None] | None = None  # goes to a client that waits there, if we do

    def start(self, relays: Sequence[str], tls: Callable[[str], ClientTls]) -> None:
        """
        Call every relay that is not called yet, for ever.

        :param relays: HOST or HOST:PORT.
        :param tls: our end of TLS with a server of that name.
        """
        for place in relays:
            if place in self._places:
                continue
            self._places.add(place)
            number = len(self._machines)
            host, port = split_address(place, RELAY_PORT)
            relay = RelayClient(self._reactor, tls(host), Destination(host, port), number, self)
            relay.pq = "allow"  # a proxy may be in front of it, and a list is no secret
            machine = self._machines[relay] = reconnect(_Caller(relay), self._reactor, random.random)
            machine.start()

    def use(self, identity: Identity) -> None:
        """Show another certificate from the next call on."""
        for relay in self._machines:
            relay.tls.use(identity)

    def stop(self) -> None:
        """Hang up."""
        for machine in self._machines.values():
            machine.stop()

    def look(self, wall: float) -> None:
        """
        Hang up on relays whose certificate has expired or is revoked.

        :param wall: Unix seconds.
        """
        for relay in self._machines:
            peer = relay.peer
            if peer is not None and (peer.not_after <= wall or self._exchange.revoked.is_revoked(peer)):
                relay.drop("its certificate is not good any more")

    # -- what relays tell ----------------------------------------------------------------------------------------------

    def register(self) -> Register:
        """What to say now."""
        return Register(self._name, INSTANCE, revocations=self._exchange.number, passages=self.meet is not None)

    def registered(self, relay: RelayClient, answer: Registered) -> None:
        """The line is up: tell what is revoked."""
        self._machines[relay].opened()
        self._tell(f"the relay {relay.host} is told what is revoked")
        self._exchange.joined(relay, answer.revocations)

    def refused(self, relay: RelayClient, reason: str, retry_after: float | None) -> None:
        """The relay said no."""
        self._tell(f"the relay {relay.host} does not let us tell it what is revoked: {reason}")
        self._machines[relay].refused(reason, retry_after)

    def failed(self, relay: RelayClient, reason: str) -> None:
        """Nobody there, or not the one we wanted."""
        self._machines[relay].failed(reason)

    def lost(self, relay: RelayClient, reason: str) -> None:
        """A line that was up is not any more."""
        self._exchange.left(relay)
        self._machines[relay].lost(reason)

    def said(self, relay: RelayClient, message: Drain | Renewed | Notice | Asked | Listing) -> None:
        """The relay tells of what is revoked, or that a client waits; the rest is for guests."""
        if isinstance(message, Asked):
            if self.meet is not None:
                self.meet(relay, message.token)
        elif not isinstance(message, Drain | Renewed | Notice):
            self._exchange.heard(relay, message)

    def present(self, relay: RelayClient, peer: Present) -> None:
        """Peers are no concern of ours."""

    def absent(self, relay: RelayClient, name: str) -> None:
        """Nor who of them has gone."""

    def handshake(self, relay: RelayClient, name: str, content: bytes) -> None:
        """We make no handshakes with them."""

    def called(self, relay: RelayClient, name: str) -> None:
        """We begin none either."""

    def arrived(self, arrivals: Sequence[Arrival]) -> None:
        """We have no session that they could be for."""
