"""How two peers get a session: one TLS handshake through a relay, and what they say in it."""

from __future__ import annotations

import dataclasses
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall

from morphnet.config.roles import FORMATS, Tuning
from morphnet.errors import MalformedFrame
from morphnet.net.limits import SourceLimiter
from morphnet.net.tls import Peer as Certificate
from morphnet.net.tls import PeerTls
from morphnet.roles.peers.peer_tls import Introducer
from morphnet.roles.peers.surroundings import Line, RelaysOfPeers, Surroundings
from morphnet.roles.process.agreed import agreed, heartbeat
from morphnet.tunnel.session import Session
from morphnet.wire.messages.peer import Established, Greeting, Introduction, NotNow
from morphnet.wire.messages.relay import CALL
from morphnet.wire.messages.relay import HANDSHAKE as TLS_BYTES

MOST_TICKETS = 16  # remembered
TICKET = 4  # bytes in front of TLS that tell one handshake from the next
CALL_AFTER = 1.0  # seconds that the one who is called waits before it asks to be
HEDGE = 1.5  # seconds for a handshake before another one begins through the next relay
HANDSHAKE_WITHIN = 10.0  # seconds after which one is over, also where the other end has begun it
SHUNNED_FOR = 60.0  # seconds for which a relay is tried last after a handshake over it failed
FIRST_IDS = 8
KEEPALIVE = 4.0  # seconds: there are NATs that forget a silent mapping after five; figure C9
HANDSHAKES, HANDSHAKES_AT_ONCE = 1.0, 5  # a second that begin with one peer because of what one relay tells
MOST_RELAYS = 256  # whose handshakes are counted


class Introduced(Protocol):
    """A peer that has shown its certificate, and what only the two ends know: see `peer_tls.Introducer`."""

    @property
    def peer(self) -> Certificate | None:
        """What it has shown."""
        ...

    @property
    def group(self) -> str:
        """Of the key exchange."""
        ...

    def export(self, context: bytes, length: int) -> bytes:
        """Key material."""
        ...


class Acquainted(Protocol):
    """Who gets the session."""

    def make_session(self, introduced: Introduced, name: bytes, tuning: Tuning) -> Session:
        """The peer is who it says: this is the session's name."""
        ...

    def issue_ids(self, session: Session, number: int) -> list[bytes]:
        """So many ids by which the other end may name the session on the wire."""
        ...

    def keeps(self, instance: str) -> str:
        """Why the session with that process of the peer is not given up for another one; "" if it is."""
        ...

    def met(self, instance: str, candidates: tuple[str, ...]) -> None:
        """Both ends have it now."""
        ...

    def failed_to_meet(self, reason: str) -> None:
        """It came to nothing."""
        ...

    def asked_to_call(self, relay: Line) -> None:
        """That relay says that the peer has no session with us."""
        ...


@dataclass(slots=True)
class _Attempt:
    """One that is under way."""

    relay: Line
    ticket: bytes
    introducer: Introducer
    ends: IDelayedCall


