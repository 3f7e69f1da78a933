"""
Lets browsers in: a password that nobody on the way can guess at, then a data channel that nobody on the way can be.

SPAKE2 gives both ends a key only if the password is the same; offer and answer, with the fingerprints of DTLS in them,
are sealed with it, and the home signs its part. A passkey does the same with a key that both have agreed on, of which
it signs the hash. Whoever was in once comes back, from another network, with that key.

Source: docs/protocol section 16; the PyPI package spake2.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from spake2 import SPAKE2_B

from morphnet.errors import MalformedFrame, PeerError, Refused
from morphnet.rendezvous.home.guesses import Rates, network_of
from morphnet.rendezvous.home.streams import read_words
from morphnet.roles.home.passkeys import CONTEXT, Passkeys, meet
from morphnet.roles.home.relayed import NONCE
from morphnet.wire.messages.home.calls import Call, from_text, to_text

TRY_WITHIN = 60.0  # seconds from the first word to the offer
MOST_TRIES = 64  # on their way at once
SIGNED = b"morphnet home login\0"  # what the home signs begins with this
BURST, EACH = 10, 1 / 60  # wrong passwords of one address, and how many more a second
ALL_BURST, ALL_EACH = 100, 1 / 36  # of all together: some 2400 a day


@dataclass(frozen=True, slots=True)
class Keys:
    """What comes of a login: for what browser and home say until there is a channel, 32 bytes each."""

    session: str  # its name, 32 hex digits
    offer: bytes
    answer: bytes
    up: bytes = b""  # for a link through the coordinator, to the home
    down: bytes = b""  # and from it

    @classmethod
    def of(cls, shared: bytes) -> Keys:
        """From the key that SPAKE2 gave."""

        def derive(what: bytes, size: int) -> bytes:
            return HKDF(SHA256(), size, None, b"morphnet home " + what).derive(shared)

        names = b"offer", b"answer", b"relay up", b"relay down"
        return cls(derive(b"session", 16).hex(), *(derive(name, 32) for name in names))


def _nonce(number: int) -> bytes:
    return bytes(4) + number.to_bytes(8, "big")


@dataclass(slots=True)
class _Try:
    """Somebody who has begun to log in."""

    keys: Callable[[], Keys]  # those of his session, if he is who he should be
    offer: Callable[[bytes], str]  # of what he has sealed; raises Refused when there is no proof in it
    how: str  # he proves it, in words
    began_at: float


@dataclass(slots=True)
class _Known:
    """Somebody who has logged in."""

    keys: Keys
    last: int = -1  # number of the last offer


class Reception:
    """
    Answers calls.

    :param identity: signs for the home.
    :param password: stretched, see `password`.
    :param now: seconds, never back.
    :param answer: takes the session's name and an offer, gives the answer, both as SDP.
    :param turn: TURN servers for a session, as RTCPeerConnection takes them.
    :param passkeys: that may log in as well; None where none may.
    """

    def __init__(
        self,
        identity: Ed25519PrivateKey,
        password: bytes,
        now: Callable[[], float],
        answer: Callable[[str, str], Awaitable[str]],
        turn: Callable[[str], list[dict[str, Any]]] = lambda session: [],
        passkeys: Passkeys | None = None,
    ) -> None:
        self._identity, self._password, self._now, self._answer = identity, password, now, answer
        self._turn, self._passkeys = turn, passkeys
        # Waits for a browser at the coordinator: takes its keys, its nonce and the call that asked; gives our nonce.
        self.relay: Callable[[Keys, bytes, str], bytes | None] = lambda keys, nonce, call: None
        self._home = to_text(identity.public_key().public_bytes_raw())
        self._tries: dict[str, _Try] = {}
        self._known: dict[str, _Known] = {}
        self._wrong, self._all_wrong = Rates(BURST, EACH), Rates(ALL_BURST, ALL_EACH)
        self.counts: Counter[str] = Counter()
        self.told: Callable[[str, str], None] = lambda kind, text: None

    async def reply(self, call: Call) -> str:
        """What the browser is answered: base64url of JSON."""
        try:
            said = read_words(from_text(call.body))
            answer = await self._said(said, call)
        except Refused as no:
            answer = {"refused": no.reason}
        except (PeerError, ValueError):
            self.counts["logins_malformed"] += 1
            answer = {"refused": "malformed"}
        return to_text(json.dumps(answer, separators=(",", ":")).encode())

    async def _said(self, said: dict[str, Any], call: Call) -> dict[str, Any]:
        caller = call.caller
        if "hello" in said:
            return self._hello(_bytes(said, "hello"), caller)
        if "passkey" in said:
            return self._meet(_bytes(said, "passkey"), caller)
        number, sealed = said.get("number"), _bytes(said, "sealed")
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 1 << 53:
            raise MalformedFrame("number")
        if "try" in said:
            known, offer = self._prove(str(said["try"]), sealed, caller)
            if number != 0:
                raise Refused("repeated")
        else:
            known, offer = self._again(str(said.get("session")), number, sealed)
        known.last = number
        if offer.startswith("{"):
            told = self._wait_for(known.keys, offer.encode(), call.call)
        else:
            answer = await self._answer(known.keys.session, offer)
            told = {"sdp": answer, "turn": self._turn(known.keys.session)}
        text = json.dumps(told, separators=(",", ":"))
        sealed_answer = AESGCM(known.keys.answer).encrypt(_nonce(number), text.encode(), None)
        return {"number": number, "sealed": to_text(sealed_answer)}

    def _again(self, session: str, number: int, sealed: bytes) -> tuple[_Known, str]:
        """Somebody comes back: who that is, and his offer."""
        known = self._known.get(session)
        if known is None:
            raise Refused("unknown session")
        if number <= known.last:
            raise Refused("repeated")
        offer = _open(known.keys.offer, number, sealed)
        if offer is None:
            raise Refused("unknown session")
        return known, offer.decode("utf-8", "replace")

    def _wait_for(self, keys: Keys, offer: bytes, call: str) -> dict[str, Any]:
        """
        The browser has no other way than through the coordinator.

        :raises Refused: nor has it that.
        """
        nonce = _bytes(read_words(offer), "relay")
        ours = self.relay(keys, nonce, call) if len(nonce) == NONCE else None
        if ours is None:
            raise Refused("no relay")
        return {"relay": to_text(ours), "call": call}

    # -- logging in ------------------------------------------------------------------------------------------------

    def _hello(self, first: bytes, caller: str) -> dict[str, Any]:
        """1. the browser's half of SPAKE2; 2. ours, signed."""
        self._may_try(caller)
        side: Any = SPAKE2_B(self._password, idA=b"browser", idB=self._home.encode())
        second: bytes = side.start()

        def keys() -> Keys:
            try:
                return Keys.of(side.finish(first))
            except Exception as trouble:  # spake2 raises what it likes of a half that is none
                raise MalformedFrame("half of SPAKE2") from trouble

        attempt = _Try(keys, lambda opened: opened.decode("utf-8", "replace"), "password", self._now())
        return self._begun(attempt, second, SIGNED + first + second)

    def _meet(self, first: bytes, caller: str) -> dict[str, Any]:
        """1. the browser's half of a key; 2. ours, signed. What proves who it is comes with the offer."""
        passkeys = self._passkeys
        if passkeys is None:
            raise Refused("passkeys are not used here: log in with the password")
        self._may_try(caller)
        second, meeting = meet(first, self._home)

        def offer(opened: bytes) -> str:
            said = read_words(opened)
            sdp = str(said.get("offer"))
            passkeys.prove(meeting.challenge(sdp), said.get("passkey"))
            return sdp

        attempt = _Try(lambda: Keys.of(meeting.shared), offer, "passkey", self._now())
        return self._begun(attempt, second, CONTEXT + first + second)

    def _begun(self, attempt: _Try, second: bytes, signed: bytes) -> dict[str, Any]:
        name = os.urandom(16).hex()
        self._forget_tries()
        self._tries[name] = attempt
        return {"hello": to_text(second), "signature": to_text(self._identity.sign(signed)), "try": name}

    def _may_try(self, caller: str) -> None:
        """:raises Refused: too many passwords were wrong."""
        now = self._now()
        wait = max(self._wrong.wait(network_of(caller), now), self._all_wrong.wait("", now))
        if wait:
            self.counts["logins_delayed"] += 1
            raise Refused(f"too many wrong passwords: try again in {wait} s")

    def _forget_tries(self) -> None:
        before = self._now() - TRY_WITHIN
        for name in [name for name, each in self._tries.items() if each.began_at < before]:
            del self._tries[name]
        while len(self._tries) >= MOST_TRIES:
            del self._tries[next(iter(self._tries))]

    def _prove(self, name: str, sealed: bytes, caller: str) -> tuple[_Known, str]:
        """3. the offer, sealed: whoever can do that knows the password, or has a passkey that has signed for it."""
        attempt = self._tries.pop(name, None)
        if attempt is None:
            raise Refused("too late: begin again")
        self._may_try(caller)
        keys = attempt.keys()
        opened = _open(keys.offer, 0, sealed)
        try:
            if opened is None:
                raise Refused(f"wrong {attempt.how}")
            offer = attempt.offer(opened)
        except PeerError:
            now = self._now()
            self._wrong.spend(network_of(caller), now)
            self._all_wrong.spend("", now)
            self.counts["logins_wrong"] += 1
            self.told("login", f"a wrong {attempt.how}")
            raise
        self.counts["logins"] += 1
        self.told("login", f"a browser has logged in with a {attempt.how}")
        known = self._known[keys.session] = _Known(keys)
        return known, offer

    def forget(self, session: str) -> None:
        """That one is over."""
        self._known.pop(session, None)


def _open(key: bytes, number: int, sealed: bytes) -> bytes | None:
    try:
        return AESGCM(key).decrypt(_nonce(number), sealed, None)
    except (InvalidTag, ValueError):
        return None


def _bytes(said: dict[str, Any], name: str) -> bytes:
    value = said.get(name)
    if not isinstance(value, str):
        raise MalformedFrame(name)
    return from_text(value)
