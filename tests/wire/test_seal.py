"""Sealed datagrams: vectors with their key, runs against single ones, and every kind of damage."""

from __future__ import annotations

from itertools import product

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Forged, MalformedFrame
from morphnet.wire import pure
from morphnet.wire.core import Key, cores
from morphnet.wire.formats import FORMATS, SEED, Format
from morphnet.wire.header import PARTIAL, SEGMENT, Header, nonce_of
from morphnet.wire.ip import UDP
from morphnet.wire.seal import open_each, open_run, open_whole, seal, seal_run
from morphnet.wire.segments import Run, join
from tests.wire.test_formats import HEADER, VECTORS, formats, headers
from tests.wire.test_ip import A4
from tests.wire.test_segments import Naive, cut, single, supers

CORES = list(cores())  # the compiled one with each cipher that this machine has, and the pure one
KEY = bytes(range(32))
KEYS = [core.key(KEY) for core in CORES]
SEALED = {  # HEADER and b"morphnet", under KEY
    "seed": bytes.fromhex(VECTORS["seed"] + "79f96836433da1fecbf3816105a151e84a0d5efb4f7bcc19"),
    "compact": bytes.fromhex(VECTORS["compact"] + "79f96836433da1fed79c9223812a0fb4a2e81482895b4a8f"),
}


def open_datagram(format: Format, key: Key, header: Header, sealed: memoryview) -> bytes:
    """The plaintext of one."""
    (plaintext,) = open_each(format, key, header, sealed, (len(sealed), 0))
    return plaintext


