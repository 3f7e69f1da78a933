"""
The coordinator's side of the original's UDP: which home servers are registered, and what they are told.

The original loses a server for good when one HEARTBEAT is lost: the server has changed its key, and does not know that
we have not. Here a server that we may not understand any more is told so (ERROR) at its next PING, and registers again;
that is so when a HEARTBEAT does not open, when none came when one was due, and when an offer was not answered.

Source: docs/homechannel section 2.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from morphnet.errors import Forged, MalformedFrame, PeerError
from morphnet.legacy.homechannel import boxes, datagrams, keys
from morphnet.legacy.homechannel.boxes import text_of
from morphnet.wire.batch import Endpoint

DEAD_AFTER = 120.0  # seconds of silence
ONLINE = 60.0  # seconds after its last word that a browser is told that a server is there
REFRESH = 600.0 + 45.0  # seconds after which a server has refreshed its challenge, or we have missed it
COOKIE_AGE = 15.0  # seconds that one is good, and up to twice that
AGREED_AGE = 30.0  # seconds from an agreement to the registration
MOST_AGREED = 1024  # the oldest goes

Place = tuple[str, int]


@dataclass(slots=True)
class _Agreed:
    """Somebody who has an agreed key and may register with it."""

    key: bytes
    both: str  # public keys of both ends, the server's first, in hex
    p256: bool
    at: float


@dataclass(slots=True)
class Server:
    """One that is registered."""

    name: str  # its public key, as `keys.plain` gives it
    first: bool  # of the first generation: it knows no OFFER and no PONG
    where: Endpoint
    challenge: str
    answer: str  # that a browser has to give, in hex; the key follows from it
    heard_at: float
    refreshed_at: float
    doubted: bool = False  # we may not understand each other any more


class Servers:
    """
    All of them.

    :param entropy: gives so many random bytes.
    :param wall: milliseconds of Unix time.
    :param signers: our key for each generation, the first one's first.
    :param admits: whether the server with that public key may register.
    :param most: servers at once.
    """

    def __init__(
        self,
        entropy: Callable[[int], bytes],
        wall: Callable[[], int],
        signers: tuple[keys.SigningKey, keys.SigningKey],
        admits: Callable[[str], bool],
        most: int,
    ) -> None:
        self._entropy, self._wall, self._signers = entropy, wall, signers
        self._secret = entropy(32)  # of the cookies
        self._admits, self._most = admits, most
        self._agreed: dict[Place, _Agreed] = {}
        self._servers: dict[str, Server] = {}
        self._at: dict[Place, Server] = {}
        self.send: Callable[[Endpoint, bytes], None] = lambda where, datagram: None
        self.may_agree: Callable[[str], bool] = lambda host: True  # it costs us more than it costs them
        self.answered: Callable[[str, dict[str, Any]], None] = lambda name, message: None
        self.told: Callable[[str, str], None] = lambda name, text: None
        self.counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._servers)

    def of(self, name: str) -> Server | None:
        """The one with that public key."""
        return self._servers.get(name)

    def received(self, where: Endpoint, datagram: bytes, now: float) -> None:
        """A datagram has come; what is wrong with it is counted."""
        try:
            kind, payload = datagrams.decode(datagram)
            if kind == datagrams.HELLO:
                tag = datagrams.tag(payload)
                self._say(where, datagrams.HELLO_ACK, tag + self._cookie(where, int(now // COOKIE_AGE)))
            elif kind == datagrams.ECDH_INIT:
                self._agree(where, payload, now)
            elif kind == datagrams.REGISTER:
                self._register(where, payload, now)
            elif kind == datagrams.PING:
                self._ping(where, now)
            else:
                self._sealed(where, kind, payload, now)
        except Forged:
            self.counts["homechannel_forged"] += 1
        except PeerError:
            self.counts["homechannel_malformed"] += 1

    def _say(self, where: Endpoint, kind: int, payload: bytes = b"") -> None:
        self.send(where, datagrams.encode(kind, payload))

    # -- registering -----------------------------------------------------------------------------------------------

    def _cookie(self, where: Endpoint, period: int) -> bytes:
        said = f"{where.host} {where.port} {period}".encode()
        return hmac.digest(self._secret, said, "sha256")[: datagrams.TAG]

    def _agree(self, where: Endpoint, payload: bytes, now: float) -> None:
        tag, theirs, _ = datagrams.read_key_message(payload, datagrams.TAG)
        period = int(now // COOKIE_AGE)
        if not any(hmac.compare_digest(tag, self._cookie(where, each)) for each in (period, period - 1, period - 2)):
            raise Forged("cookie")
        if not self.may_agree(where.host):
            self.counts["homechannel_refused"] += 1
            return
        try:
            own, secret = keys.agree(theirs, self._entropy(keys.ENTROPY))
        except MalformedFrame:
            self._say(where, datagrams.ERROR)
            raise
        key = boxes.key_of(secret)
        signer = self._signers[0 if keys.is_p256(theirs) else 1]
        told = {"timestamp": self._wall(), "signature": keys.sign(signer, own + theirs)}
        self._agreed.pop(where[:2], None)
        while len(self._agreed) >= MOST_AGREED:
            del self._agreed[next(iter(self._agreed))]
        self._agreed[where[:2]] = _Agreed(key, (theirs + own).hex(), keys.is_p256(theirs), now)
        box = boxes.seal(key, self._entropy(boxes.IV), told)
        self._say(where, datagrams.ECDH_RESPONSE, datagrams.key_message(own, after=box))

    def _register(self, where: Endpoint, payload: bytes, now: float) -> None:
        agreed = self._agreed.get(where[:2])
        if agreed is None or agreed.at < now - AGREED_AGE:
            raise Forged("registration without an agreement")
        message = boxes.open_box(agreed.key, payload)
        said, shown = message.get("payload"), text_of(message, "serverPublicKey")
        if not isinstance(said, dict):
            raise MalformedFrame("payload")
        challenge, answer = text_of(said, "challenge", 64), text_of(said, "challengeAnswerHash", 64)
        signed = {"ecdhKeys": agreed.both} | {
            name: message.get(name) for name in ("serverPublicKey", "timestamp", "payload")
        }
        name = keys.plain(shown)
        keys.verify(name, text_of(message, "signature", 1024), boxes.stringify(signed).encode())
        before = self._servers.get(name)
        if not self._admits(name) or (before is None and len(self._servers) >= self._most):
            self.counts["homechannel_refused"] += 1
            self.told(name, "a HomeChannel server that is not among 'homes' was turned away")
            return
        del self._agreed[where[:2]]
        self._forget(before)
        self._forget(self._at.get(where[:2]))
        first = agreed.p256 and shown != name  # it names itself in PEM
        server = Server(name, first, where, challenge, answer, heard_at=now, refreshed_at=now)
        self._servers[name] = self._at[where[:2]] = server
        self.counts["homechannel_registrations"] += 1
        told = {"status": "ok", "type": "register"}
        self._say(where, datagrams.REGISTER, boxes.seal(agreed.key, self._entropy(boxes.IV), told))
        if before is None:
            self.told(name, "a HomeChannel server has registered")

    def _forget(self, server: Server | None) -> None:
        if server is not None and self._servers.get(server.name) is server:
            del self._servers[server.name]
            self._at.pop(server.where[:2], None)

    # -- while it is here ------------------------------------------------------------------------------------------

    def _ping(self, where: Endpoint, now: float) -> None:
        server = self._at.get(where[:2])
        if server is None or server.doubted or server.refreshed_at < now - REFRESH:
            self.counts["homechannel_unknown"] += 1
            self._say(where, datagrams.ERROR)  # it registers again at once
            return
        server.heard_at = now
        if not server.first:
            self._say(where, datagrams.PONG)

    def _sealed(self, where: Endpoint, kind: int, payload: bytes, now: float) -> None:
        server = self._at.get(where[:2])
        if server is None:
            raise Forged("from nobody")
        try:
            message = boxes.open_box(boxes.key_of(server.answer), payload)
        except PeerError:
            server.doubted = True
            raise
        server.heard_at = now
        if kind == datagrams.HEARTBEAT:
            said = message.get("payload")
            if not isinstance(said, dict):
                raise MalformedFrame("payload")
            challenge, answer = text_of(said, "newChallenge", 64), text_of(said, "challengeAnswerHash", 64)
            server.challenge, server.answer, server.refreshed_at = challenge, answer, now
        elif kind == datagrams.ANSWER:
            self.answered(server.name, message)
        else:
            raise MalformedFrame(f"type {kind}")

    def offer(self, name: str, session: str, payload: dict[str, Any]) -> bool:
        """Hand a browser's offer on; False when that server is not here, or knows none."""
        server = self._servers.get(name)
        if server is None or server.first:
            return False
        message = {"type": "offer", "sessionId": session, "timestamp": self._wall(), "payload": payload}
        box = boxes.seal(boxes.key_of(server.answer), self._entropy(boxes.IV), message)
        if len(box) + 2 > datagrams.LONGEST:
            return False
        self._say(server.where, datagrams.OFFER, box)
        return True

    def doubt(self, name: str) -> None:
        """It did not answer an offer."""
        server = self._servers.get(name)
        if server is not None:
            server.doubted = True

    def expire(self, now: float) -> None:
        """Forget those that were silent for too long."""
        for server in [each for each in self._servers.values() if each.heard_at < now - DEAD_AFTER]:
            self._forget(server)
            self.told(server.name, "a HomeChannel server fell silent")
        for place in [place for place, each in self._agreed.items() if each.at < now - AGREED_AGE]:
            del self._agreed[place]
