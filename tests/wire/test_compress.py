"""Compression of one packet: never larger, and nothing that blows up (E6)."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import zstandard
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.wire.compress import MAX_PLAINTEXT, compress, decompress
from morphnet.wire.header import GZIP, PLAIN, ZSTD

METHODS = st.sampled_from([PLAIN, GZIP, ZSTD])
PACKETS = st.one_of(
    st.binary(max_size=2000),
    st.tuples(st.binary(min_size=1, max_size=20), st.integers(1, 3000)).map(lambda p: (p[0] * p[1])[:MAX_PLAINTEXT]),
)
HUGE = 64 << 20


class CompressTests(SynchronousTestCase):
    @given(PACKETS, METHODS)
    def test_round_trip(self, packet: bytes, method: int) -> None:
        """What was compressed comes out again, and what goes out is never larger than what came in."""
        used, packed = compress(packet, method)
        self.assertLessEqual(len(packed), len(packet))
        self.assertIn(used, (method, PLAIN))
        self.assertEqual(decompress(packed, used), packet)

    def test_random_bytes_stay_plain(self) -> None:
        """What does not become smaller is sent as it is."""
        noise = zlib.compress(bytes(range(256)) * 9)
        self.assertEqual(compress(noise, ZSTD), (PLAIN, noise))
        self.assertEqual(compress(noise, GZIP), (PLAIN, noise))

    def test_largest(self) -> None:
        """Exactly MAX_PLAINTEXT bytes pass, one more does not."""
        for method in (GZIP, ZSTD):
            used, packed = compress(bytes(MAX_PLAINTEXT), method)
            self.assertEqual((used, len(decompress(packed, used))), (method, MAX_PLAINTEXT))
            used, packed = compress(bytes(MAX_PLAINTEXT + 1), method)
            with self.assertRaises(MalformedFrame):
                decompress(packed, used)

    @given(st.binary(max_size=300), st.integers(0, 255))
    def test_junk(self, junk: bytes, method: int) -> None:
        """Arbitrary bytes unpack or are malformed, nothing else."""
        for magic in (b"", b"\x1f\x8b\x08\0", zstandard.FRAME_HEADER):
            try:
                self.assertLessEqual(len(decompress(magic + junk, method)), MAX_PLAINTEXT)
            except MalformedFrame:
                pass

    @given(METHODS.filter(bool), st.integers(0, 60))
    def test_cut_short(self, method: int, size: int) -> None:
        """A compressed packet without its end is malformed, and so is one with something behind it."""
        used, packed = compress(b"a packet, a packet, a packet, a packet, a packet, a packet, a packet", method)
        self.assertEqual(used, method)
        for wrong in (packed[: min(size, len(packed) - 1)], packed + b"\0"):
            with self.assertRaises(MalformedFrame):
                decompress(wrong, method)


class BombTests(SynchronousTestCase):
    def _defused(self, bomb: bytes, method: int) -> None:
        tracemalloc.start()
        try:
            with self.assertRaises(MalformedFrame):
                decompress(bomb, method)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        self.assertLess(peak, 4 * MAX_PLAINTEXT)

    def test_gzip(self) -> None:
        """A gzip bomb, 60 MiB in one datagram, is refused, and never unpacked."""
        bomb = gzip.compress(bytes(60 << 20), 9)
        self.assertLess(len(bomb), 65507)
        self._defused(bomb, GZIP)

    def test_zstd(self) -> None:
        """A zstd bomb of 64 MiB is refused, with its size in the frame or without."""
        self._defused(zstandard.ZstdCompressor().compress(bytes(HUGE)), ZSTD)
        self._defused(zstandard.ZstdCompressor(write_content_size=False).compress(bytes(HUGE)), ZSTD)
        lying = bytearray(zstandard.ZstdCompressor().compress(bytes(HUGE)))
        header = zstandard.frame_header_size(bytes(lying))
        lying[header - 4 : header] = (1000).to_bytes(4, "little")  # says 1000 bytes, brings 64 MiB
        self._defused(bytes(lying), ZSTD)

    def test_zstd_window(self) -> None:
        """A frame that wants a window of 128 MiB gets none."""
        settings = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
        stream = zstandard.ZstdCompressor(compression_params=settings).compressobj()
        self._defused(stream.compress(b"small") + stream.flush(), ZSTD)
