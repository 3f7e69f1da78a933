"""
The shape `masked`: nothing in a datagram is constant, nor looks like a header, a counter or an id.

The header is hidden as QUIC hides packet numbers: under a mask that a block cipher makes of a sample of the ciphertext.
Whoever has the network's CA can take the mask off; what is inside is sealed as ever.

Source: docs/protocol section 2.1; RFC 9001 section 5.4.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from morphnet.wire.batch import MAX_SEGMENTS
from morphnet.wire.core import CORE
from morphnet.wire.formats import COMPACT
from morphnet.wire.ip import View
from morphnet.wire.shapes.masking import BLOCK
from morphnet.wire.shapes.padding import Padding
from morphnet.wire.shapes.shape import MASKED, Coat, Shape, Undressed

HEADER = COMPACT.header  # bytes that are masked, behind the one that tells of the padding
FRONT = HEADER + 1
LEAST = COMPACT.overhead + 1  # bytes of the shortest datagram
_LAYOUT = FRONT, 0
_TAKEN = FRONT, 0, LEAST
_TO_READ = -(-FRONT // BLOCK)  # blocks of the stream


class Masked:
    """Of one network."""

    name = MASKED
    least = 1

    def __init__(self, network: bytes, entropy: Callable[[int], bytes]) -> None:
        """
        :param network: 32 bytes, the key of the network's knock.
        :param entropy: for the lengths of padding.
        """
        key = HKDFExpand(algorithm=SHA256(), length=32, info=b"morphnet 1 mask").derive(network)
        # One block after the other, each its own: what it makes of a sample must be the same at both ends.
        self._cipher = Cipher(AES(key), ECB()).encryptor()
        self._padding = Padding(entropy)
        self.read = 0  # runs of which the masks were made to read them, since the start

    def flow(self) -> Masked:
        """It has no connections."""
        return self

    def proved(self) -> None:
        """As in `Shape`; there is nothing to remember."""

    def dress(self, data: View, size: int, least: int, most: int, room: int) -> tuple[View, int]:
        """The datagrams, each a byte longer and by what is drawn for the run: `least` to `most` bytes, 255 at most."""
        size = min(size, len(data))
        padding = self._padding.draw(least, most)
        blocks = -(-(FRONT + padding) // BLOCK)
        stream = self._cipher.update(CORE.mask_samples(data, size, HEADER, blocks))
        return CORE.mask_dress(data, size, HEADER, stream, padding, b""), size + 1 + padding

    def coat(self, most: int) -> Coat:
        """As in `Shape`."""
        return Coat(b"", self._padding.draw(0, most), self._cipher.update)

    def take(self, data: View, size: int, known: Container[bytes]) -> tuple[Undressed, Shape] | None:
        """As in `Shape`."""
        self.read += 1
        found = CORE.mask_take(data, size, self._cipher.update, _TAKEN, known)
        return (found, self) if found is not None else None

    def reading(self, data: View, size: int, *, ours: bool = False) -> MaskedReading | None:
        """The masks of all these datagrams, with one call of the cipher."""
        if size < LEAST:
            return None
        total = len(data)
        over = total % size
        if 0 < over < LEAST:  # nothing of ours ends so
            total -= over
            data = data[:total]
        if not LEAST <= total <= size * MAX_SEGMENTS:
            return None
        self.read += 1
        return MaskedReading(self, data, size, self._cipher.update(CORE.mask_samples(data, size, FRONT, _TO_READ)))


class MaskedReading:
    """Datagrams with their masks beside them."""

    __slots__ = "_data", "_size", "_stream", "worn"

    def __init__(self, worn: Masked, data: View, size: int, stream: bytes) -> None:
        self.worn: Shape = worn
        self._data, self._size, self._stream = data, size, stream

    def undress(self, at: int, known: Container[bytes]) -> Undressed | None:
        """As in `Reading`. What shows no known id once its mask is off costs nothing more."""
        if at >= len(self._data):  # behind what can be ours
            return None
        return CORE.mask_undress(self._data, self._size, at, self._stream, _LAYOUT, known)
