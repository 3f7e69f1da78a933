"""From an exporter to data keys: vectors, and that no two are the same (D11)."""

from __future__ import annotations

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.keys import EXPORT_LENGTH, data_key, next_secret, split_export

EXPORTS = st.binary(min_size=EXPORT_LENGTH, max_size=EXPORT_LENGTH)
EXPORTED = bytes(range(64))


def expand(secret: bytes, label: bytes) -> bytes:
    """HKDF-Expand of RFC 5869 for 32 bytes: one turn of HMAC."""
    return hmac.new(secret, b"morphnet 1 " + label + b"\x01", hashlib.sha256).digest()


def sealed(secret: bytes) -> bytes:
    """What the data key of `secret` makes of nothing: tells keys apart."""
    return bytes(data_key(secret).seal((b"", b"p", b"p", 0), bytes(12), b"", b"", 1)[1:])


class KeyTests(SynchronousTestCase):
    def test_vector(self) -> None:
        """Frozen secrets and a frozen tag from a frozen export."""
        to_server, to_client = split_export(EXPORTED)
        self.assertEqual(to_server.hex(), "95ce91f6a5bc72bafd2e29fb8820eee7560d06d0c380dde279e7f1ece96035e0")
        self.assertEqual(to_client.hex(), "858c27c2efa166390a291753f92b55a72db85c1852f2c28f6b640b43da4156b4")
        self.assertEqual(
            next_secret(to_server).hex(), "8d610aec282e323f2e505744aa0d5cbcaa67c59375b4232d6161210be3d585ed"
        )
        self.assertEqual(sealed(to_server).hex(), "5431ea6eb210068d5c1b3d33304e8a37")

    @given(EXPORTS)
    def test_as_documented(self, exported: bytes) -> None:
        """Secrets and ratchet are HKDF-Expand with the labels of docs/protocol section 3."""
        to_server, to_client = split_export(exported)
        self.assertEqual(to_server, expand(exported[:32], b"to server"))
        self.assertEqual(to_client, expand(exported[32:], b"to client"))
        self.assertEqual(next_secret(to_server), expand(to_server, b"next"))

    @given(st.lists(EXPORTS, min_size=2, max_size=3, unique=True))
    def test_all_differ(self, exports: list[bytes]) -> None:
        """Keys differ between sessions, directions and epochs (D11)."""
        tags = []
        for exported in exports:
            for secret in split_export(exported):
                for _ in range(3):
                    tags.append(sealed(secret))
                    secret = next_secret(secret)
        # two exports may share a half, and then that direction: an exporter gives 64 bytes at random, so it does not
        if len({e[:32] for e in exports}) == len({e[32:] for e in exports}) == len(exports):
            self.assertEqual(len(set(tags)), len(tags))
