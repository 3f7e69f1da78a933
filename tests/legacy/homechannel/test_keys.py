"""Keys of both generations."""

from __future__ import annotations

import base64
import os

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Forged, MalformedFrame, PeerError
from morphnet.legacy.homechannel import keys
from tests.legacy.homechannel.case import GENERATIONS
from tests.legacy.homechannel.original import Curves

SIZES = {"p256": 65, "ed25519": 44, "ed448": 68}  # bytes of a public key for an agreement


class KeyTests(SynchronousTestCase):
    def test_agree(self) -> None:
        """Both ends find the same secret; ours is of the kind that theirs is."""
        for name in GENERATIONS:
            curves = Curves(name)
            own, public = curves.agreement()
            ours, secret = keys.agree(public, os.urandom(keys.ENTROPY))
            self.assertEqual((len(public), len(ours)), (SIZES[name], SIZES[name]))
            self.assertEqual(curves.secret(own, ours), secret)
            self.assertEqual(keys.is_p256(public), name == "p256")

    def test_no_agreement(self) -> None:
        """Other kinds of keys, points that are none, and a key that hides nothing."""
        other = ec.generate_private_key(ec.SECP384R1()).public_key()
        for wrong in (b"", b"\x04" + bytes(64), os.urandom(44), keys.der(other)):
            self.assertRaises(MalformedFrame, keys.agree, wrong, bytes(keys.ENTROPY))
        weak = Curves("ed25519").agreement()[1][:12] + bytes(32)
        self.assertRaises(Forged, keys.agree, weak, os.urandom(keys.ENTROPY))

    def test_signatures(self) -> None:
        """Each kind of key signs, and is named alike in PEM and without."""
        for name in GENERATIONS:
            curves = Curves(name)
            plain = keys.plain(curves.shown)
            self.assertEqual(plain, keys.plain(plain))
            keys.verify(plain, keys.sign(curves.identity, b"this"), b"this")
            keys.verify(plain, curves.sign(b"this"), b"this")
            self.assertRaises(Forged, keys.verify, plain, curves.sign(b"this"), b"that")
            self.assertRaises(PeerError, keys.verify, plain, "zz", b"this")
        public = rsa.generate_private_key(65537, 2048).public_key()
        der = base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
        self.assertRaises(MalformedFrame, keys.verify, der, "00", b"this")

    @given(st.text(max_size=100))
    def test_garbage(self, text: str) -> None:
        """It is no key of a server."""
        for call in (lambda: keys.verify(keys.plain(text), "00", b""), lambda: keys.agree(text.encode(), bytes(56))):
            self.assertRaises(PeerError, call)
