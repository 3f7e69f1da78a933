"""Two peers who are introduced to each other in memory, and a relay between them that does as a test likes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from morphnet.errors import MalformedFrame
from morphnet.net.tls import Identity, PeerTls
from morphnet.roles.peers.peer_tls import Introducer
from morphnet.wire.messages.peer import Established, Greeting, Introduction
from tests.fakes_tls import CLIENT, FakeCa
from tests.wire.messages.test_peer import ESTABLISHED, GREETING

NAMES = {True: "laptop", False: "phone"}  # of the caller, and of whom it calls
Relay = Callable[[bool, bytes], list[bytes]]  # takes whether the caller has sent it, and what; gives what arrives


def honest(by_caller: bool, data: bytes) -> list[bytes]:
    """A relay that does what it is there for."""
    return [data]


class End:
    """One peer: it has a session when the other one has said what makes one."""

    def __init__(self, tls: PeerTls, *, caller: bool, pq: str = "require") -> None:
        self.out: deque[bytes] = deque()
        self.peers: list[str] = []  # to whom it was introduced
        self.reasons: list[str] = []  # why it failed
        self.session = False
        self.introducer = Introducer(tls, self.out.append, self, caller=caller, pq=pq)

    def introduced(self, introducer: Introducer) -> None:
        """Note the peer; the caller greets it."""
        assert introducer.peer is not None
        self.peers.append(introducer.peer.name)
        if introducer.caller:
            introducer.say(GREETING)

    def said(self, introducer: Introducer, message: Introduction) -> None:
        """Make the session: the called end on a Greeting, which it answers, the caller on Established."""
        if not self.peers or not isinstance(message, Established if introducer.caller else Greeting):
            raise MalformedFrame(f"{message.type} out of place")
        self.session = True
        if not introducer.caller:
            introducer.say(ESTABLISHED)

    def failed(self, introducer: Introducer, reason: str) -> None:
        self.reasons.append(reason)

    def key(self) -> bytes:
        """What only the two ends have."""
        return self.introducer.export(b"session", 64)


class Couple:
    """The two of one network."""

    def __init__(self) -> None:
        self.ca = FakeCa()
        self.revoked: set[str] = set()
        self.identities = {caller: self.ca.identity(name, CLIENT) for caller, name in NAMES.items()}
        self._tls: dict[bool, PeerTls] = {caller: self.tls(caller) for caller in NAMES}

    def tls(self, caller: bool, identity: Identity | None = None) -> PeerTls:
        """What an end shows, and insists on."""
        return PeerTls(identity or self.identities[caller], NAMES[not caller], lambda peer: peer.serial in self.revoked)

    def ends(self, *identities: tuple[bool, Identity], pq: str = "require") -> tuple[End, End]:
        """The caller and the called, before they begin; `identities` are shown in place of their own."""
        shown = self._tls | {caller: self.tls(caller, identity) for caller, identity in identities}
        return End(shown[True], caller=True, pq=pq), End(shown[False], caller=False, pq=pq)

    def flights(self) -> list[tuple[bool, bytes]]:
        """All that passes between two ends who are left alone: whether the caller said it, and what."""
        seen: list[tuple[bool, bytes]] = []

        def note(by_caller: bool, data: bytes) -> list[bytes]:
            seen.append((by_caller, data))
            return [data]

        talk(*self.ends(), note)
        return seen


def talk(caller: End, called: End, relay: Relay = honest) -> None:
    """Let the caller begin, and all arrive that the relay lets through."""
    caller.introducer.start()
    while caller.out or called.out:
        for sender, receiver in ((caller, called), (called, caller)):
            flight = b"".join(sender.out)
            sender.out.clear()
            if flight:
                for piece in relay(sender is caller, flight):
                    receiver.introducer.received(piece)
