"""How two peers get a session: one TLS handshake through a relay, and what they say in it."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from twisted.internet.interfaces import IDelayedCall

from morphnet.config.roles import FRAMINGS, Tuning
from morphnet.errors import MalformedFrame
from morphnet.net.introducer import Introducer
from morphnet.net.limits import TokenBucket
from morphnet.net.relay_client import RelayClient
from morphnet.net.tls import PeerTls
from morphnet.roles.process.agreed import agreed, heartbeat
from morphnet.tunnel.session import Session
from morphnet.wire.introductions import Established, Greeting, Introduction, NotNow
from morphnet.wire.relaying import CALL
from morphnet.wire.relaying import HANDSHAKE as TLS_BYTES

if TYPE_CHECKING:
    from morphnet.roles.peers.mesh import Mesh

MOST_TICKETS = 16  # remembered
TICKET = 4  # bytes in front of TLS that tell one handshake from the next
CALL_AFTER = 1.0  # seconds that the one who is called waits before it asks to be
HEDGE = 1.5  # seconds for a handshake before another one begins through the next relay
HANDSHAKE_WITHIN = 10.0  # seconds after which one is over, also where the other end has begun it
SHUNNED_FOR = 60.0  # seconds for which a relay is tried last after it was in vain
FIRST_IDS = 8
KEEPALIVE = 4.0  # seconds: there are NATs that forget a silent mapping after five; figure C9
HANDSHAKES, HANDSHAKES_AT_ONCE = 1.0, 5  # a second that begin with one peer because of what one relay tells


class Acquainted(Protocol):
    """Who gets the session."""

    def make_session(self, introducer: Introducer, name: bytes, tuning: Tuning) -> Session:
        """The peer is who it says: this is the session's name."""
        ...

    def keeps(self, instance: str) -> str:
        """Why the session with that process of the peer is not given up for another one; "" if it is."""
        ...

    def met(self, instance: str, places: tuple[str, ...]) -> None:
        """Both ends have it now."""
        ...

    def failed_to_meet(self, reason: str) -> None:
        """It came to nothing."""
        ...

    def asked_to_call(self, relay: RelayClient) -> None:
        """That relay says that the peer has no session with us."""
        ...


@dataclass(slots=True)
class _Attempt:
    """One that is under way."""

    relay: RelayClient
    ticket: bytes
    introducer: Introducer
    ends: IDelayedCall


