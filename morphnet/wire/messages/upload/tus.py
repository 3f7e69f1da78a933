"""
The headers of tus 1.0.0.

Source: https://tus.io/protocols/resumable-upload (core, creation, creation-with-upload, checksum, expiration,
termination, concatenation).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,termination,checksum,expiration,concatenation"
ALGORITHMS = ("sha1", "sha256", "sha512", "md5")
OCTETS = "application/offset+octet-stream"
MISMATCH = 460  # "Checksum Mismatch"
_DIGESTS = {"sha1": 20, "sha256": 32, "sha512": 64, "md5": 16}


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the bytes of one request must come to."""

    algorithm: str
    digest: bytes

    def fits(self, data: bytes) -> bool:
        """Whether they do."""
        return hmac.compare_digest(hashlib.new(self.algorithm, data, usedforsecurity=False).digest(), self.digest)


def speaks(headers: Mapping[str, str]) -> bool:
    """Whether a request is of tus."""
    return "tus-resumable" in headers


def checksum(said: str) -> Checksum:
    """
    Read Upload-Checksum.

    :raises ValueError: it is none that we know.
    """
    algorithm, _, encoded = said.partition(" ")
    if algorithm not in _DIGESTS:
        raise ValueError("an algorithm that is not in Tus-Checksum-Algorithm")
    try:
        digest = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise ValueError("no base64") from None
    if len(digest) != _DIGESTS[algorithm]:
        raise ValueError("a digest of another length")
    return Checksum(algorithm, digest)


def concatenated(said: str) -> tuple[str, ...] | None:
    """
    Read Upload-Concat: the addresses that a final upload is made of; None for one that is a part.

    :raises ValueError: it is neither.
    """
    if said == "partial":
        return None
    kind, _, addresses = said.partition(";")
    if kind != "final" or not addresses.split():
        raise ValueError("Upload-Concat must be partial, or final; with addresses")
    return tuple(addresses.split())


def metadata(said: str) -> dict[str, str]:
    """
    Read Upload-Metadata.

    :raises ValueError: it is not as tus has it.
    """
    found: dict[str, str] = {}
    for pair in filter(None, (each.strip() for each in said.split(","))):
        name, _, encoded = pair.partition(" ")
        try:
            found[name] = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise ValueError("Upload-Metadata must be pairs of a name and base64") from None
    return found
