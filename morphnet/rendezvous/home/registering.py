"""
The home's side: to be registered with a coordinator, to notice when one is not any more, and to try again for ever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from morphnet.errors import Forged, MalformedFrame, PeerError
from morphnet.rendezvous.home.association import Association
from morphnet.rendezvous.home.registry import CONTEXT
from morphnet.wire.messages.home import datagrams, parts
from morphnet.wire.messages.home.calls import (
    CALLS,
    Accepted,
    Call,
    Declined,
    Fallbacks,
    Move,
    Moved,
    Registration,
    Reply,
    to_text,
)
from morphnet.wire.noise import Initiator

ANSWER_AFTER = 1.0  # seconds to wait for an answer before asking again; twice that the next time, and so on
LONGEST_WAIT = 30.0
DECLINED_WAIT = 60.0  # seconds until somebody may have changed their mind
PING_AGAIN = 2.0  # seconds without a pong until the next ping
PINGS = 4  # without a pong: we are not registered any more


@dataclass(frozen=True, slots=True)
class HomeKeys:
    """What a home is known by, and whom it trusts to introduce it."""

    identity: Ed25519PrivateKey
    coordinator: bytes  # its public key, 32 bytes
    invite: str = ""


class _ToCoordinator(Association):
    """Ours with the coordinator."""

    __slots__ = ("_home",)

    def __init__(self, home: Registering, clock: IReactorTime, index: bytes, keys: tuple[bytes, bytes]) -> None:
        super().__init__(clock, index, keys)
        self._home = home

    def carry(self, datagram: bytes) -> None:
        self._home.send(datagram)

    def heard(self, body: bytes) -> None:
        self._home.message(body)


class Registering:
    """
    One home's registration, from start to stop.

    :param entropy: gives so many random bytes.
    :param wall: milliseconds of Unix time.
    :param called: takes what a browser asks; `reply` answers.
    """

    def __init__(
        self,
        clock: IReactorTime,
        entropy: Callable[[int], bytes],
        wall: Callable[[], int],
        keys: HomeKeys,
        called: Callable[[Call], None],
    ) -> None:
        self._clock, self._entropy, self._wall, self._keys, self._called = clock, entropy, wall, keys, called
        self.send: Callable[[bytes], None] = lambda datagram: None
        self.changed: Callable[[str], None] = lambda state: None  # told what we are now, in words
        self.sent_on: Callable[[Move | Fallbacks], None] = lambda said: None  # told of other coordinators
        self.state = "not started"
        self.seen_as = ""  # our address, as the coordinator sees it
        self.counts: Counter[str] = Counter()
        self._association: Association | None = None
        self._timer: IDelayedCall | None = None
        self._tag = b""
        self._handshake: Initiator | None = None
        self._at = 0  # of our last registration
        self._tries = 0  # without an answer
        self._pings = 0  # likewise
        self._keepalive = 0.0

    def start(self) -> None:
        """Register, now."""
        self._become("registering")
        self._hello()

    def stop(self) -> None:
        """Say goodbye; nothing is sent after that."""
        if self._association is not None:
            self._association.send(parts.Bye())
            self._association.end()
            self._association = None
        self._set_timer(None)
        self.state = "stopped"

    def reply(self, call: str, body: str) -> None:
        """Answer what a browser asked."""
        self.say(Reply(call, body))

    def say(self, said: Reply | Moved) -> None:
        """Tell the coordinator something; it is in vain when we are not registered."""
        if self._association is not None:
            self._association.send_message(CALLS.encode(said))

    @property
    def quiet(self) -> bool:
        """Whether all that we have said has arrived."""
        return self._association is None or self._association.quiet

    def _become(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self.changed(state)

    def _set_timer(self, seconds: float | None, what: Callable[[], None] | None = None) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._clock.callLater(seconds, what) if seconds is not None and what is not None else None

    # -- 1. hello -> cookie; 2. register -> accept -----------------------------------------------------------------

    def _hello(self) -> None:
        self._tag, self._handshake = self._entropy(datagrams.TAG_SIZE), None
        self._set_timer(min(ANSWER_AFTER * 2**self._tries, LONGEST_WAIT), self._hello)
        self._tries = min(self._tries + 1, 10)
        proof = datagrams.proof(self._keys.coordinator, self._tag)
        self.send(datagrams.encode(datagrams.Hello(self._tag, proof)))

    def received(self, datagram: bytes) -> None:
        """A datagram has come from the coordinator's address; what is wrong with it is counted."""
        try:
            self._take(datagrams.decode(datagram))
        except Forged:
            self.counts["home_forged"] += 1
        except PeerError:
            self.counts["home_malformed"] += 1

    def _take(self, message: datagrams.Datagram) -> None:
        if isinstance(message, datagrams.Sealed):
            if self._association is not None and message.index == self._association.index:
                item = self._association.received(message)
                if isinstance(item, parts.Pong):
                    self._ponged(item)
        elif isinstance(message, datagrams.Cookie):
            if message.tag == self._tag and self._handshake is None:
                self._register(message.cookie)
        elif isinstance(message, datagrams.Accept):
            if message.tag == self._tag and self._handshake is not None:
                self._accepted(self._handshake, message.handshake)
        else:
            raise MalformedFrame("only homes say that")

    def _register(self, cookie: bytes) -> None:
        own = X25519PrivateKey.from_private_bytes(self._entropy(32))
        self._handshake = handshake = Initiator(own, self._keys.coordinator, self._tag + cookie)
        self._at = max(self._wall(), self._at + 1)
        identity = self._keys.identity
        key = to_text(identity.public_key().public_bytes_raw())
        signature = to_text(identity.sign(CONTEXT + handshake.transcript))
        registration = CALLS.encode(Registration(key, signature, self._at, self._keys.invite))
        self.send(datagrams.encode(datagrams.Register(self._tag, cookie, handshake.first(registration))))

    def _accepted(self, handshake: Initiator, second: bytes) -> None:
        try:
            payload, sending, receiving = handshake.finish(second)
        finally:
            self._handshake = None  # it is used up; if that was forged, the next attempt has another tag
        said = CALLS.decode(payload)
        if isinstance(said, Declined):
            self._set_timer(DECLINED_WAIT, self._hello)
            self._become(f"refused: {said.reason}")
            return
        if not isinstance(said, Accepted):
            raise MalformedFrame("neither accepted nor declined")
        if self._association is not None:
            self._association.end()
        index = bytes.fromhex(said.index)
        self._association = _ToCoordinator(self, self._clock, index, (sending, receiving))
        self._keepalive, self.seen_as = float(said.keepalive), said.seen_as
        self._tries = self._pings = 0
        self.counts["home_registrations"] += 1
        self._ping()  # it shows that we can read what was said
        self._become("registered")

    # -- 3. while we are registered --------------------------------------------------------------------------------

    def _ping(self) -> None:
        assert self._association is not None  # the timer is another one without it
        if self._pings == PINGS:
            self._association.end()
            self._association = None
            self._hello()
            self._become("registering: the coordinator is silent")
            return
        self._pings += 1
        self._association.send(parts.Ping(self._pings))
        self._set_timer(PING_AGAIN, self._ping)

    def _ponged(self, pong: parts.Pong) -> None:
        if self._pings and pong.number <= self._pings:
            self._pings = 0
            self._set_timer(self._keepalive, self._ping)

    def look(self) -> None:
        """Find out whether we are still registered: the network may have changed, or the machine slept."""
        if self._association is not None and not self._pings:
            self._ping()
        elif self._association is None and self.state.startswith(("registering", "refused")):
            self._tries = 0
            self._hello()

    def message(self, body: bytes) -> None:
        """The coordinator has sent one."""
        said = CALLS.decode(body)
        if isinstance(said, Call):
            self._called(said)
        elif isinstance(said, (Move, Fallbacks)):
            self.sent_on(said)
        else:
            raise MalformedFrame("only homes say that")
