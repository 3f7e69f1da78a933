"""A coordinator that is one of several behind one name: what it has of their Redis, and how that is joined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from morphnet.config.redis_url import RedisUrl
from morphnet.net.redis_exchange import RedisLink
from morphnet.rendezvous.home.neighbours import Neighbours
from morphnet.rendezvous.home.registry import Registry
from morphnet.rendezvous.home.shared import Shared
from morphnet.roles.coordinator.invitations import Outbox
from morphnet.roles.coordinator.node import CoordinatorNode
from morphnet.store.homes import HomesLedger
from morphnet.store.homes_shared import RedisHomes
from morphnet.wire.messages.home.calls import Reply

TICK_EVERY = 1.0  # seconds
SHARED_KEEPALIVE = 10  # seconds between a home's pings: it finds out while a browser still waits that we have died
SERVING, ALONE = "serving", "serving, alone"  # states, as those of a relay


class Sharing:
    """
    Its part of what they share.

    :param key: of the coordinators, the same with all of them.
    :param ledger: this one's own.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        entropy: Callable[[int], bytes],
        place: RedisUrl,
        key: X25519PrivateKey,
        ledger: HomesLedger,
    ) -> None:
        public = key.public_key().public_bytes_raw()
        self._reactor = reactor
        known_by = sha256(b"morphnet home coordinator" + public).hexdigest().encode()
        self._shared = Shared(entropy(8).hex(), known_by, entropy)
        self.homes = RedisHomes(self._shared.ask)
        self._ledger, self._outbox = ledger, Outbox(ledger, self.homes, self._forget)
        self._link = RedisLink(reactor, place, self._shared)
        self._neighbours: Neighbours | None = None
        self._why = ""  # they cannot be reached

    def join(self, registry: Registry, node: CoordinatorNode) -> Neighbours:
        """Tell the others of its homes, and the operator of Redis."""
        self._neighbours = neighbours = Neighbours(self._reactor, self._shared, registry)
        came, gone = registry.came, registry.gone

        def both_came(home: str, where: Any) -> None:
            came(home, where)
            neighbours.came(home)

        def both_gone(home: str, at: int, why: str) -> None:
            gone(home, at, why)
            neighbours.gone(home, at)

        def opened(generation: str) -> None:
            self._ledger.share_with(generation)
            node.state, self._why = SERVING, ""
            node.tell("redis", "", "the other coordinators can be reached")
            neighbours.opened()
            self._look()

        def closed(why: str) -> None:
            if why != self._why:
                node.tell("redis", "", f"the other coordinators cannot be reached: {why}")
            node.state, self._why = ALONE, why

        def forgotten(home: str) -> None:
            self._ledger.lose_copy(home)
            registry.turn_out(home)

        registry.came, registry.gone, neighbours.forgotten = both_came, both_gone, forgotten
        self._shared.opens, self._shared.closes = opened, closed
        return neighbours

    async def _forget(self, home: str) -> None:
        assert self._neighbours is not None  # `join` made it
        await self._neighbours.forget(home)

    def start(self, answered: Callable[[str, Reply], bool]) -> None:
        """
        Call Redis.

        :param answered: takes what homes elsewhere say to our calls.
        """
        assert self._neighbours is not None  # `join` made it
        self._neighbours.answered = answered
        self._link.start()

    def tick(self) -> None:
        """Another second."""
        assert self._neighbours is not None  # `join` made it
        self._neighbours.tick()
        self._look()

    def _look(self) -> None:
        """Whether `morphnet coordinator` has written something."""
        looking = Deferred.fromCoroutine(self._outbox.empty())
        looking.addErrback(lambda failure: self._log.failure("the ledger of homes", failure))

    @property
    def counts(self) -> Counter[str]:
        """Of the others."""
        return self._neighbours.counts if self._neighbours is not None else Counter[str]()

    def stop(self) -> None:
        """Hang up. The leases stay: who asks for a home of ours waits for it, as it goes to another coordinator."""
        self._link.stop()
