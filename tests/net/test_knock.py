"""Names that only members can make."""

from __future__ import annotations

import base64
import re
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.knock import NONCE, is_knock, key_of, knock, signer_of
from morphnet.pki.authority import Authority

KEY, OTHER = bytes(32), bytes([1] * 32)


class KnockTests(SynchronousTestCase):
    def test_vector(self) -> None:
        """The name is made as docs/protocol says."""
        self.assertEqual(knock(KEY, bytes(range(NONCE))), b"aaaqeayeaudao624mlo7pqxu4awsqeb2.net")

    @given(st.binary(min_size=NONCE, max_size=NONCE))
    def test_host_name(self, nonce: bytes) -> None:
        """It is a host name as any; who has the key knows it in either case, who has another does not."""
        name = knock(KEY, nonce)
        self.assertTrue(re.fullmatch(rb"[a-z2-7]{32}[.]net", name))
        for each in (name, name.upper()):
            self.assertTrue(is_knock(each, [OTHER, KEY]))
        self.assertFalse(is_knock(name, [OTHER]))
        self.assertFalse(is_knock(name, []))

    @given(st.binary(max_size=300))
    def test_anything(self, name: bytes) -> None:
        """Any other name is none, whatever is in it."""
        self.assertFalse(is_knock(name, [KEY, OTHER]))
        self.assertFalse(is_knock(name[:32].ljust(32, b"a") + b".net", [KEY, OTHER]))

    def test_every_bit(self) -> None:
        """No bit of it may differ."""
        said = base64.b32decode(knock(KEY, bytes(NONCE))[:32].upper())
        for bit in range(len(said) * 8):
            bent = bytearray(said)
            bent[bit // 8] ^= 1 << bit % 8
            self.assertFalse(is_knock(base64.b32encode(bytes(bent)).lower() + b".net", [KEY]))


class CaTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.one, self.other = self.found("one"), self.found("one")

    def found(self, name: str) -> Authority:
        """A network."""
        return Authority.found(name, Ed25519PrivateKey.generate(), x509.random_serial_number, now=1.7e9)

    def test_key(self) -> None:
        """Each CA has a key of its own, the same for ever."""
        self.assertEqual(key_of(self.one.certificate), key_of(self.one.certificate))
        self.assertNotEqual(key_of(self.one.certificate), key_of(self.other.certificate))

    def test_signer(self) -> None:
        """It is the one that has signed, wherever it stands; else the first, if there is any."""
        key, cas = Ed25519PrivateKey.generate().public_key(), [self.other.certificate, self.one.certificate]
        mine = self.one.client(key, "laptop", now=1.7e9)
        self.assertIs(signer_of(mine, cas), cas[1])
        self.assertIs(signer_of(mine, cas[:1]), cas[0])
        self.assertIsNone(signer_of(mine, cast(list[x509.Certificate], [])))
