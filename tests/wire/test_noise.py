"""The handshake with somebody whose key is known."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Forged, PeerError
from morphnet.wire.noise import Initiator, Responder, nonce


def key(byte: int) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(bytes([byte]) * 32)


STATIC = key(3)
PUBLIC = STATIC.public_key().public_bytes_raw()
# As noiseprotocol 0.3.1 (PyPI) makes them of the same keys and payloads.
FIRST = "a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209e569ae3994bfbd446ff8aecc1b7eb7a207dc52ca34"
SECOND = "ce8d3ad1ccb633ec7b70c17814a5c76ecd029685050d344745ba05870e587d59e507f4d1b95a8b9106ee712528a070c396eeab8907c6"
UP, DOWN = "1b121718c1f76b03e20f422346a14447b686", "3acf8a2922ce9e6bff5a32f6a4dad1c8a5497ee9"


class NoiseTests(SynchronousTestCase):
    def test_vector(self) -> None:
        """Both messages, and what is sealed after them, are as another implementation makes them."""
        initiator = Initiator(key(1), PUBLIC, b"prologue")
        first = initiator.first(b"first")
        responder = Responder(STATIC, first, b"prologue")
        second, down, up = responder.answer(key(2), b"second")
        self.assertEqual((first.hex(), second.hex()), (FIRST, SECOND))
        self.assertEqual(responder.payload, b"first")
        self.assertEqual(initiator.finish(second), (b"second", up, down))
        self.assertEqual(ChaCha20Poly1305(up).encrypt(nonce(0), b"up", b"").hex(), UP)
        self.assertEqual(ChaCha20Poly1305(down).encrypt(nonce(0), b"down", b"").hex(), DOWN)

    def test_transcript(self) -> None:
        """Both have the same one to sign, before the payload."""
        initiator = Initiator(key(1), PUBLIC, b"prologue")
        transcript = initiator.transcript
        self.assertEqual(Responder(STATIC, initiator.first(b""), b"prologue").transcript, transcript)

    def test_another_prologue(self) -> None:
        """Who has seen something else before is refused, and so is who calls somebody else."""
        first = Initiator(key(1), PUBLIC, b"prologue").first(b"")
        self.assertRaises(Forged, Responder, STATIC, first, b"another")
        self.assertRaises(Forged, Responder, key(4), first, b"prologue")

    def test_keys_that_hide_nothing(self) -> None:
        """A public key of zeros gives a secret that everybody knows."""
        self.assertRaises(Forged, Responder, STATIC, bytes(64), b"")

    @given(st.binary(max_size=120))
    def test_garbage(self, garbage: bytes) -> None:
        """Nothing but a PeerError comes of it, at either end."""
        self.assertRaises(PeerError, Responder, STATIC, garbage, b"")
        self.assertRaises(PeerError, Initiator(key(1), PUBLIC, b"").finish, garbage)
