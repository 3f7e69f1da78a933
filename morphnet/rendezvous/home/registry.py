"""
What a coordinator knows of homes: who is registered, where each was last heard, and how to tell it something.

A home that registers again takes the place of its old association only when it has shown, with the first datagram under
the new keys, that it can read what we said: a recorded registration changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from twisted.internet.interfaces import IReactorTime

from morphnet.errors import Forged, MalformedFrame, PeerError, Refused
from morphnet.rendezvous.home.association import Association
from morphnet.rendezvous.home.cookies import Cookies
from morphnet.wire.batch import Endpoint
from morphnet.wire.messages.home import datagrams, parts
from morphnet.wire.messages.home.calls import CALLS, Accepted, Declined, Moved, Registration, Reply, Said, from_text
from morphnet.wire.noise import Responder

KEEPALIVE = 20  # seconds between a home's pings
DEAD_AFTER = 75.0  # seconds of silence
UNCONFIRMED = 256  # registrations that have not shown that they can read us; the oldest goes
CONTEXT = b"morphnet home register\0"  # what a registration signs begins with this


class Gatekeeper(Protocol):
    """Who may register."""

    def admit(self, home: str, invite: str) -> None:
        """
        Let it in, or not; an invitation is used up.

        :raises Refused: with the reason that it is told.
        """
        ...


def place(where: Endpoint) -> str:
    """ADDRESS:PORT of the other end."""
    return f"{where.host}:{where.port}"


class Home(Association):
    """
    One that is registered, or is about to be. There are many: it holds as little as it can.

    :param key: as in Registration.
    :param at: likewise.
    """

    __slots__ = ("_registry", "_where", "at", "confirmed", "heard_at", "key")

    def __init__(
        self, registry: Registry, registration: Registration, where: Endpoint, index: bytes, keys: tuple[bytes, bytes]
    ) -> None:
        super().__init__(registry.clock, index, keys)
        self._registry, self.key, self.at = registry, registration.home, registration.at
        self.where = where
        self.heard_at = registry.clock.seconds()
        self.confirmed = False

    @property
    def where(self) -> Endpoint:
        """Where it was last heard."""
        host, port, local = self._where.split(" ")
        return Endpoint(host, int(port), local)

    @where.setter
    def where(self, where: Endpoint) -> None:
        self._where = f"{where.host} {where.port} {where.local}"  # a third of an Endpoint

    def carry(self, datagram: bytes) -> None:
        self._registry.send(self.where, datagram)

    def heard(self, body: bytes) -> None:
        self._registry.message(self, body)


class Registry:
    """
    All homes of one coordinator.

    :param key: what the coordinator is known by.
    :param entropy: gives so many random bytes.
    :param most: homes at once.
    """

    def __init__(
        self,
        clock: IReactorTime,
        entropy: Callable[[int], bytes],
        key: X25519PrivateKey,
        gatekeeper: Gatekeeper,
        most: int,
    ) -> None:
        self.clock, self._entropy, self._key, self._gatekeeper, self._most = clock, entropy, key, gatekeeper, most
        self._public = key.public_key().public_bytes_raw()
        self._cookies = Cookies(entropy(32))
        self._by_index: dict[bytes, Home] = {}
        self._homes: dict[str, Home] = {}
        self._unconfirmed: dict[bytes, None] = {}  # indexes, oldest first
        self.send: Callable[[Endpoint, bytes], None] = lambda where, datagram: None
        self.replied: Callable[[str, Reply], None] = lambda home, reply: None
        self.moved: Callable[[str, Moved], None] = lambda home, moved: None
        self.came: Callable[[str, Endpoint], None] = lambda home, where: None
        self.gone: Callable[[str, str], None] = lambda home, why: None
        self.counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._homes)

    def __contains__(self, home: str) -> bool:
        return home in self._homes

    def homes(self) -> list[Home]:
        """Those that are registered."""
        return list(self._homes.values())

    def tell(self, home: str, said: Said) -> bool:
        """Send it a message; False when it is not here, or too much is on its way to it."""
        found = self._homes.get(home)
        return found is not None and found.send_message(CALLS.encode(said))

    def received(self, where: Endpoint, datagram: bytes) -> None:
        """A datagram has come; what is wrong with it is counted, and gets no answer."""
        try:
            self._take(where, datagrams.decode(datagram))
        except Refused:
            self.counts["home_refused"] += 1
        except Forged:
            self.counts["home_forged"] += 1
        except PeerError:
            self.counts["home_malformed"] += 1

    def _take(self, where: Endpoint, message: datagrams.Datagram) -> None:
        now = self.clock.seconds()
        if isinstance(message, datagrams.Hello):
            if message.proof != datagrams.proof(self._public, message.tag):
                raise Forged("hello")
            cookie = self._cookies.make(place(where), message.tag, now)
            self.send(where, datagrams.encode(datagrams.Cookie(message.tag, cookie)))
        elif isinstance(message, datagrams.Register):
            if not self._cookies.is_good(message.cookie, place(where), message.tag, now):
                raise Forged("cookie")
            self._register(where, message)
        elif isinstance(message, datagrams.Sealed):
            self._heard(where, message, now)
        else:
            raise MalformedFrame("only coordinators say that")

    # -- registering -----------------------------------------------------------------------------------------------

    def _register(self, where: Endpoint, register: datagrams.Register) -> None:
        handshake = Responder(self._key, register.handshake, register.tag + register.cookie)
        registration = CALLS.decode(handshake.payload)
        if not isinstance(registration, Registration):
            raise MalformedFrame("no registration")
        _check_signature(registration, handshake.transcript)
        before = self._homes.get(registration.home)
        if before is not None and registration.at <= before.at:
            raise Forged("an old registration")
        try:
            if before is None and len(self._homes) >= self._most:
                raise Refused("this coordinator has as many homes as it may have")
            self._gatekeeper.admit(registration.home, registration.invite)
        except Refused as no:
            self.counts["home_refused"] += 1
            self._accept(where, register.tag, handshake, Declined(no.reason))
            return
        index = self._entropy(datagrams.INDEX_SIZE)
        keys = self._accept(where, register.tag, handshake, Accepted(index.hex(), KEEPALIVE, place(where)))
        self._add(registration, where, index, keys)

    def _accept(
        self, where: Endpoint, tag: bytes, handshake: Responder, said: Accepted | Declined
    ) -> tuple[bytes, bytes]:
        own = X25519PrivateKey.from_private_bytes(self._entropy(32))
        answer, sending, receiving = handshake.answer(own, CALLS.encode(said))
        self.send(where, datagrams.encode(datagrams.Accept(tag, answer)))
        return sending, receiving

    def _add(self, registration: Registration, where: Endpoint, index: bytes, keys: tuple[bytes, bytes]) -> None:
        home = Home(self, registration, where, index, keys)
        self._by_index[index] = home
        self._unconfirmed[index] = None
        if len(self._unconfirmed) > UNCONFIRMED:
            oldest = next(iter(self._unconfirmed))
            del self._unconfirmed[oldest], self._by_index[oldest]

    # -- while it is here ------------------------------------------------------------------------------------------

    def _heard(self, where: Endpoint, sealed: datagrams.Sealed, now: float) -> None:
        home = self._by_index.get(sealed.index)
        if home is None:
            self.counts["home_unknown"] += 1
            return
        came_from, home.where = home.where, where  # what is answered at once goes to where it came from
        try:
            item = home.received(sealed)
        except PeerError:
            home.where = came_from
            raise
        home.heard_at = now
        if not home.confirmed:
            self._confirm(home)
        elif where[:2] != came_from[:2]:
            self.counts["home_moved"] += 1
        if isinstance(item, parts.Bye):
            self._remove(home, "it said goodbye")

    def _confirm(self, home: Home) -> None:
        home.confirmed = True
        self._unconfirmed.pop(home.index, None)
        before = self._homes.get(home.key)
        if before is not None:
            before.end()
            self._by_index.pop(before.index, None)
        self._homes[home.key] = home
        self.counts["home_registrations"] += 1
        self.came(home.key, home.where)

    def message(self, home: Home, body: bytes) -> None:
        """A home has sent one."""
        said = CALLS.decode(body)
        if isinstance(said, Reply):
            self.replied(home.key, said)
        elif isinstance(said, Moved):
            self.moved(home.key, said)
        else:
            raise MalformedFrame("only coordinators say that")

    def _remove(self, home: Home, why: str) -> None:
        home.end()
        self._by_index.pop(home.index, None)
        if self._homes.get(home.key) is home:
            del self._homes[home.key]
            self.gone(home.key, why)

    def expire(self) -> None:
        """Forget those that were silent for too long."""
        before = self.clock.seconds() - DEAD_AFTER
        for home in [each for each in self._by_index.values() if each.heard_at < before]:
            self._unconfirmed.pop(home.index, None)
            self._remove(home, "it fell silent")

    def end(self) -> None:
        """Nothing is sent any more."""
        for home in self._by_index.values():
            home.end()


def _check_signature(registration: Registration, transcript: bytes) -> None:
    """:raises Forged: the home did not sign this handshake."""
    try:
        key = Ed25519PublicKey.from_public_bytes(from_text(registration.home))
        key.verify(from_text(registration.signature), CONTEXT + transcript)
    except (InvalidSignature, ValueError):
        raise Forged("signature of a home") from None
