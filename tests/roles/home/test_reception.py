"""Who is let in: browsers that know the password, and that nobody on the way can be."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st
from spake2 import SPAKE2_A
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Refused
from morphnet.roles.home.reception import BURST, MOST_TRIES, SIGNED, TRY_WITHIN, Keys, Reception
from morphnet.wire.messages.home.calls import Call, from_text, to_text

GOOD, BAD = b"g" * 32, b"b" * 32  # passwords, stretched


class ReceptionCase(SynchronousTestCase):
    """A home's reception, and what browsers say to it."""

    def setUp(self) -> None:
        self.identity = Ed25519PrivateKey.generate()
        self.home = to_text(self.identity.public_key().public_bytes_raw())
        self.now = 0.0
        self.offers: list[tuple[str, str]] = []
        self.relays: list[tuple[str, bytes, str]] = []
        self.room = True
        self.reception = Reception(self.identity, GOOD, lambda: self.now, self.answer, self.turn)
        self.reception.relay = self.relay

    def turn(self, session: str) -> list[dict[str, Any]]:
        return [{"urls": ["turn:t"], "username": session}]

    def relay(self, keys: Keys, nonce: bytes, call: str) -> bytes | None:
        self.relays.append((keys.session, nonce, call))
        return b"o" * 16 if self.room else None

    async def answer(self, session: str, offer: str) -> str:
        self.offers.append((session, offer))
        return f"answer to {offer}"

    def say(self, said: dict[str, Any], caller: str = "192.0.2.1") -> dict[str, Any]:
        body = to_text(json.dumps(said).encode())
        answer = self.successResultOf(Deferred.fromCoroutine(self.reception.reply(Call("0" * 32, caller, body))))
        found: dict[str, Any] = json.loads(from_text(answer))
        return found

    def begin(self, password: bytes, caller: str = "192.0.2.1") -> tuple[Keys, str] | str:
        """The browser's first step: the keys and the name of this attempt, or why there are none."""
        side: Any = SPAKE2_A(password, idA=b"browser", idB=self.home.encode())
        first = side.start()
        heard = self.say({"hello": to_text(first)}, caller)
        if "refused" in heard:
            return str(heard["refused"])
        second = from_text(heard["hello"])
        public = Ed25519PublicKey.from_public_bytes(from_text(self.home))
        public.verify(from_text(heard["signature"]), SIGNED + first + second)
        return Keys.of(side.finish(second)), heard["try"]

    def offer(self, keys: Keys, number: int, offer: str, caller: str = "192.0.2.1", **who: str) -> dict[str, Any]:
        nonce = number.to_bytes(12, "big")
        sealed = to_text(AESGCM(keys.offer).encrypt(nonce, offer.encode(), None))
        return self.say({**who, "number": number, "sealed": sealed}, caller)

    def log_in(self, password: bytes = GOOD, caller: str = "192.0.2.1") -> tuple[Keys, dict[str, Any]]:
        begun = self.begin(password, caller)
        assert not isinstance(begun, str), begun
        return begun[0], self.offer(begun[0], 0, "offer", caller, **{"try": begun[1]})


