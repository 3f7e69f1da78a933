"""
Probes: small datagrams by which two peers find out which of their addresses reach each other.

`id 8 | nonce 12 | ciphertext 28 | tag 16`, AES-256-GCM with the id as associated data; one key for each direction, so
that a probe that is sent back to where it came from opens nothing. In it: `kind 1 | transaction 8 | family 1 |
address 16 | port 2`. Nonces are random: of one key's 2^96 a search takes some thousands.

Source: docs/protocol section 12; RFC 8445 section 7 for what they do.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from morphnet.errors import Forged, MalformedFrame
from morphnet.wire.header import SHORT_ID

ASK, ANSWER = 1, 2
NONCE, TRANSACTION, TAG = 12, 8, 16
_INSIDE = struct.Struct("!B8sB16sH")
LENGTH = SHORT_ID + NONCE + _INSIDE.size + TAG  # bytes of every probe: 64
EXPORT_LENGTH = SHORT_ID + 2 * 32  # bytes asked of the exporter


class Probe(NamedTuple):
    """One probe, opened."""

    kind: int  # ASK, or ANSWER
    transaction: bytes  # 8 bytes; an answer has its question's
    host: str  # of an answer: where the question came from; else ""
    port: int


@dataclass(frozen=True, slots=True)
class ProbeKeys:
    """What two peers probe with."""

    id: bytes  # 8 bytes, starts every probe of this pair of peers
    sending: AESGCM = field(repr=False)
    receiving: AESGCM = field(repr=False)


def split_probe_export(exported: bytes, *, caller: bool) -> ProbeKeys:
    """
    The keys of one end.

    :param exported: EXPORT_LENGTH bytes of the TLS exporter.
    :param caller: whether this end is the TLS client.
    """
    assert len(exported) == EXPORT_LENGTH
    forth, back = AESGCM(exported[SHORT_ID : SHORT_ID + 32]), AESGCM(exported[SHORT_ID + 32 :])
    return ProbeKeys(exported[:SHORT_ID], *((forth, back) if caller else (back, forth)))


def seal_probe(keys: ProbeKeys, probe: Probe, nonce: bytes) -> bytes:
    """
    The datagram.

    :param nonce: 12 random bytes.
    """
    packed = ip_address(probe.host).packed if probe.host else b""
    inside = _INSIDE.pack(probe.kind, probe.transaction, len(packed), packed.ljust(16, b"\0"), probe.port)
    return keys.id + nonce + keys.sending.encrypt(nonce, inside, keys.id)


def open_probe(keys: ProbeKeys, datagram: bytes) -> Probe:
    """
    What a datagram that starts with our id says.

    :raises Forged: it was not sealed by the peer.
    :raises MalformedFrame: of another length, kind or family.
    """
    if len(datagram) != LENGTH:
        raise MalformedFrame(f"probe of {len(datagram)} bytes")
    nonce, sealed = datagram[SHORT_ID : SHORT_ID + NONCE], datagram[SHORT_ID + NONCE :]
    try:
        inside = keys.receiving.decrypt(nonce, sealed, keys.id)
    except InvalidTag:
        raise Forged("probe") from None
    kind, transaction, size, packed, port = _INSIDE.unpack(inside)
    if kind not in (ASK, ANSWER) or size not in (0, 4, 16):
        raise MalformedFrame("probe of unknown kind")
    host = str(IPv4Address(packed[:4]) if size == 4 else IPv6Address(packed)) if size else ""
    return Probe(kind, transaction, host, port)
