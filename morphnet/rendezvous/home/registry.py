"""
What a coordinator knows of homes: who is registered, where each was last heard, and how to tell it something.

A home that registers again takes the place of its old association only when it has shown, with the first datagram under
the new keys, that it can read what we said: a recorded registration changes nothing.

There are many homes, and few that are told anything. They sleep as records (`sleepers`), and are objects for as long
as a datagram takes, or a message.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from morphnet.errors import Away, Forged, MalformedFrame, PeerError, Refused
from morphnet.rendezvous.home.association import Association
from morphnet.rendezvous.home.cookies import Cookies
from morphnet.rendezvous.home.sleepers import KEY, MOST, Record, Sleepers
from morphnet.wire.batch import Endpoint
from morphnet.wire.messages.home import datagrams, parts
from morphnet.wire.messages.home.calls import (
    CALLS,
    Accepted,
    Declined,
    Moved,
    Registration,
    Reply,
    Said,
    from_text,
    to_text,
)
from morphnet.wire.noise import Responder, keys_of

KEEPALIVE = 20  # seconds between a home's pings
DEAD_AFTER = 75.0  # seconds of silence
QUIET_AFTER = 60.0  # seconds after its last message that a home sleeps: nothing is sent again for so long
UNCONFIRMED = 256  # registrations that have not shown that they can read us; the oldest goes
ADMITTING = 256  # registrations that wait for the gatekeeper; one more has to come again
CONTEXT = b"morphnet home register\0"  # what a registration signs begins with this
_INDEX = struct.Struct("!I4s")  # an association's name: slot, and salt


class Gatekeeper(Protocol):
    """Who may register."""

    def admit(self, home: str, invite: str) -> Awaitable[None]:
        """
        Let it in, or not; an invitation is used up.

        :raises Refused: with the reason that it is told.
        :raises Away: that cannot be known now.
        """
        ...


def place(where: Endpoint) -> str:
    """ADDRESS:PORT of the other end."""
    return f"{where.host}:{where.port}"


class Home(Association):
    """
    One that is registered, or is about to be, while it is awake.

    :param slot: where its record is, or will be.
    """

    __slots__ = ("_registry", "_secret", "at", "confirmed", "heard_at", "public", "slot", "where")

    def __init__(self, registry: Registry, slot: int, record: Record) -> None:
        receiving, sending = keys_of(record.secret)
        super().__init__(registry.clock, _INDEX.pack(slot, record.salt), (sending, receiving))
        self._registry, self._secret, self.slot = registry, record.secret, slot
        self.public, self.at, self.where = record.key, record.at, record.where
        self._number, self._message = record.number, record.message
        self._highest, self._seen = record.highest, record.seen
        self.heard_at = registry.clock.seconds()  # or woken
        self.confirmed = False

    @property
    def key(self) -> str:
        """As in Registration."""
        return to_text(self.public)

    def record(self) -> Record:
        """What there is to remember of it."""
        salt = self.index[4:]
        numbers = self._number, self._message, self._highest, self._seen
        return Record(self.public, self._secret, self.where, salt, self.at, *numbers)

    @property
    def worn_out(self) -> bool:
        """Whether its numbers are used up: it has to register again."""
        return max(self._number, self._message, self._highest + 1) >= MOST

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
    :param keepalive: seconds between a home's pings.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        entropy: Callable[[int], bytes],
        key: X25519PrivateKey,
        gatekeeper: Gatekeeper,
        most: int,
        keepalive: int = KEEPALIVE,
    ) -> None:
        self.clock, self._entropy, self._key, self._gatekeeper, self._most = clock, entropy, key, gatekeeper, most
        self._public, self._keepalive = key.public_key().public_bytes_raw(), keepalive
        self._cookies, self._began = Cookies(entropy(32)), clock.seconds()
        self._sleepers = Sleepers()
        self._awake: dict[int, Home] = {}  # by slot
        self._unconfirmed: dict[int, None] = {}  # slots, oldest first
        self._admitting: set[Deferred[None]] = set()
        self.send: Callable[[Endpoint, bytes], None] = lambda where, datagram: None
        self.replied: Callable[[str, Reply], None] = lambda home, reply: None
        self.moved: Callable[[str, Moved], None] = lambda home, moved: None
        self.came: Callable[[str, Endpoint], None] = lambda home, where: None
        self.gone: Callable[[str, int, str], None] = lambda home, at, why: None
        self.counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._sleepers)

    def __contains__(self, home: str) -> bool:
        return self._find(home) >= 0

    def homes(self) -> list[Home]:
        """Those that are registered, as they are now."""
        keys = [key for key, _ in self._sleepers.part(0, 1)]
        return [home for key in keys if (home := self._wake(self._sleepers.find(key))) is not None]

    def part(self, number: int, of: int) -> Iterator[tuple[str, int]]:
        """The `number`-th part of those that are registered, and `at` of their registrations."""
        return ((to_text(key), at) for key, at in self._sleepers.part(number, of))

    def registered_at(self, home: str) -> int:
        """`at` of its registration; 0 when it is not here."""
        record = self._sleepers.read(slot) if (slot := self._find(home)) >= 0 else None
        return record.at if record is not None else 0

    def _find(self, home: str) -> int:
        try:
            return self._sleepers.find(from_text(home))
        except ValueError:
            return -1

    def _wake(self, slot: int) -> Home | None:
        """As an object; `_rest` has to follow."""
        home = self._awake.get(slot)
        if home is None and slot >= 0 and (record := self._sleepers.read(slot)) is not None:
            home = Home(self, slot, record)
            home.confirmed = True
        return home

    def _rest(self, home: Home, *, busy: bool = False) -> None:
        """
        It was dealt with: it sleeps, unless there is something of messages to remember.

        :param busy: there may be more of them soon; its next ping, or `expire`, lets it sleep.
        """
        if home.confirmed and home.worn_out:
            self._remove(home, "it has to register again")
        elif home.confirmed and not busy and not home.talks:
            self._awake.pop(home.slot, None)
            self._sleepers.write(home.slot, home.record())
        else:
            self._awake[home.slot] = home

    def tell(self, home: str, said: Said) -> bool:
        """Send it a message; False when it is not here, or too much is on its way to it."""
        found = self._wake(self._find(home))
        if found is None:
            return False
        sent, found.heard_at = found.send_message(CALLS.encode(said)), self.clock.seconds()
        self._rest(found)
        return sent

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
        if registration.at <= self.registered_at(registration.home):
            raise Forged("an old registration")
        if len(self._admitting) >= ADMITTING:
            self.counts["homes_put_off"] += 1
            return
        admitting = Deferred.fromCoroutine(self._admit(where, register.tag, handshake, registration))
        if not admitting.called:
            self._admitting.add(admitting)
        admitting.addErrback(self._not_admitted)
        admitting.addBoth(lambda _: self._admitting.discard(admitting))

    def _not_admitted(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("a home was not admitted", failure)

    async def _admit(self, where: Endpoint, tag: bytes, handshake: Responder, registration: Registration) -> None:
        try:
            if len(self) >= self._most and registration.home not in self:
                raise Refused("this coordinator has as many homes as it may have")
            await self._gatekeeper.admit(registration.home, registration.invite)
        except Refused as no:
            self.counts["home_refused"] += 1
            self._accept(where, tag, handshake, Declined(no.reason))
            return
        except Away:
            self.counts["homes_put_off"] += 1  # it asks again
            return
        slot = self._sleepers.reserve(self._now())
        salt = self._entropy(4)
        index = _INDEX.pack(slot, salt).hex()
        self._accept(where, tag, handshake, Accepted(index, self._keepalive, place(where)))
        key = from_text(registration.home)
        self._awake[slot] = Home(self, slot, Record(key, handshake.secret, where, salt, registration.at, 0, 0, -1, 0))
        self._unconfirmed[slot] = None
        if len(self._unconfirmed) > UNCONFIRMED:
            self._drop(next(iter(self._unconfirmed)))

    def _accept(self, where: Endpoint, tag: bytes, handshake: Responder, said: Accepted | Declined) -> None:
        own = X25519PrivateKey.from_private_bytes(self._entropy(32))
        answer, _, _ = handshake.answer(own, CALLS.encode(said))
        self.send(where, datagrams.encode(datagrams.Accept(tag, answer)))

    # -- while it is here ------------------------------------------------------------------------------------------

    def _now(self) -> int:
        """Seconds since we began."""
        return int(self.clock.seconds() - self._began)

    def _heard(self, where: Endpoint, sealed: datagrams.Sealed, now: float) -> None:
        slot = int.from_bytes(sealed.index[:4], "big")
        home = self._wake(slot)
        if home is None or home.index != sealed.index:
            self.counts["home_unknown"] += 1
            return
        if sealed.number >= MOST:
            raise MalformedFrame("a number that no home comes to")
        self._awake[slot] = home
        came_from, home.where = home.where, where  # what is answered at once goes to where it came from
        try:
            item = home.received(sealed)
        except PeerError:
            home.where = came_from
            self._rest(home)
            raise
        self._sleepers.heard(slot, self._now())
        if not home.confirmed:
            self._confirm(home)
        elif where[:2] != came_from[:2]:
            self.counts["home_moved"] += 1
        if not home.confirmed:
            return  # a newer registration is here
        if isinstance(item, parts.Bye):
            self._remove(home, "it said goodbye")
        else:
            busy = not isinstance(item, parts.Ping)  # it has a message, or is about to answer one
            if busy:
                home.heard_at = now
            self._rest(home, busy=busy)

    def _confirm(self, home: Home) -> None:
        self._unconfirmed.pop(home.slot, None)
        before = self._wake(self._sleepers.find(home.public))
        if before is not None:
            if before.at >= home.at:  # it has registered twice at once, and this is the older one
                self._drop(home.slot)
                return
            self._drop(before.slot)
        home.confirmed = True
        self._sleepers.write(home.slot, home.record())
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

    def _drop(self, slot: int) -> None:
        """Forget it; nothing is said about it."""
        self._unconfirmed.pop(slot, None)
        if (home := self._awake.pop(slot, None)) is not None:
            home.end()
        self._sleepers.release(slot)

    def _remove(self, home: Home, why: str) -> None:
        self._drop(home.slot)
        if home.confirmed:
            self.gone(home.key, home.at, why)

    def leave(self, home: str, at: int) -> None:
        """It has registered elsewhere, at that time: forget it, if it did so here before."""
        found = self._wake(self._find(home))
        if found is not None and found.at < at:
            self._remove(found, "it is at another coordinator")

    def turn_out(self, home: str) -> None:
        """It may not be here any more."""
        if (found := self._wake(self._find(home))) is not None:
            self._remove(found, "it is not wanted any more")

    def expire(self) -> None:
        """Forget those that were silent for too long; let those sleep that are not told anything any more."""
        for slot in self._sleepers.silent(max(0, int(self.clock.seconds() - self._began - DEAD_AFTER))):
            if (home := self._wake(slot)) is not None:
                self._remove(home, "it fell silent")
        before = self.clock.seconds() - QUIET_AFTER
        for home in [each for each in self._awake.values() if each.confirmed and each.heard_at < before]:
            home.rest()
            self._rest(home)

    def end(self) -> None:
        """Nothing is sent any more."""
        for home in self._awake.values():
            home.end()
        for each in list(self._admitting):
            each.cancel()


def _check_signature(registration: Registration, transcript: bytes) -> None:
    """:raises Forged: the home did not sign this handshake."""
    try:
        public = from_text(registration.home)
        if len(public) != KEY or to_text(public) != registration.home:
            raise Forged("a key that is spelled otherwise")
        Ed25519PublicKey.from_public_bytes(public).verify(from_text(registration.signature), CONTEXT + transcript)
    except (InvalidSignature, ValueError):
        raise Forged("signature of a home") from None
