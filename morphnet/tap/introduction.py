"""How two peers get a session: one TLS handshake through a relay, and what they say in it."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from twisted.internet.interfaces import IDelayedCall

from morphnet.config import FRAMINGS, Tuning
from morphnet.errors import MalformedFrame
from morphnet.net.introducer import Introducer
from morphnet.net.limits import TokenBucket
from morphnet.net.relay_client import RelayClient
from morphnet.net.tls import PeerTls
from morphnet.tap.agreed import agreed, heartbeat
from morphnet.tunnel.session import Session
from morphnet.wire.introductions import Established, Greeting, Introduction, NotNow
from morphnet.wire.relaying import CALL
from morphnet.wire.relaying import HANDSHAKE as TLS_BYTES

if TYPE_CHECKING:
    from morphnet.tap.mesh import Mesh

MOST_TICKETS = 16  # remembered
TICKET = 4  # bytes in front of TLS that tell one handshake from the next
CALL_AFTER = 1.0  # seconds that the one who is called waits before it asks to be
FIRST_IDS = 8
KEEPALIVE = 4.0  # seconds: there are NATs that forget a silent mapping after five; figure C9
HANDSHAKES, HANDSHAKES_AT_ONCE = 1.0, 5  # a second that a peer may begin


class Acquainted(Protocol):
    """Who gets the session."""

    def make_session(self, introducer: Introducer, name: bytes, tuning: Tuning) -> Session:
        """The peer is who it says: this is the session's name."""
        ...

    def met(self, instance: str, places: tuple[str, ...]) -> None:
        """Both ends have it now."""
        ...

    def failed_to_meet(self, reason: str) -> None:
        """It came to nothing."""
        ...

    def asked_to_call(self) -> None:
        """The peer has no session with us, whatever we think."""
        ...


class Meeting:
    """
    With one peer. Of the two the one whose name is lower calls.

    :param carry_through: the nearest relay where the peer is, or None.
    """

    def __init__(
        self, mesh: Mesh, peer: str, listener: Acquainted, carry_through: Callable[[], RelayClient | None]
    ) -> None:
        self.caller = mesh.name < peer
        self._mesh, self._peer, self._listener, self._relay = mesh, peer, listener, carry_through
        self._introducer: Introducer | None = None
        self._ticket = b""
        self._over_with: deque[bytes] = deque(maxlen=MOST_TICKETS)  # whose late bytes begin nothing
        self.through: RelayClient | None = None  # the relay of the handshake under way
        self._allowance = TokenBucket(HANDSHAKES, HANDSHAKES_AT_ONCE, now=mesh.clock.seconds())
        self._calling: IDelayedCall | None = None

    # -- beginning -----------------------------------------------------------------------------------------------------

    def greet(self) -> None:
        """Begin a handshake through the nearest relay where the peer is; or ask for one."""
        relay = self._relay()
        if relay is None:
            self._mesh.clock.callLater(0, self._listener.failed_to_meet, "no relay has it")
        elif self.caller:
            self._begin(relay, self._mesh.entropy(TICKET)).start()
        else:
            self._calling = self._mesh.clock.callLater(CALL_AFTER, self._ask_for_call)

    def _ask_for_call(self) -> None:
        relay = self._relay()
        if relay is not None:
            relay.post(self._peer, CALL, b"!")

    def called(self) -> None:
        """The peer asks us to begin."""
        if self.caller and self._introducer is None and self._allowance.take(now=self._mesh.clock.seconds()):
            self._listener.asked_to_call()

    def give_up(self) -> None:
        """End the handshake under way."""
        if self._introducer is not None:
            self._introducer.close()
        if self._calling is not None and self._calling.active():
            self._calling.cancel()
        self._introducer, self._ticket, self._calling, self.through = None, b"", None, None

    def received(self, relay: RelayClient, content: bytes) -> None:
        """Bytes of TLS from the peer."""
        ticket, data = content[:TICKET], content[TICKET:]
        if self._introducer is not None and ticket == self._ticket:
            self._introducer.received(data)
        elif not self.caller and self._is_new(ticket) and self._allowance.take(now=self._mesh.clock.seconds()):
            self.give_up()
            self._begin(relay, ticket).received(data)
        else:
            self._mesh.counts["handshake_astray"] += 1

    def _is_new(self, ticket: bytes) -> bool:
        return len(ticket) == TICKET and ticket not in self._over_with

    def _begin(self, relay: RelayClient, ticket: bytes) -> Introducer:
        tls = PeerTls(self._mesh.identity(), self._peer, self._mesh.is_revoked)

        def carry(data: bytes) -> None:
            relay.post(self._peer, TLS_BYTES, ticket + data)

        self._ticket, self.through = ticket, relay
        self._over_with.append(ticket)
        self._introducer = Introducer(tls, carry, self, caller=self.caller)
        return self._introducer

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
            introducer.say(Greeting(mesh.name, mesh.instance, framings, places, mesh.tuning.mtu))

    def said(self, introducer: Introducer, message: Introduction) -> None:
        """:raises MalformedFrame: it has no place here."""
        match message:
            case Greeting() if not introducer.caller and message.name == self._peer:
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
        if introducer is self._introducer:
            self._introducer = self.through = None
        self._listener.failed_to_meet(reason)

    # -- the session ---------------------------------------------------------------------------------------------------

    def _welcome(self, introducer: Introducer, greeting: Greeting) -> None:
        """The called one makes the session."""
        mesh, tuning = self._mesh, self._mesh.tuning
        framing = tuning.framing if tuning.framing in greeting.framings else "seed"
        tuning = dataclasses.replace(tuning, framing=framing, mtu=min(tuning.mtu, greeting.mtu))
        name = mesh.entropy(16)
        session = self._listener.make_session(introducer, name, tuning)
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
        session.add_spares(bytes.fromhex(text) for text in said.ids)
        self._done(introducer)
        self._listener.met(said.instance, said.places)

    def _done(self, introducer: Introducer) -> None:
        introducer.close()
        self.give_up()
