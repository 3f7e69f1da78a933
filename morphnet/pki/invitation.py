"""
An invitation as one line of text: all that a new machine needs to ask for its certificate, and to know its server.

    morphnet1:BASE32          letters and digits alone, so it survives shells, chats and a change of case;
                              a QR code holds it in its compact alphanumeric mode

    BASE32 = base32(body | crc32(body)) without "=", body = deflate(content) against a fixed dictionary
    content = address | server name | seed 32 | CA certificate | invitation certificate
              (every part but the seed: u16 length, then the bytes; certificates in DER)

The CRC is against a mangled paste; what protects the network is the CA's signature. Whoever holds the line may use it,
once, until it expires.

Source: docs/protocol section 7.
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from morphnet.config.roles import CONTROL_PORT
from morphnet.errors import ConfigError, Refused
from morphnet.pki.authority import describe
from morphnet.pki.names import checked_host, checked_name, join_address, split_address
from morphnet.pki.unreadable import UNREADABLE

PREFIX = "morphnet1:"
LONGEST_LINE = 8192  # characters
_LONGEST_CONTENT = 4096  # bytes
_MANGLED = "this is not a whole invitation: copy the line again, from 'morphnet1:' to its end"
_HOSTILE = "this invitation holds a {what}: ask for another one"
_LENGTH = struct.Struct("!H")
_CHECK = struct.Struct("!I")
_SEED = 32  # bytes of an Ed25519 private key

# What is the same in nearly every pair of certificates. It is part of the format: another dictionary is another prefix.
_DICTIONARY = bytes.fromhex(
    "3082014a3081fda003020102021420300506032b657030223120301e06035504030c176d6f7270686e657420301e170d3236"
    "3031303130303030305a170d3336303130313030303030305a302a300506032b6570032100a345304330120603551d130101"
    "ff040830060101ff020100300e0603551d0f0101ff040403020106301d0603551d0e04160414300506032b65700341003082"
    "016030820112a003020102021431e5300506032b6570303011310f300d06035504030c06302a300506032b6570032100a36b"
    "3069300c0603551d130101ff04023000300e0603551d0f0101ff04040302078030150603551d25040e300c060a2b06010401"
    "83ff7f490130110603551d11040a300882066c6170746f70301f0603551d23041830168014300506032b6570034100"
)


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the line holds."""

    address: str  # "HOST:PORT" or "[HOST]:PORT" of the server's control link
    server_name: str  # must be in the server's certificate
    key: Ed25519PrivateKey = field(repr=False, compare=False)  # of the invitation, not of the machine
    certificate: x509.Certificate  # of the invitation
    ca: x509.Certificate

    @property
    def name(self) -> str:
        """The name that the machine shall have."""
        return describe(self.certificate).name

    @property
    def not_after(self) -> float:
        """Unix seconds."""
        return self.certificate.not_valid_after_utc.timestamp()


def encode(invitation: Invitation) -> str:
    """The line."""
    certificates = (each.public_bytes(Encoding.DER) for each in (invitation.ca, invitation.certificate))
    address, name = invitation.address.encode("ascii"), invitation.server_name.encode("ascii")
    content = _part(address) + _part(name) + invitation.key.private_bytes_raw() + b"".join(map(_part, certificates))
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=_DICTIONARY)
    body = deflate.compress(content) + deflate.flush()
    return PREFIX + base64.b32encode(body + _CHECK.pack(zlib.crc32(body))).decode("ascii").rstrip("=").lower()


def _part(content: bytes) -> bytes:
    return _LENGTH.pack(len(content)) + content


def decode(line: str) -> Invitation:
    """
    What is in a line; blanks and line ends in it do not matter.

    Whoever made it may have put anything in: what it says goes into names of files and into a configuration, so that
    each field must be what it ought to be.

    :raises ConfigError: it is no invitation, mangled, or of somebody who means no good.
    """
    text = "".join(line.split()).lower()
    if not text.startswith(PREFIX) or len(text) > LONGEST_LINE:
        raise ConfigError(_MANGLED)
    content = _content(text.removeprefix(PREFIX))
    try:
        address, at = _take(content, 0)
        server_name, at = _take(content, at)
        key = Ed25519PrivateKey.from_private_bytes(content[at : at + _SEED])
        ca, at = _take(content, at + _SEED)
        certificate, at = _take(content, at)
        found = Invitation(
            join_address(*split_address(address.decode("ascii"), CONTROL_PORT)),
            checked_host(server_name.decode("ascii")),
            key,
            x509.load_der_x509_certificate(certificate),
            x509.load_der_x509_certificate(ca),
        )
        found.certificate.verify_directly_issued_by(found.ca)
        said = describe(found.certificate)
    except Refused as refused:
        raise ConfigError(_HOSTILE.format(what=refused.reason)) from None
    except (*UNREADABLE, ConfigError):
        raise ConfigError(_MANGLED) from None
    if at != len(content) or said.kind != "invite" or found.certificate.public_key() != key.public_key():
        raise ConfigError(_MANGLED)
    try:
        checked_name(said.name)  # "ca" among those that it refuses: our own files are called so
    except ConfigError:
        raise ConfigError(_HOSTILE.format(what="certificate of a name that no machine may have")) from None
    return found


def _content(letters: str) -> bytes:
    try:
        packed = base64.b32decode(letters.upper() + "=" * (-len(letters) % 8))
    except (binascii.Error, ValueError):
        raise ConfigError(_MANGLED) from None
    body, sum_read = packed[: -_CHECK.size], packed[-_CHECK.size :]
    # The last letter has bits to spare: without the comparison some of its changes would go unnoticed.
    exact = base64.b32encode(packed).decode("ascii").rstrip("=").lower() == letters
    if len(packed) <= _CHECK.size or not exact or sum_read != _CHECK.pack(zlib.crc32(body)):
        raise ConfigError(_MANGLED)
    inflate = zlib.decompressobj(-15, zdict=_DICTIONARY)
    try:
        content = inflate.decompress(body, _LONGEST_CONTENT)
    except zlib.error:
        raise ConfigError(_MANGLED) from None
    if not inflate.eof or inflate.unused_data:
        raise ConfigError(_MANGLED)
    return content


def _take(content: bytes, at: int) -> tuple[bytes, int]:
    """
    One part and where the next begins.

    :raises ValueError: it is cut short.
    """
    if len(content) < at + _LENGTH.size:
        raise ValueError("cut short")
    (length,) = _LENGTH.unpack_from(content, at)
    at += _LENGTH.size
    if len(content) < at + length:
        raise ValueError("cut short")
    return content[at : at + length], at + length