class ReceptionTests(ReceptionCase):
    def test_password(self) -> None:
        """The right one: an answer that only the browser can read."""
        keys, heard = self.log_in()
        self.assertEqual(heard["number"], 0)
        answer = AESGCM(keys.answer).decrypt(bytes(12), from_text(heard["sealed"]), None)
        told = {"sdp": "answer to offer", "turn": [{"urls": ["turn:t"], "username": keys.session}]}
        self.assertEqual((json.loads(answer), self.offers), (told, [(keys.session, "offer")]))

    def test_wrong_password(self) -> None:
        """No connection is made for it, and no session."""
        keys, heard = self.log_in(BAD)
        self.assertEqual((heard, self.offers), ({"refused": "wrong password"}, []))
        self.assertEqual(self.offer(keys, 1, "offer", session=keys.session), {"refused": "unknown session"})

    def test_comes_back(self) -> None:
        """From another network, without a password; the number only grows, so that a recorded offer is none."""
        keys, _ = self.log_in()
        self.assertIn("sealed", self.offer(keys, 1, "moved", "198.51.100.9", session=keys.session))
        for number in (0, 1):
            self.assertEqual(self.offer(keys, number, "moved", session=keys.session), {"refused": "repeated"})
        other = Keys(keys.session, b"x" * 32, b"x" * 32)
        self.assertEqual(self.offer(other, 2, "x", session=keys.session), {"refused": "unknown session"})
        self.assertIn("sealed", self.offer(keys, 2, "again", session=keys.session))
        self.reception.forget(keys.session)
        self.assertEqual(self.offer(keys, 3, "x", session=keys.session), {"refused": "unknown session"})

    def test_relay(self) -> None:
        """Who has logged in may ask for a link through the coordinator; who has not, or asks wrongly, may not."""
        keys, _ = self.log_in()
        nonce = to_text(b"n" * 16)
        heard = self.offer(keys, 1, json.dumps({"relay": nonce}), session=keys.session)
        answer = AESGCM(keys.answer).decrypt((1).to_bytes(12, "big"), from_text(heard["sealed"]), None)
        self.assertEqual(json.loads(answer), {"relay": to_text(b"o" * 16), "call": "0" * 32})
        self.assertEqual(self.relays, [(keys.session, b"n" * 16, "0" * 32)])
        for number, wrong in enumerate(({"relay": "x"}, {"relay": to_text(b"n" * 17)}, {}), 2):
            self.assertIn("refused", self.offer(keys, number, json.dumps(wrong), session=keys.session))
        self.room = False
        refused = self.offer(keys, 9, json.dumps({"relay": nonce}), session=keys.session)
        self.assertEqual((refused, len(self.relays)), ({"refused": "no relay"}, 2))
        forged = Keys("f" * 32, b"f" * 32, b"f" * 32)
        self.assertIn("refused", self.offer(forged, 0, json.dumps({"relay": nonce}), session="f" * 32))

    def test_swapped_offer(self) -> None:
        """Whoever carries it cannot put in another offer, with fingerprints of his own."""
        begun = self.begin(GOOD)
        assert not isinstance(begun, str)
        forged = Keys(begun[0].session, b"m" * 32, b"m" * 32)
        self.assertEqual(self.offer(forged, 0, "mine", **{"try": begun[1]}), {"refused": "wrong password"})
        self.assertEqual(self.offer(begun[0], 0, "late", **{"try": begun[1]}), {"refused": "too late: begin again"})

    def test_somebody_in_the_middle(self) -> None:
        """A coordinator that answers in the name of the home has no signature of the home's."""
        self.reception._identity = Ed25519PrivateKey.generate()
        self.assertRaises(InvalidSignature, self.begin, GOOD)

    def test_guessing(self) -> None:
        """So many wrong ones, then one a minute; somebody else, and who is in already, is not affected."""
        keys, _ = self.log_in(GOOD, "192.0.2.5")
        for _ in range(BURST):
            self.assertEqual(self.log_in(BAD)[1], {"refused": "wrong password"})
        refused = self.begin(GOOD)
        assert isinstance(refused, str)
        self.assertIn("try again in 60 s", refused)
        self.log_in(GOOD, "192.0.2.6")
        self.assertIn("sealed", self.offer(keys, 1, "moved", session=keys.session))
        self.now += 61
        self.assertIn("sealed", self.log_in(GOOD)[1])

    def test_guessing_from_everywhere(self) -> None:
        """All the addresses of the world together have some thousand guesses a day."""
        guesses = 0
        for turn in range(3 * 24 * 60):
            self.now += 20
            with contextlib.suppress(Refused):
                self.reception._may_try(f"198.51.{turn >> 8}.{turn & 255}")
                self.reception._all_wrong.spend("", self.now)  # as a wrong one does
                guesses += 1
        self.assertLess(guesses, 2600)

    def test_old_tries(self) -> None:
        """Who begins and does not go on takes no room."""
        for _ in range(MOST_TRIES + 5):
            self.begin(GOOD)
        self.assertEqual(len(self.reception._tries), MOST_TRIES)
        self.now += TRY_WITHIN + 1
        self.begin(GOOD)
        self.assertEqual(len(self.reception._tries), 1)

    def test_malformed(self) -> None:
        """What makes no sense is told so."""
        keys, _ = self.log_in()
        for wrong in ({}, {"hello": 7}, {"hello": "!"}, {"number": 0, "sealed": 1}, {"number": True, "sealed": ""}):
            self.assertEqual(self.say(wrong), {"refused": "malformed"})
        heard = self.say({"hello": to_text(b"B" + bytes(32))})
        sealed = to_text(bytes(40))
        self.assertEqual(self.say({"try": heard["try"], "number": 0, "sealed": sealed}), {"refused": "malformed"})
        del keys

    @settings(max_examples=50)
    @given(st.binary(max_size=80))
    def test_garbage(self, garbage: bytes) -> None:
        """None of it makes us fail."""
        call = Call("0" * 32, "192.0.2.1", to_text(garbage))
        self.successResultOf(Deferred.fromCoroutine(self.reception.reply(call)))
