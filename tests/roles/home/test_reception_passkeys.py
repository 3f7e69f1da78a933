"""Who is let in with a passkey: whoever has signed what both have said, for the offer that comes with it."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from morphnet.roles.home.passkeys import CONTEXT, Passkeys
from morphnet.roles.home.reception import BURST, Keys, Reception
from morphnet.wire.messages.home.calls import from_text, to_text
from tests.roles.home.authenticator import Authenticator
from tests.roles.home.test_reception import GOOD, ReceptionCase

CALLER = "192.0.2.1"


class Half:
    """A browser that has said its half."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.half = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def finish(self, home: str, second: bytes) -> Keys:
        self.said = home.encode() + self.half + second
        agreed = self.key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), second))
        return Keys.of(sha256(CONTEXT + self.said + agreed).digest())

    def challenge(self, offer: str) -> bytes:
        return sha256(CONTEXT + self.said + sha256(offer.encode()).digest()).digest()


class PasskeyReceptionTests(ReceptionCase):
    def setUp(self) -> None:
        super().setUp()
        directory = Path(self.mktemp())
        directory.mkdir()
        self.passkeys = Passkeys(directory, "https://c.example")
        self.reception = Reception(self.identity, GOOD, lambda: self.now, self.answer, self.turn, self.passkeys)
        self.device = Authenticator()
        self.passkeys.add(b"c" * 32, self.device.make(b"c" * 32), "phone")

    def meet(self, half: Half) -> tuple[Keys, str]:
        heard = self.say({"passkey": to_text(half.half)})
        second = from_text(heard["hello"])
        public = Ed25519PublicKey.from_public_bytes(from_text(self.home))
        public.verify(from_text(heard["signature"]), CONTEXT + half.half + second)
        return half.finish(self.home, second), heard["try"]

    def come(self, device: Authenticator, signed: str = "offer", offer: str = "offer") -> tuple[Keys, dict[str, Any]]:
        half = Half()
        keys, name = self.meet(half)
        said = json.dumps({"offer": offer, "passkey": device.sign(half.challenge(signed))})
        return keys, self.offer(keys, 0, said, CALLER, **{"try": name})

    def test_passkey(self) -> None:
        """A session like any other comes of it: it comes back from another network."""
        keys, heard = self.come(self.device)
        answer = AESGCM(keys.answer).decrypt(bytes(12), from_text(heard["sealed"]), None)
        self.assertEqual((json.loads(answer)["sdp"], self.offers), ("answer to offer", [(keys.session, "offer")]))
        self.assertIn("sealed", self.offer(keys, 1, "moved", "198.51.100.9", session=keys.session))
        self.assertEqual(self.offer(keys, 1, "moved", session=keys.session), {"refused": "repeated"})

    def test_another_offer(self) -> None:
        """What was signed for one offer, and its fingerprint, is good for no other."""
        self.assertEqual(self.come(self.device, "offer", "mine")[1], {"refused": "this passkey is not known here"})
        self.assertEqual(self.offers, [])

    def test_another_meeting(self) -> None:
        """What was signed for one meeting is good for no other, though somebody repeats what the browser said."""
        half = Half()
        self.meet(half)
        signed = self.device.sign(half.challenge("offer"))
        keys, name = self.meet(half)
        said = json.dumps({"offer": "offer", "passkey": signed})
        heard = self.offer(keys, 0, said, CALLER, **{"try": name})
        self.assertEqual(heard, {"refused": "this passkey is not known here"})

    def test_stranger(self) -> None:
        """One that is not known here, or was removed; too many tries are as many as of passwords."""
        for _ in range(BURST):
            self.assertEqual(self.come(Authenticator())[1], {"refused": "this passkey is not known here"})
        self.assertIn("try again", self.say({"passkey": to_text(Half().half)})["refused"])
        self.assertEqual(self.reception.counts["logins_wrong"], BURST)
        self.now += 3600
        self.passkeys.remove(to_text(self.device.id))
        self.assertEqual(self.come(self.device)[1], {"refused": "this passkey is not known here"})

    def test_no_words(self) -> None:
        """What is no offer with an assertion in it is none."""
        for said in ("offer", "[]", "{}", '{"offer": 7}', '{"offer": "offer", "passkey": null}'):
            half = Half()
            keys, name = self.meet(half)
            self.assertIn("refused", self.offer(keys, 0, said, "203.0.113.9", **{"try": name}))
        self.assertEqual(self.say({"passkey": to_text(b"4" * 65)}), {"refused": "malformed"})
        self.assertEqual(self.offers, [])

    def test_not_allowed(self) -> None:
        """Where they are not allowed nobody gets anywhere with one."""
        self.reception = Reception(self.identity, GOOD, lambda: self.now, self.answer)
        self.assertIn("not used here", self.say({"passkey": to_text(Half().half)})["refused"])
