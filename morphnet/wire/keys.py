"""
From a TLS exporter to data keys, and from each key to the next.

Source: docs/protocol section 3; HKDF of RFC 5869.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from morphnet.wire.core import CORE, Key

EXPORT_LENGTH = 64  # bytes asked of the exporter: one secret of 32 per direction


def _expand(secret: bytes, label: bytes) -> bytes:
    return HKDFExpand(algorithm=SHA256(), length=32, info=b"morphnet 1 " + label).derive(secret)


def split_export(exported: bytes) -> tuple[bytes, bytes]:
    """
    The first secret of each direction: (to server, to client), 32 bytes each.

    :param exported: EXPORT_LENGTH bytes from the TLS exporter.
    """
    assert len(exported) == EXPORT_LENGTH
    return _expand(exported[:32], b"to server"), _expand(exported[32:], b"to client")


def next_secret(secret: bytes) -> bytes:
    """One turn of the ratchet: the secret of the following epoch; there is no way back."""
    return _expand(secret, b"next")


def data_key(secret: bytes) -> Key:
    """The AES-256-GCM key of the epoch that `secret` belongs to."""
    return CORE.key(_expand(secret, b"key"))
