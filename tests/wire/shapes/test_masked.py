"""The shape `masked`: what is seen of it, and what it makes of what is not its own."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.core import CORE
from morphnet.wire.formats import COMPACT
from morphnet.wire.header import IP, SHORT_ID, Header
from morphnet.wire.keys import data_key
from morphnet.wire.seal import seal
from morphnet.wire.shapes.masked import LEAST, Masked
from tests import at_least
from tests.wire.shapes.test_masking import joined

ID = b"idofours"
KNOWN = frozenset({ID})


def masked(network: bytes = bytes(32), seed: int = 1) -> Masked:
    """Of that network."""
    return Masked(network, random.Random(seed).randbytes)


def sealed(number: int, size: int = 60) -> bytes:
    """A datagram as a path of one session sends them: only numbers and times differ."""
    header = Header(ID + bytes(12), IP, number, 0, 0, 64, 1, number * 1000, 0, 0, 0, number)
    return bytes(seal(COMPACT, data_key(bytes(32)), header, bytes(size)))


class MaskedTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """A run comes back whole, the last datagram shorter or not; each was longer by the same."""
        one, other = masked(seed=1), masked(seed=2)
        for count, last in ((1, 100), (2, 100), (64, 41), (7, 99)):
            run = b"".join(sealed(number) for number in range(count - 1)) + sealed(count, last - 40)[:last]
            size = 100 if count > 1 else last
            dressed, each = one.dress(run, size, 0, 15, 0)
            self.assertEqual(len(dressed), len(run) + count * (each - size))
            reading = other.reading(memoryview(dressed), each)
            assert reading is not None
            self.assertEqual(joined(reading.undress(0, KNOWN)), (run, size, len(dressed)))

    def test_at_once(self) -> None:
        """A run that is masked while it is sealed, and one that is taken at once, are what they are step by step."""
        shape, key, text = masked(), CORE.key(bytes(32)), bytes(range(200)) * 3
        front = COMPACT.counting, ID + bytes(16), ID + bytes(16), 24
        run = bytes(key.seal(front, bytes(12), b"head", text, 100))
        coat = shape.coat(15)
        dressed = bytes(key.seal_masked(front, bytes(12), b"head", text, 100, coat))
        size = 100 + 4 + 40 + coat.longer
        reading = shape.reading(dressed, size)
        assert reading is not None
        self.assertEqual(joined(reading.undress(0, KNOWN)), (run, 144, len(dressed)))
        for came in (dressed, memoryview(bytearray(dressed))):
            taken = shape.take(came, size, KNOWN)
            assert taken is not None
            self.assertEqual((joined(taken[0]), taken[1]), ((run, 144, len(dressed)), shape))
        self.assertIsNone(shape.take(dressed[1:], size, KNOWN))
        self.assertEqual({shape.coat(3).padding for _ in range(100)}, {0, 1, 2, 3})

    def test_no_constant_byte(self) -> None:
        """
        Over 10,000 datagrams of each of two networks, all of one size inside, every byte takes nearly every value in
        both, and the two have no more in common than chance.
        """
        networks = [masked(bytes([number]) * 32, number) for number in (1, 2)]
        seen = [[set[int]() for _ in range(LEAST + 60)] for _ in networks]
        alike = compared = 0
        for number in range(10_000):
            plain = sealed(number)
            came = [bytes(network.dress(plain, len(plain), 0, 63, 0)[0]) for network in networks]
            for values, datagram in zip(seen, came, strict=True):
                for place, value in zip(values, datagram, strict=False):
                    place.add(value)
            alike += sum(x == y for x, y in zip(came[0][:25], came[1][:25], strict=True))
            compared += 25
        self.assertGreaterEqual(min(len(values) for network in seen for values in network[:25]), 250)
        self.assertLess(alike / compared, 1.2 / 256)

    def test_lengths(self) -> None:
        """The padding of a run takes every length from the least to the most, and none beside."""
        shape, plain = masked(), sealed(1)
        sizes = {shape.dress(plain, len(plain), 3, 15, 0)[1] - len(plain) - 1 for _ in range(1000)}
        self.assertEqual(sizes, set(range(3, 16)))
        self.assertEqual(shape.dress(plain, len(plain), 0, 0, 0)[1], len(plain) + 1)

    def test_another_network(self) -> None:
        """What one network has dressed is nothing to another one."""
        dressed, size = masked(b"a" * 32).dress(sealed(1), 100, 0, 15, 0)
        reading = masked(b"b" * 32).reading(dressed, size)
        assert reading is not None
        self.assertIsNone(reading.undress(0, KNOWN))

    def test_among_others(self) -> None:
        """Of a row of which only some is ours, each is found where it is; one look serves for all of them."""
        shape = masked()
        ours, size = shape.dress(sealed(1), 100, 5, 5, 0)
        junk = random.Random(3).randbytes(size)
        reading = shape.reading(junk + bytes(ours) + junk + bytes(ours), size)
        assert reading is not None
        found = [reading.undress(at, KNOWN) for at in range(0, 4 * size, size)]
        self.assertEqual(found, [None, (sealed(1), 100, 2 * size, 0), None, (sealed(1), 100, 4 * size, 0)])
        self.assertEqual(shape.read, 1)

    def test_plain_at_the_end(self) -> None:
        """A plain datagram that the kernel has joined to dressed ones is not taken for one of them."""
        shape = masked()
        run = sealed(1) + sealed(2)
        dressed, size = shape.dress(run, 100, 5, 5, 0)
        reading = shape.reading(bytes(dressed) + sealed(3), size)
        assert reading is not None
        self.assertEqual(joined(reading.undress(0, KNOWN)), (run, 100, 2 * size))

    @at_least(2000)
    @given(st.binary(max_size=300), st.integers(1, 300))
    def test_garbage(self, data: bytes, size: int) -> None:
        """Whatever came, nothing raises, and what shows no known id is nothing."""
        self.assertIsNone(masked().take(data, size, KNOWN))
        reading = masked().reading(data, size)
        if reading is not None:
            for at in range(0, len(data) - LEAST + 1, size):
                self.assertIsNone(reading.undress(at, KNOWN))

    @at_least(2000)
    @given(st.data())
    def test_bent(self, chance: st.DataObject) -> None:
        """With any bytes of it changed or cut off, what is ours comes back changed, or is nothing; nothing raises."""
        dressed, size = masked().dress(sealed(1), 100, 0, 15, 0)
        bent = bytearray(dressed)
        for _ in range(chance.draw(st.integers(1, 4))):
            bent[chance.draw(st.integers(0, size - 1))] ^= chance.draw(st.integers(1, 255))
        del bent[chance.draw(st.integers(SHORT_ID, size)) :]
        reading = masked().reading(bytes(bent), len(bent))
        found = reading.undress(0, KNOWN) if reading is not None else None
        taken = masked().take(bytes(bent), len(bent), KNOWN)
        self.assertEqual(taken[0] if taken is not None else None, found)
        if found is not None:
            self.assertEqual((found[2], len(found[0])), (len(bent), found[1]))
