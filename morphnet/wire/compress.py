"""
Compression of one packet: used only where it makes the packet smaller, and never able to blow up the receiver.

Source: docs/protocol section 6.
"""

from __future__ import annotations

import zlib

import zstandard

from morphnet.errors import MalformedFrame
from morphnet.wire.header import GZIP, PLAIN, ZSTD

MAX_PLAINTEXT = 65535  # bytes that one datagram may unpack to
NAMES = {"off": PLAIN, "gzip": GZIP, "zstd": ZSTD}
_GZIP_WBITS = 31

_packer = zstandard.ZstdCompressor(level=1, write_checksum=False, write_content_size=True)
_unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 17)
_GZIP_TAIL = 8  # bytes of checksum and length behind the last block


def compress(plaintext: bytes, method: int) -> tuple[int, bytes]:
    """(method used, bytes to send): the plaintext itself, as PLAIN, unless `method` makes it smaller."""
    if method == ZSTD:
        packed = _packer.compress(plaintext)
    elif method == GZIP:
        squeezer = zlib.compressobj(1, zlib.DEFLATED, _GZIP_WBITS)
        packed = squeezer.compress(plaintext) + squeezer.flush()
    else:
        return PLAIN, plaintext
    return (method, packed) if len(packed) < len(plaintext) else (PLAIN, plaintext)


def decompress(data: bytes, method: int) -> bytes:
    """
    Undo `compress`.

    :raises MalformedFrame: an unknown method, damaged bytes, or more than MAX_PLAINTEXT bytes inside.
    """
    if method == PLAIN:
        return data
    try:
        if method == GZIP:
            return _gunzip(data)
        if method == ZSTD:
            # the frame says how much is inside: nothing is unpacked, and no memory taken, to find out
            if zstandard.get_frame_parameters(data).content_size > MAX_PLAINTEXT:
                raise MalformedFrame("compressed packet with too much inside")
            return _unpacker.decompress(data, max_output_size=MAX_PLAINTEXT, allow_extra_data=False)
    except (zlib.error, zstandard.ZstdError) as error:
        raise MalformedFrame("damaged compressed packet") from error
    raise MalformedFrame(f"compression method {method}")


def _gunzip(data: bytes) -> bytes:
    opener = zlib.decompressobj(_GZIP_WBITS)
    plain = opener.decompress(data, MAX_PLAINTEXT)
    if len(opener.unconsumed_tail) <= _GZIP_TAIL:  # all is out but the tail, which takes no room
        plain += opener.decompress(opener.unconsumed_tail, 1)
    if not opener.eof or opener.unused_data or len(plain) > MAX_PLAINTEXT:
        raise MalformedFrame("compressed packet with too much inside, or cut short")
    return plain