class Handshake:
    """
    With one peer. Of the two the one whose name is lower calls.

    A relay may hand on nothing, or tell what is not so. So there is one handshake for each relay and not one for all:
    through the nearest first, a moment later through the next one too, and what is done through one relay never ends
    what is done through another.

    :param relays: those where the peer is, the nearest first.
    """

    def __init__(
        self, mesh: Mesh, peer: str, listener: Acquainted, relays: Callable[[], Sequence[RelayClient]]
    ) -> None:
        self.caller = mesh.name < peer
        self._mesh, self._peer, self._listener, self._relays = mesh, peer, listener, relays
        self._under_way: dict[int, _Attempt] = {}  # by number of the relay
        self._over_with: deque[bytes] = deque(maxlen=MOST_TICKETS)  # whose late bytes begin nothing
        self._allowances: dict[int, TokenBucket] = {}  # by number of the relay
        self._failed_at: dict[int, float] = {}  # by number of the relay, when it was the last time in vain
        self._to_try: list[RelayClient] = []
        self._trying: IDelayedCall | None = None  # the next of them

    @property
    def busy(self) -> bool:
        """Whether a handshake is under way, or will be in a moment."""
        return bool(self._under_way) or self._trying is not None

    # -- beginning -----------------------------------------------------------------------------------------------------

    def greet(self) -> None:
        """Begin a handshake through one relay after the other until one is complete; or ask for it."""
        now = self._mesh.clock.seconds()
        recently = {number for number, at in self._failed_at.items() if now - at < SHUNNED_FOR}
        self._to_try = sorted(self._relays(), key=lambda relay: relay.number in recently)
        if not self._to_try:
            self._mesh.clock.callLater(0, self._listener.failed_to_meet, "no relay has it")
        elif self.caller:
            self._try_next()
        else:
            self._trying = self._mesh.clock.callLater(CALL_AFTER, self._try_next)

    def _try_next(self) -> None:
        self._stop_trying()
        while self._to_try and not self._try(self._to_try.pop(0)):
            pass
        if self._to_try:
            self._trying = self._mesh.clock.callLater(HEDGE, self._try_next)

    def _try(self, relay: RelayClient) -> bool:
        if not self.caller:
            return relay.post(self._peer, CALL, b"!")
        if relay.number in self._under_way or not self._mesh.may_meet(relay):
            return False
        self._begin(relay, self._mesh.entropy(TICKET)).start()
        return True

    def _stop_trying(self) -> None:
        if self._trying is not None and self._trying.active():
            self._trying.cancel()
        self._trying = None

    def also(self, relay: RelayClient) -> None:
        """The peer has come to that relay too, or anew: what is under way through others goes on."""
        if relay.number in self._under_way:
            self.check(relay)
        elif relay not in self._to_try:
            self._to_try.append(relay)
            if self._trying is None:
                self._trying = self._mesh.clock.callLater(HEDGE, self._try_next)

    def check(self, relay: RelayClient) -> None:
        """That relay says that the peer is another process, or is there anew: a handshake through it shows."""
        known = self._under_way.get(relay.number)
        if self.caller and self._allows(relay):
            if known is not None:
                self._end(known)
            self._begin(relay, self._mesh.entropy(TICKET)).start()

    def called(self, relay: RelayClient) -> None:
        """The peer asks us to begin."""
        if self.caller and relay.number not in self._under_way:
            self._listener.asked_to_call(relay)

    def give_up(self) -> None:
        """End every handshake under way."""
        self._stop_trying()
        self._to_try = []
        for handshake in list(self._under_way.values()):
            self._failed_at[handshake.relay.number] = self._mesh.clock.seconds()
            self._end(handshake)

    def lost(self, relay: RelayClient) -> None:
        """The peer is not there any more, or we are not."""
        if relay in self._to_try:
            self._to_try.remove(relay)
        handshake = self._under_way.get(relay.number)
        if handshake is not None:
            self._over(handshake.introducer, "the relay of the handshake is lost")

    def received(self, relay: RelayClient, content: bytes) -> None:
        """Bytes of TLS from the peer."""
        ticket, data = content[:TICKET], content[TICKET:]
        handshake = self._under_way.get(relay.number)
        if handshake is not None and ticket == handshake.ticket:
            handshake.introducer.received(data)
        elif not self.caller and self._is_new(ticket) and self._allows(relay):
            if handshake is not None:
                self._end(handshake)
            self._begin(relay, ticket).received(data)
        else:
            self._mesh.counts["handshake_astray"] += 1

    def _is_new(self, ticket: bytes) -> bool:
        return len(ticket) == TICKET and ticket not in self._over_with

    def _allows(self, relay: RelayClient) -> bool:
        """Whether one more may begin because that relay has told something."""
        now = self._mesh.clock.seconds()
        allowance = self._allowances.get(relay.number)
        if allowance is None:
            allowance = self._allowances[relay.number] = TokenBucket(HANDSHAKES, HANDSHAKES_AT_ONCE, now=now)
        return allowance.take(now=now) and self._mesh.may_meet(relay)

    def _begin(self, relay: RelayClient, ticket: bytes) -> Introducer:
        tls = PeerTls(self._mesh.identity(), self._peer, self._mesh.is_revoked)

        def carry(data: bytes) -> None:
            relay.post(self._peer, TLS_BYTES, ticket + data)

        self._over_with.append(ticket)
        introducer = Introducer(tls, carry, self, caller=self.caller)
        ends = self._mesh.clock.callLater(HANDSHAKE_WITHIN, self._over, introducer, "no answer")
        self._under_way[relay.number] = _Attempt(relay, ticket, introducer, ends)
        return introducer

    def _end(self, handshake: _Attempt) -> None:
        handshake.introducer.close()
        if handshake.ends.active():
            handshake.ends.cancel()
        del self._under_way[handshake.relay.number]

    # -- what the introducer tells -------------------------------------------------------------------------------------

    def introduced(self, introducer: Introducer) -> None:
        """The peer has shown who it is."""
        assert introducer.peer is not None  # it says so by this call
        mesh = self._mesh
        if not mesh.foreign(introducer.peer.addresses):
            introducer.say(NotNow("your certificate has no inner address of our network: join anew"))
            self._over(introducer, "its certificate has no inner address of our network: it must join anew")
        elif introducer.caller:
            framings = ("compact", "seed") if mesh.tuning.framing == "compact" else ("seed",)
            places = tuple(map(str, mesh.places()))
            wait = mesh.tuning.repair_ms
            introducer.say(Greeting(mesh.name, mesh.instance, framings, places, mesh.tuning.mtu, reorder_tcp_ms=wait))

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
        handshake = next((each for each in self._under_way.values() if each.introducer is introducer), None)
        if handshake is None:
            return
        self._end(handshake)
        self._failed_at[handshake.relay.number] = self._mesh.clock.seconds()
        if self._under_way:
            return
        if self._to_try:
            self._try_next()
        else:
            self._listener.failed_to_meet(reason)

    # -- the session ---------------------------------------------------------------------------------------------------

    def _welcome(self, introducer: Introducer, greeting: Greeting) -> None:
        """The called one makes the session."""
        mesh, tuning = self._mesh, self._mesh.tuning
        framing = tuning.framing if tuning.framing in greeting.framings else "seed"
        tuning = dataclasses.replace(tuning, framing=framing, mtu=min(tuning.mtu, greeting.mtu))
        name = mesh.entropy(16)
        session = self._listener.make_session(introducer, name, tuning)
        session.be_patient(greeting.reorder_tcp_ms / 1000)
        ids = mesh.pump.tunnel.issue_ids(session, FIRST_IDS)
        introducer.say(
            Established(
                name=mesh.name,
                instance=mesh.instance,
                session=name.hex(),
                ids=tuple(each.hex() for each in ids),
                framing=framing,
                places=tuple(map(str, mesh.places())),
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
        if said.framing not in FRAMINGS:
            raise MalformedFrame("framing that we do not know")
        ours = self._mesh.tuning
        tuning = agreed(ours, said, said.framing)
        tuning = dataclasses.replace(tuning, heartbeat_s=heartbeat(ours.heartbeat_s, said.heartbeat_s))
        session = self._listener.make_session(introducer, bytes.fromhex(said.session), tuning)
        session.inbound.keys.expect(said.rekey_seconds)
        session.be_patient(said.reorder_tcp_ms / 1000)
        session.add_spares(bytes.fromhex(text) for text in said.ids)
        self._done(introducer)
        self._listener.met(said.instance, said.places)

    def _done(self, introducer: Introducer) -> None:
        introducer.close()
        self.give_up()
        self._failed_at.clear()
