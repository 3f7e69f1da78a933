"""
A home of ours as the original's coordinator and browsers see it: it registers by the original's UDP.

What the original does wrong at this end is done otherwise here: an ERROR, which anybody can send, takes nothing away,
as the old registration counts until there is a new one; MIGRATE is not believed; a HEARTBEAT that was lost is noticed
by an offer under the key of before, and sent again; the coordinator has to show its key.

Source: docs/homechannel section 2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from morphnet.errors import Forged, MalformedFrame, PeerError
from morphnet.legacy.homechannel import boxes, datagrams, keys
from morphnet.legacy.homechannel.boxes import text_of

AGAIN = 5.0  # seconds without an answer until the next HELLO
LONGEST_WAIT = 60.0
PING_EVERY = 30.0
SILENT = 90.0  # seconds without PONG after which we register again
REFRESH = 600.0
SOON = 15.0  # seconds that an answer to an offer may take
MOST_OFFERS = 256  # that are remembered


@dataclass(slots=True)
class _Attempt:
    """A registration that is under way."""

    tag: bytes
    ends: float  # when the next one begins
    own: keys.Agreement | None = None
    key: bytes = b""  # agreed
    challenge: str = ""
    answer: str = ""


@dataclass(slots=True)
class _Registered:
    """One that counts."""

    answer: str  # that a browser has to give: the key follows from it
    refreshed_at: float
    heard_at: float
    pinged_at: float
    before: str = ""  # the answer before the last HEARTBEAT, which may have been lost


class OldHome:
    """
    One home.

    :param entropy: gives so many random bytes.
    :param wall: milliseconds of Unix time.
    :param coordinator: its public key in base64, as `keys.plain` gives it.
    """

    def __init__(
        self,
        entropy: Callable[[int], bytes],
        wall: Callable[[], int],
        identity: keys.SigningKey,
        password: str,
        coordinator: str,
    ) -> None:
        self._entropy, self._wall, self._identity = entropy, wall, identity
        self._password, self._coordinator = password, coordinator
        self.name = keys.name_of(identity)
        self.send: Callable[[bytes], None] = lambda datagram: None
        self.offered: Callable[[str, dict[str, Any]], None] = lambda session, payload: None
        self._attempt: _Attempt | None = None
        self._registered: _Registered | None = None
        self._tries = 0
        self._offers: dict[str, bool] = {}  # the last sessions, and whether they wait for our answer
        self.counts: Counter[str] = Counter()

    @property
    def state(self) -> str:
        """What we are, in words."""
        return "registered" if self._registered is not None else "registering"

    def _say(self, kind: int, payload: bytes = b"") -> None:
        self.send(datagrams.encode(kind, payload))

    def _box(self, key: bytes, value: dict[str, Any]) -> bytes:
        return boxes.seal(key, self._entropy(boxes.IV), value)

    def tick(self, now: float) -> None:
        """Do what is due; once a second."""
        held = self._registered
        if held is not None and held.heard_at < now - SILENT:
            self._registered = held = None
            self.counts["homechannel_silent"] += 1
        if self._attempt is not None and self._attempt.ends <= now:
            self._attempt = None
        if self._attempt is None and held is None:
            self._begin(now)
        if held is not None and held.pinged_at <= now - PING_EVERY:
            held.pinged_at = now
            self._say(datagrams.PING)
        if held is not None and held.refreshed_at <= now - REFRESH:
            self._refresh(held, now)

    def _begin(self, now: float) -> None:
        self._attempt = _Attempt(self._entropy(datagrams.TAG), now + min(AGAIN * 2**self._tries, LONGEST_WAIT))
        self._tries = min(self._tries + 1, 5)
        self._say(datagrams.HELLO, self._attempt.tag)

    def _challenge(self) -> tuple[str, str]:
        challenge = self._entropy(16).hex()
        return challenge, boxes.answer_of(challenge, self._password)

    def _refresh(self, held: _Registered, now: float) -> None:
        challenge, answer = self._challenge()
        told = {"newChallenge": challenge, "challengeAnswerHash": answer}
        box = self._box(boxes.key_of(held.answer), {"type": "heartbeat", "payload": told})
        held.before, held.answer, held.refreshed_at = held.answer, answer, now
        self._say(datagrams.HEARTBEAT, box)

    # -- what the coordinator says ---------------------------------------------------------------------------------

    def received(self, datagram: bytes, now: float) -> None:
        """A datagram has come from the coordinator's address; what is wrong with it is counted."""
        try:
            kind, payload = datagrams.decode(datagram)
            if kind == datagrams.OFFER:
                self._offer(payload, now)
            elif kind == datagrams.PONG:
                if self._registered is not None:
                    self._registered.heard_at = now
            elif kind == datagrams.ERROR:
                if self._attempt is None:  # a hint, as anybody can send it
                    self._tries = 0
                    self._begin(now)
            elif kind in (datagrams.HELLO_ACK, datagrams.ECDH_RESPONSE, datagrams.REGISTER):
                self._handshake(kind, payload, now)
            else:
                self.counts["homechannel_presumed"] += 1  # MIGRATE, for one
        except Forged:
            self.counts["homechannel_forged"] += 1
        except PeerError:
            self.counts["homechannel_malformed"] += 1

    def _handshake(self, kind: int, payload: bytes, now: float) -> None:
        attempt = self._attempt
        if attempt is None:
            raise Forged("an answer to nothing")
        if kind == datagrams.HELLO_ACK and attempt.own is None:
            mine, theirs = datagrams.tags(payload)
            if mine != attempt.tag:
                raise Forged("tag")
            attempt.own = keys.Agreement(self._entropy(32))
            self._say(datagrams.ECDH_INIT, datagrams.key_message(attempt.own.public, theirs))
        elif kind == datagrams.ECDH_RESPONSE and attempt.own is not None and not attempt.key:
            self._register(attempt, attempt.own, payload)
        elif kind == datagrams.REGISTER and attempt.key:
            said = boxes.open_box(attempt.key, payload)
            if said.get("status") != "ok" or said.get("type") != "register":
                raise MalformedFrame("acknowledgement")
            self._registered = _Registered(attempt.answer, now, now, now)
            self._attempt, self._tries = None, 0
            self.counts["homechannel_registrations"] += 1

    def _register(self, attempt: _Attempt, own: keys.Agreement, payload: bytes) -> None:
        _, theirs, box = datagrams.read_key_message(payload, 0)
        key = boxes.key_of(own.secret(theirs))
        signature = text_of(boxes.open_box(key, box), "signature", 1024)
        keys.verify(self._coordinator, signature, theirs + own.public)
        attempt.key = key
        attempt.challenge, attempt.answer = self._challenge()
        said = {"challenge": attempt.challenge, "challengeAnswerHash": attempt.answer}
        told = {"serverPublicKey": self.name, "timestamp": self._wall(), "payload": said}
        signed = {"ecdhKeys": (own.public + theirs).hex(), **told}
        message = told | {"signature": keys.sign(self._identity, boxes.stringify(signed).encode())}
        self._say(datagrams.REGISTER, self._box(key, message))

    def _offer(self, payload: bytes, now: float) -> None:
        held = self._registered
        if held is None:
            raise Forged("an offer to nobody")
        try:
            message = boxes.open_box(boxes.key_of(held.answer), payload)
        except Forged:
            if not held.before:
                raise
            message = boxes.open_box(boxes.key_of(held.before), payload)
            held.answer, held.before = held.before, ""  # our last HEARTBEAT was lost: the next one follows the answer
            held.refreshed_at = now - REFRESH + SOON
        session, said = text_of(message, "sessionId", 64), message.get("payload")
        if not isinstance(said, dict):
            raise MalformedFrame("payload")
        if session in self._offers:
            raise Forged("an offer that was here")
        while len(self._offers) >= MOST_OFFERS:
            del self._offers[next(iter(self._offers))]
        self._offers[session] = True
        held.heard_at = now
        self.offered(session, said)

    def answer(self, session: str, payload: dict[str, Any]) -> None:
        """Answer an offer; it is in vain when nobody waits for it."""
        if not self._offers.get(session) or self._registered is None:
            return
        self._offers[session] = False
        told = {"serverPublicKey": self.name, "sessionId": session, "timestamp": self._wall(), "payload": payload}
        signed = {"signature": keys.sign(self._identity, boxes.stringify(told).encode())}
        message = {"type": "answer", **told, **signed, "signatureAlgorithm": keys.algorithm_of(self._identity)}
        self._say(datagrams.ANSWER, self._box(boxes.key_of(self._registered.answer), message))