class SealTests(SynchronousTestCase):
    def test_vectors(self) -> None:
        """Frozen datagrams: sealed and opened with their key, byte for byte."""
        for key, (name, format) in product(KEYS, FORMATS.items()):
            self.assertEqual(seal(format, key, HEADER, b"morphnet").hex(), SEALED[name].hex())
            self.assertEqual(open_datagram(format, key, HEADER, memoryview(SEALED[name])), b"morphnet")

    def test_as_documented(self) -> None:
        """Nonce and additional data are the bytes that docs/protocol section 2 names."""
        sealed = SEALED["seed"]
        self.assertEqual(AESGCM(KEY).decrypt(sealed[38:50], sealed[50:], sealed[:38]), b"morphnet")
        sealed = SEALED["compact"]
        self.assertEqual(AESGCM(KEY).decrypt(nonce_of(HEADER), sealed[24:], sealed[:24]), b"morphnet")

    def test_every_bit_counts(self) -> None:
        """A datagram with any one bit flipped, header, nonce, ciphertext or tag, is not accepted (D7)."""
        for key, (name, format) in product(KEYS, FORMATS.items()):
            for at in range(8 * len(SEALED[name])):
                bent = bytearray(SEALED[name])
                bent[at // 8] ^= 1 << at % 8
                with self.assertRaises((MalformedFrame, Forged)):
                    read = format.unpack(bent, 0, len(bent), HEADER.issued, HEADER.direction)
                    open_datagram(format, key, read if format is SEED else HEADER, memoryview(bent))

    @given(formats, headers(), st.binary(max_size=2000), st.integers(0, 9))
    def test_round_trip(self, format: Format, header: Header, plaintext: bytes, at: int) -> None:
        """What was sealed opens, at any offset, and costs what its format says."""
        for key in KEYS:
            sealed = seal(format, key, header, plaintext)
            self.assertEqual(len(sealed), len(plaintext) + format.overhead)
            there = memoryview(bytes(at) + bytes(sealed) + b"tail")
            self.assertEqual(open_datagram(format, key, header, there[at : at + len(sealed)]), plaintext)

    @given(formats, st.binary(min_size=66, max_size=300), headers())
    def test_junk(self, format: Format, junk: bytes, header: Header) -> None:
        """Arbitrary bytes are Forged, and nothing else is raised."""
        for key in KEYS:
            with self.assertRaises(Forged):
                open_datagram(format, key, header, memoryview(junk))


class RunTests(SynchronousTestCase):
    @given(formats, headers(), st.integers(1, 50), st.integers(1, 50), st.data())
    def test_as_one_by_one(self, format: Format, header: Header, size: int, slices: int, data: st.DataObject) -> None:
        """A sealed run is the same bytes as its slices sealed one by one, whatever part of it is asked for."""
        body = bytes(i & 0xFF for i in range(size * slices - data.draw(st.integers(0, size - 1))))
        run = Run(b"the headers", body, size, SEGMENT, 7)
        start = data.draw(st.integers(0, run.count - 1))
        count = data.draw(st.integers(1, run.count - start))
        first = header._replace(place=start, number=5, flags=SEGMENT)
        expected = bytearray()
        for step in range(count):
            each = first._replace(
                sequence=first.sequence + step, place=start + step, number=5 + step,
                flags=run.slice_flags(start + step),
            )  # fmt: skip
            expected += seal(format, pure.Key(KEY), each, run.plaintext(start + step))
        for key in KEYS:
            self.assertEqual(seal_run(format, key, first, run, (start, count)), expected)

    def _sealed(self, format: Format, header: Header, naive: Naive) -> tuple[Header, Run, bytearray, int]:
        """The header, the run, its datagrams and the bytes of each but the last."""
        run = cut(naive.from_kernel())
        header = header._replace(place=0, flags=run.flags, number=5)
        sealed = bytearray(seal_run(format, KEYS[-1], header, run, (0, run.count)))
        return header, run, sealed, format.overhead + run.bytes_of(1)

    @given(formats, headers(), supers(), st.data())
    def test_open_run(self, format: Format, header: Header, naive: Naive, data: st.DataObject) -> None:
        """A run opened at once is what its slices, opened one by one, are joined to, wherever it was divided."""
        first, run, sealed, stride = self._sealed(format, header, naive)
        middle = data.draw(st.integers(0, run.count))
        expected = join([run.plaintext(step) for step in range(run.count)], 0, True)
        for key in KEYS:
            opened: list[object] = []
            for start, part in ((0, sealed[: middle * stride]), (middle, sealed[middle * stride :])):
                each = first._replace(number=5 + start)
                if len(part) > stride:
                    opened.append(open_run(format, key, each, memoryview(part), (stride, 0)))
                elif part:
                    opened.append(open_datagram(format, key, each, memoryview(part)))
            self.assertEqual(join(opened, 0, True), expected)  # type: ignore[arg-type]

    @given(formats, headers(), supers(), st.data())
    def test_forged_run(self, format: Format, header: Header, naive: Naive, data: st.DataObject) -> None:
        """With one bit flipped anywhere but in a nonce on the wire a run does not open."""
        first, _, sealed, stride = self._sealed(format, header, naive)
        at = data.draw(st.integers(0, len(sealed) - 1))
        if format.aad <= at % stride < format.header:
            return
        sealed[at] ^= 1 << data.draw(st.integers(0, 7))
        for key in KEYS:
            with self.assertRaises(Forged):
                open_run(format, key, first, memoryview(sealed), (stride, 0))

    def test_no_slices(self) -> None:
        """Datagrams that follow one another but hold no slices are not joined."""
        run = Run(b"the headers", bytes(100), 10, SEGMENT, 7)
        for key, format in product(KEYS, FORMATS.values()):
            sealed = seal_run(format, key, HEADER, run, (0, run.count))
            self.assertIsNone(open_run(format, key, HEADER, memoryview(sealed), (format.overhead + 21, 0)))

    @given(formats, headers(), st.integers(1, 20), st.sampled_from([0, PARTIAL]))
    def test_open_whole(self, format: Format, header: Header, count: int, partial: int) -> None:
        """Whole packets that travel as one run come out as each would alone; what is no packet is told apart."""
        packet = Naive(4, UDP, b"payload", 100).on_the_wire()[0]
        bodies = [packet if step % 3 != 1 else bytes(len(packet)) for step in range(count)]
        run = Run(b"", b"".join(bodies), len(packet), partial, 7)
        first = header._replace(flags=partial, number=5)
        for key in KEYS:
            sealed = memoryview(bytearray(seal_run(format, key, first, run, (0, count))))
            made = open_whole(format, key, first, sealed, (format.overhead + len(packet), 0)).each
            self.assertEqual([each is None for each in made], [step % 3 == 1 for step in range(count)])
            for each in made:
                if each is not None:
                    self.assertEqual((bytes(each[0]), each[1]), (single(packet, partial), A4))
            sealed[-1] ^= 1
            with self.assertRaises(Forged):
                open_whole(format, key, first, sealed, (format.overhead + len(packet), 0))