class Handshake:
    """
    With one peer. Of the two the one whose name is lower calls.

    A relay may hand on nothing, or tell what is not so. So there is one handshake for each relay and not one for all:
    through the nearest first, a moment later through the next one too, and what is done through one relay never ends
    what is done through another.

    :param peer: its name.
    """

    def __init__(self, around: Surroundings, peer: str, listener: Acquainted, relays: RelaysOfPeers) -> None:
        self.caller = around.ourselves.calls(peer)
        self._around, self._peer, self._listener, self._relays = around, peer, listener, relays
        self._ours = around.ourselves
        self._under_way: dict[int, _Attempt] = {}  # by number of the relay
        self._over_with: deque[bytes] = deque(maxlen=MOST_TICKETS)  # whose late bytes begin nothing
        self._allowances = SourceLimiter(HANDSHAKES, HANDSHAKES_AT_ONCE, MOST_RELAYS)  # by number of the relay
        self._failed_at: dict[int, float] = {}  # by number of the relay: the last handshake that failed
        self._to_try: list[Line] = []
        self._trying: IDelayedCall | None = None  # the next of them

    @property
    def busy(self) -> bool:
        """Whether a handshake is under way, or will be in a moment."""
        return bool(self._under_way) or self._trying is not None

    # -- beginning -----------------------------------------------------------------------------------------------------

    def greet(self) -> None:
        """Begin a handshake through one relay after the other until one is complete; or ask for it."""
        now = self._around.now()
        recently = {number for number, at in self._failed_at.items() if now - at < SHUNNED_FOR}
        self._to_try = sorted(self._relays.having(self._peer), key=lambda relay: relay.number in recently)
        if not self._to_try:
            self._around.clock.callLater(0, self._listener.failed_to_meet, "no relay has it")
        elif self.caller:
            self._try_next()
        else:
            self._trying = self._around.clock.callLater(CALL_AFTER, self._try_next)

    def _try_next(self) -> None:
        self._stop_trying()
        while self._to_try and not self._try(self._to_try.pop(0)):
            pass
        if self._to_try:
            self._trying = self._around.clock.callLater(HEDGE, self._try_next)

    def _try(self, relay: Line) -> bool:
        if not self.caller:
            return relay.post(self._peer, CALL, b"!")
        if relay.number in self._under_way or not self._relays.may_meet(relay):
            return False
        self._begin(relay, self._around.entropy(TICKET)).start()
        return True

    def _stop_trying(self) -> None:
        if self._trying is not None and self._trying.active():
            self._trying.cancel()
        self._trying = None

    def also(self, relay: Line) -> None:
        """The peer has come to that relay too, or anew: what is under way through others goes on."""
        if relay.number in self._under_way:
            self.check(relay)
        elif relay not in self._to_try:
            self._to_try.append(relay)
            if self._trying is None:
                self._trying = self._around.clock.callLater(HEDGE, self._try_next)

    def check(self, relay: Line) -> None:
        """That relay says that the peer is another process, or is there anew: a handshake through it shows."""
        known = self._under_way.get(relay.number)
        if self.caller and self._allows(relay):
            if known is not None:
                self._end(known)
            self._begin(relay, self._around.entropy(TICKET)).start()

    def called(self, relay: Line) -> None:
        """The peer asks us to begin."""
        if self.caller and relay.number not in self._under_way:
            self._listener.asked_to_call(relay)

    def give_up(self) -> None:
        """End every handshake under way."""
        self._stop_trying()
        self._to_try = []
        for attempt in list(self._under_way.values()):
            self._failed_at[attempt.relay.number] = self._around.now()
            self._end(attempt)

    def lost(self, relay: Line) -> None:
        """The peer is not there any more, or we are not."""
        if relay in self._to_try:
            self._to_try.remove(relay)
        attempt = self._under_way.get(relay.number)
        if attempt is not None:
            self._over(attempt.introducer, "the relay of the handshake is lost")

    def received(self, relay: Line, content: bytes) -> None:
        """Bytes of TLS from the peer."""
        ticket, data = content[:TICKET], content[TICKET:]
        attempt = self._under_way.get(relay.number)
        if attempt is not None and ticket == attempt.ticket:
            attempt.introducer.received(data)
        elif not self.caller and self._is_new(ticket) and self._allows(relay):
            if attempt is not None:
                self._end(attempt)
            self._begin(relay, ticket).received(data)
        else:
            self._around.history.count("handshake_astray")

    def _is_new(self, ticket: bytes) -> bool:
        return len(ticket) == TICKET and ticket not in self._over_with

    def _allows(self, relay: Line) -> bool:
        """Whether one more may begin because that relay has told something."""
        mine = self._allowances.admit(str(relay.number), now=self._around.now())
        return mine and self._relays.may_meet(relay)

    def _begin(self, relay: Line, ticket: bytes) -> Introducer:
        tls = PeerTls(self._ours.identity(), self._peer, self._ours.is_revoked)

        def carry(data: bytes) -> None:
            relay.post(self._peer, TLS_BYTES, ticket + data)

        self._over_with.append(ticket)
        introducer = Introducer(tls, carry, self, caller=self.caller)
        ends = self._around.clock.callLater(HANDSHAKE_WITHIN, self._over, introducer, "no answer")
        self._under_way[relay.number] = _Attempt(relay, ticket, introducer, ends)
        return introducer

    def _end(self, attempt: _Attempt) -> None:
        attempt.introducer.close()
        if attempt.ends.active():
            attempt.ends.cancel()
        del self._under_way[attempt.relay.number]

    # -- what the introducer tells -------------------------------------------------------------------------------------

    def introduced(self, introducer: Introducer) -> None:
        """The peer has shown who it is."""
        assert introducer.peer is not None  # it says so by this call
        ours = self._ours
        if not ours.foreign(introducer.peer.addresses):
            introducer.say(NotNow("your certificate has no inner address of our network: join anew"))
            self._over(introducer, "its certificate has no inner address of our network: it must join anew")
        elif introducer.caller:
            framings = ("compact", "seed") if ours.tuning.framing == "compact" else ("seed",)
            candidates = tuple(map(str, ours.candidates()))
            wait = ours.tuning.repair_ms
            introducer.say(
                Greeting(ours.name, ours.instance, framings, candidates, ours.tuning.mtu, reorder_tcp_ms=wait)
            )

    def said(self, introducer: Introducer, message: Introduction) -> None:
        """:raises MalformedFrame: it has no place here."""
        match message:
            case Greeting() if not introducer.caller and message.name == self._peer:
                kept = self._listener.keeps(message.instance)
                if kept:
                    introducer.say(NotNow(kept))
                    self._over(introducer, kept)
                else:
                    self._welcome(introducer, message)
            case Established() if introducer.caller and message.name == self._peer:
                self._take_over(introducer, message)
            case NotNow():
                self._over(introducer, message.reason)
            case _:
                raise MalformedFrame(f"{message.type} out of place")

    def failed(self, introducer: Introducer, reason: str) -> None:
        """It came to nothing."""
        self._over(introducer, reason)

    def _over(self, introducer: Introducer, reason: str) -> None:
        introducer.close()
        attempt = next((each for each in self._under_way.values() if each.introducer is introducer), None)
        if attempt is None:
            return
        self._end(attempt)
        self._failed_at[attempt.relay.number] = self._around.now()
        if self._under_way:
            return
        if self._to_try:
            self._try_next()
        else:
            self._listener.failed_to_meet(reason)

    # -- the session ---------------------------------------------------------------------------------------------------

    def _welcome(self, introducer: Introducer, greeting: Greeting) -> None:
        """The called one makes the session."""
        ours, tuning = self._ours, self._ours.tuning
        framing = tuning.framing if tuning.framing in greeting.framings else "seed"
        tuning = dataclasses.replace(tuning, framing=framing, mtu=min(tuning.mtu, greeting.mtu))
        name = self._around.entropy(16)
        session = self._listener.make_session(introducer, name, tuning)
        session.be_patient(greeting.reorder_tcp_ms / 1000)
        ids = self._listener.issue_ids(session, FIRST_IDS)
        introducer.say(
            Established(
                name=ours.name,
                instance=ours.instance,
                session=name.hex(),
                ids=tuple(each.hex() for each in ids),
                framing=framing,
                places=tuple(map(str, ours.candidates())),
                mtu=tuning.mtu,
                heartbeat_s=min(tuning.heartbeat_s, KEEPALIVE),
                rekey_seconds=tuning.rekey_seconds,
                rekey_packets=tuning.rekey_packets,
                reorder_tcp_ms=tuning.repair_ms,
            )
        )
        self._done(introducer)
        self._listener.met(greeting.instance, greeting.places)

    def _take_over(self, introducer: Introducer, said: Established) -> None:
        """The caller makes the same session."""
        if said.framing not in FORMATS:
            raise MalformedFrame("framing that we do not know")
        ours = self._ours.tuning
        tuning = agreed(ours, said, said.framing)
        tuning = dataclasses.replace(tuning, heartbeat_s=heartbeat(ours.heartbeat_s, said.heartbeat_s))
        session = self._listener.make_session(introducer, bytes.fromhex(said.session), tuning)
        session.inbound.keys.expect(said.rekey_seconds)
        session.be_patient(said.reorder_tcp_ms / 1000)
        session.add_ids(bytes.fromhex(text) for text in said.ids)
        self._done(introducer)
        self._listener.met(said.instance, said.places)

    def _done(self, introducer: Introducer) -> None:
        introducer.close()
        self.give_up()
        self._failed_at.clear()
