"""
The first TLS messages of a QUIC connection, as anybody on the way can read them: what a client that has been there
before asks for, and what the server answers. Nothing in them is used; they are made so that they can be seen.

Source: RFC 8446 sections 4.1 and 4.2; RFC 9001 section 8; RFC 9000 section 18; RFC 6066 section 3; RFC 7301.
"""

from __future__ import annotations

from collections.abc import Callable

_CLIENT_HELLO, _SERVER_HELLO = 1, 2
_TLS12, _TLS13 = b"\x03\x03", b"\x03\x04"
_X25519 = b"\x00\x1d"
_GROUPS = _X25519 + b"\x00\x17\x00\x18"  # and the NIST curves of 256 and 384 bits
_SIGNATURES = bytes.fromhex("04030804040105030805050108060601")  # ECDSA, RSA-PSS and RSA, with SHA-256 to SHA-512
_SUITES = b"\x13\x01\x13\x02\x13\x03"
_SERVER_NAME, _ALPN, _SUPPORTED_GROUPS, _SIGNATURE_ALGORITHMS, _PSK = 0, 16, 10, 13, 41
_EARLY_DATA, _VERSIONS, _PSK_MODES, _KEY_SHARE, _TRANSPORT = 42, 43, 45, 51, 57
TICKET = 192  # bytes of what is shown as a session ticket
_BINDER = 32
_LIMITS = {1: 30_000, 3: 1472, 4: 15_728_640, 5: 6_291_456, 6: 6_291_456, 7: 6_291_456, 8: 100, 9: 103, 32: 65536}
_SOURCE_ID = 15  # the transport parameter with the client's connection id, which is empty

Entropy = Callable[[int], bytes]


def client_hello(sni: str, entropy: Entropy) -> bytes:
    """
    For HTTP/3, with a ticket and early data.

    :param sni: the server's name; empty for none, as for a server that is called by its address.
    """
    share = _X25519 + _long(_public_key(entropy))
    extensions = [
        _extension(_ALPN, _long(_short(b"h3"))),
        _extension(_SUPPORTED_GROUPS, _long(_GROUPS)),
        _extension(_SIGNATURE_ALGORITHMS, _long(_SIGNATURES)),
        _extension(_VERSIONS, _short(_TLS13)),
        _extension(_PSK_MODES, _short(b"\x01")),
        _extension(_KEY_SHARE, _long(share)),
        _extension(_TRANSPORT, _parameters(entropy)),
        _extension(_EARLY_DATA, b""),
    ]
    if sni:
        extensions.append(_extension(_SERVER_NAME, _long(b"\x00" + _long(sni.encode("ascii")))))
    ticket = _long(entropy(TICKET)) + entropy(4)
    last = _extension(_PSK, _long(ticket) + _long(_short(entropy(_BINDER))))
    listed = b"".join([*_shuffled(extensions, entropy), last])
    return _message(_CLIENT_HELLO, entropy, _long(_SUITES) + _short(b"\x00") + _long(listed))


def server_hello(entropy: Entropy) -> bytes:
    """The server takes the ticket."""
    extensions = [
        _extension(_VERSIONS, _TLS13),
        _extension(_KEY_SHARE, _X25519 + _long(_public_key(entropy))),
        _extension(_PSK, b"\x00\x00"),
    ]
    return _message(_SERVER_HELLO, entropy, _SUITES[:2] + b"\x00" + _long(b"".join(extensions)))


def varint(value: int) -> bytes:
    """Source: RFC 9000 section 16."""
    for size, mark in ((1, 0x00), (2, 0x40), (4, 0x80)):
        if value < 1 << 8 * size - 2:
            return (value | mark << 8 * (size - 1)).to_bytes(size, "big")
    return (value | 0xC0 << 56).to_bytes(8, "big")


def _public_key(entropy: Entropy) -> bytes:
    """32 bytes as a public key of X25519 is: less than 2^255."""
    key = bytearray(entropy(32))
    key[31] &= 0x7F
    return bytes(key)


def _parameters(entropy: Entropy) -> bytes:
    each = [varint(number) + _counted(varint(value)) for number, value in _LIMITS.items()]
    each.append(varint(_SOURCE_ID) + _counted(b""))
    return b"".join(_shuffled(each, entropy))


def _shuffled(items: list[bytes], entropy: Entropy) -> list[bytes]:
    """In another order each time."""
    return [item for _, item in sorted((entropy(4), item) for item in items)]


def _counted(value: bytes) -> bytes:
    return varint(len(value)) + value


def _short(value: bytes) -> bytes:
    return len(value).to_bytes(1, "big") + value


def _long(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value


def _extension(number: int, value: bytes) -> bytes:
    return number.to_bytes(2, "big") + _long(value)


def _message(kind: int, entropy: Entropy, rest: bytes) -> bytes:
    body = _TLS12 + entropy(32) + _short(b"") + rest  # a random, and no session
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body
