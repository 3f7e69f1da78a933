"""
Where a session comes back: the client has come again after a break, or after this server was started anew.

1. Its certificate's name has one lease in the store, for good: the same inner addresses, and the same session name.
2. If the session is here still, and the client knows this very one, it goes on where it was.
3. Else a new one begins under the old name: keys end with their process. A client that has counted for long goes on
   counting, so its packets are taken from wherever it is; what was not acknowledged comes again.
4. New keys, above every epoch that either end has used.

Source: docs/protocol section 3.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Callable

from morphnet.config.roles import ServerConfig
from morphnet.errors import Refused
from morphnet.store.base import Lease, PoolExhausted, Store
from morphnet.tunnel.keyring import GENERATION_STEP
from morphnet.tunnel.session import Session
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.header import MAX_EPOCH
from morphnet.wire.keys import split_export
from morphnet.wire.messages.control import Hello


class Resumption:
    """Of the sessions of one server. A client is known by its certificate's name."""

    def __init__(
        self,
        config: ServerConfig,
        store: Store,
        tunnel: Tunnel,
        now: Callable[[], float],
        entropy: Callable[[int], bytes],
    ) -> None:
        """:param now: the data plane's clock."""
        self._config, self._store, self._tunnel = config, store, tunnel
        self._now, self._entropy = now, entropy
        self._leases: dict[str, Lease] = {}
        self._first_epochs: dict[str, int] = {}  # the lowest epoch that a session was given

    async def lease(self, name: str) -> Lease:
        """
        What belongs to that client.

        :raises Refused: there is no address for it.
        """
        try:
            return await self._store.lease(name, self._config.pool4, self._config.pool6, self._entropy(16))
        except PoolExhausted:
            raise Refused("no inner address is left in the server's pool") from None

    def session(self, hello: Hello, name: str, lease: Lease) -> tuple[Session, bool]:
        """The session that it was in, or a new one of the same name; whether it is the one of before."""
        known = self._known(hello, name, lease)
        return (known, True) if known is not None else (self._begin(hello, name, lease), False)

    def _known(self, hello: Hello, name: str, lease: Lease) -> Session | None:
        """
        The session of that name, if the client knows this very one: it has used an epoch of it.

        A client whose welcome was lost on the way has not, and still counts what our predecessor sent.
        """
        live = self._tunnel.sessions.get(name)
        if live is None or hello.session != lease.session.hex():
            return None
        return live if self._first_epochs[name] <= hello.epoch else None

    def _begin(self, hello: Hello, name: str, lease: Lease) -> Session:
        inner = [ipaddress.ip_address(address).packed for address in (lease.inner4, lease.inner6) if address]
        self._leases[name] = lease
        self._first_epochs.pop(name, None)
        tuning = self._config.tuning
        if tuning.framing not in hello.framings:
            tuning = dataclasses.replace(tuning, framing="seed")
        session = self._tunnel.add_session(name, lease.session, tuning, inner)
        session.heard_at = self._now()
        session.inbound.reorder.midway = hello.epoch > 0
        return session

    def give_keys(self, session: Session, theirs: int, export: bytes) -> int:
        """
        Keys for both directions; answers with their epoch.

        :param theirs: the highest epoch that the client has used.
        :param export: of the TLS connection, for this session.
        """
        epoch = _next_epoch(session, theirs)
        self._first_epochs[session.peer] = min(epoch, self._first_epochs.get(session.peer, epoch))
        session.install(*split_export(export), epoch, self._now())
        return epoch

    def inner_of(self, name: str) -> tuple[str, ...]:
        """Inner addresses of that client, once it has come."""
        lease = self._leases.get(name)
        return tuple(address for address in (lease.inner4, lease.inner6) if address) if lease else ()


def _next_epoch(session: Session, theirs: int) -> int:
    """Above every epoch either end has used, with room for what is under way."""
    highest = max(session.outbound.keys.epoch, session.inbound.keys.epoch, theirs)
    following = (highest // GENERATION_STEP + 2) * GENERATION_STEP
    return following if following < MAX_EPOCH // 2 else GENERATION_STEP
