"""What is read from a TUN together, and what is written to one: every core against the others and against a kernel."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.batch import MAX_SEGMENTS, VNET_HDR
from morphnet.wire.core import CORE, PURE, cores
from morphnet.wire.header import PARTIAL, SEGMENT
from morphnet.wire.ip import TCP, UDP, peek
from morphnet.wire.offload import MOST_JOINED, MOST_READS, split
from morphnet.wire.segments import Run, join
from morphnet.wire.virtio import complete_checksum
from tests.wire.test_segments import Naive, single, supers

CORES = list(cores())


def read(naive: Naive, *, checksum: bool) -> bytes:
    """One packet as a TUN gives it, its checksum made or left to whoever writes it."""
    packet = naive.packet(naive.payload, naive.seq, naive.ident, naive.flags, checksum=checksum)
    start = naive.headers() - (20 + len(naive.options) if naive.protocol == TCP else 8)
    offset = 16 if naive.protocol == TCP else 6
    vnet = b"\x01\0\0\0\0\0" + start.to_bytes(2, "little") + offset.to_bytes(2, "little")
    return (bytes(VNET_HDR) if checksum else vnet) + packet


@st.composite
def batches(draw: st.DrawFn, honest: bool = False) -> list[bytes]:
    """
    Packets of a few flows, many of them alike, some of them super packets, some bent.

    :param honest: what the kernel says of them is true.
    """
    batch = []
    for _ in range(draw(st.integers(1, 12))):
        if draw(st.integers(0, 9)) == 0:
            batch.append(bytes(draw(supers()).from_kernel()))
            continue
        naive = Naive(
            draw(st.sampled_from([4, 4, 6])),
            draw(st.sampled_from([UDP, UDP, TCP])),
            bytes(draw(st.sampled_from([0, 1, 8, 8, 9, 30]))),
            0,
            ident=draw(st.integers(0, 3)),
            extension=draw(st.sampled_from([b"", b"", bytes((UDP, 0, 1, 4)) + bytes(4)])),
        )
        if naive.protocol == TCP or naive.version == 4:
            naive.extension = b""
        checksum = draw(st.booleans())
        packet = bytearray(read(naive, checksum=checksum))
        if draw(st.integers(0, 3)) == 0 and (checksum or not honest):
            at = draw(st.integers(8 * VNET_HDR if honest else 0, 8 * len(packet) - 1))
            packet[at // 8] ^= 1 << at % 8
        batch += [bytes(packet)] * draw(st.integers(1, 4))
    return batch


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """What one TCP hands over at once: segments and super packets that mostly go on where the one before ends."""
    version, size, seq, batch = draw(st.sampled_from([4, 6])), draw(st.sampled_from([8, 30])), 2**32 - 40, []
    for ident in range(draw(st.integers(2, 12))):
        odd = draw(st.integers(0, 7)) == 0  # something is not as in the others
        naive = Naive(
            version,
            TCP,
            bytes(draw(st.sampled_from([size, 2 * size, 5 * size, *([size - 1, 0, 3 * size + 1] if odd else [])]))),
            draw(st.sampled_from([size, size + 1] if odd else [size])),
            flags=draw(st.sampled_from([0x10, 0x18, 0x11, 0x50, 0x90] if odd else [0x10, 0x10, 0x18])),
            ident=ident,
            seq=(seq + odd * draw(st.integers(0, 1))) & 0xFFFFFFFF,
            options=draw(st.sampled_from([bytes(12), b"\1" * 12] if odd else [bytes(12)])),
        )
        many, checksum = len(naive.payload) > naive.size, odd and draw(st.booleans())
        batch.append(bytes(naive.from_kernel()) if many else read(naive, checksum=checksum))
        seq += len(naive.payload)
    return batch


def runs(batch: list[bytes]) -> list[Run]:
    """The runs that a batch makes."""
    return [Run(*cut[1:]) for cut in CORE.gather([memoryview(packet) for packet in batch]) if cut is not None]


def finished(packet: bytearray) -> bytearray:
    """A packet behind its virtio_net_hdr as it would leave the machine: its checksum made."""
    complete_checksum(packet)
    return packet[VNET_HDR:]


class AgreementTests(SynchronousTestCase):
    @given(batches() | streams())
    def test_gather(self, batch: list[bytes]) -> None:
        """Every core makes the same runs of a batch."""
        made = [core.gather([memoryview(packet) for packet in batch]) for core in CORES]
        for each in made:
            self.assertEqual(each, made[-1])

    @given(st.lists(st.binary(max_size=200), max_size=5))
    def test_gather_junk(self, batch: list[bytes]) -> None:
        """Arbitrary bytes are the same to every core."""
        for start in (
            b"",
            bytes(10) + b"\x45",
            bytes(10) + b"\x45\0\0\0\0\0\0\0\0\x11",
            b"\x01\x01\0\0\x01\0\0\0\0\0\x60",
        ):
            made = [core.gather([memoryview(start + junk) for junk in batch]) for core in CORES]
            for each in made:
                self.assertEqual(each, made[-1])

    @given(supers(), st.data())
    def test_finish(self, naive: Naive, data: st.DataObject) -> None:
        """Every core finishes what was joined to the same bytes, or refuses it, bent or not."""
        cut = PURE.gather([naive.from_kernel()])[0]
        assert cut is not None
        packet = bytearray(VNET_HDR) + cut[1] + cut[2]
        if data.draw(st.booleans()):
            at = data.draw(st.integers(0, 8 * min(len(packet), 90) - 1))
            packet[at // 8] ^= 1 << at % 8
        words = data.draw(st.integers(-1, 70)), data.draw(st.booleans()), data.draw(st.integers(-1, 70))
        answers = []
        for core in CORES:
            room = bytearray(packet)
            source = core.finish(room, *words)
            answers.append((source, bytes(room) if source is not None else b""))
        self.assertEqual(answers, [answers[-1]] * len(CORES))

    @given(batches(), st.sampled_from([0, PARTIAL]))
    def test_single(self, batch: list[bytes], flags: int) -> None:
        """Every core makes the same of a whole packet."""
        for packet in batch:
            made = [core.single(packet[VNET_HDR:], flags) for core in CORES]
            self.assertEqual(made, [made[-1]] * len(CORES))

    def test_too_many(self) -> None:
        """More packets than a batch holds are refused."""
        for core in CORES:
            with self.assertRaises(ValueError):
                core.gather([memoryview(b"")] * (MOST_READS + 1))


class GatherTests(SynchronousTestCase):
    @given(batches(honest=True) | streams())
    def test_nothing_is_changed(self, batch: list[bytes]) -> None:
        """
        What comes out of the runs is, flow by flow and in its order, what went in: the same packets with the same
        checksums, but for the numbers of IPv4 packets that may not be fragmented, and for TCP's wishes for haste.
        """
        good = [packet for packet in batch if PURE.gather([memoryview(packet)])[0] is not None]
        before, after = defaultdict[int, list[bytes]](list), defaultdict[int, list[bytes]](list)
        for packet in good:
            before[peek(packet[VNET_HDR:]).flow] += self._out(packet)
        for run in runs(batch):
            after[run.flow] += [out for packet in self._written(run) for out in self._out(packet)]
        self.assertEqual(after, before)

    @staticmethod
    def _written(run: Run) -> list[bytes]:
        """What the other end writes to its TUN."""
        if not run.flags & SEGMENT:
            return [single(run.plaintext(step), run.flags) for step in range(run.count)]
        return [bytes(join([run.plaintext(step) for step in range(run.count)], 0, True)[0])]

    @staticmethod
    def _out(packet: bytes) -> list[bytes]:
        """What leaves the machine for what was written, IPv4 numbers and TCP's wishes for haste set aside."""
        pieces = [bytearray(packet)] if not packet[1] else list(split(packet))
        out = []
        for piece in pieces:
            whole = finished(piece)
            if whole[0] >> 4 == 4 and whole[6] & 0x40:
                whole[4:6] = whole[10:12] = b"\0\0"
            looked = peek(whole)
            if looked.protocol == TCP and looked.headers > looked.transport:
                at = looked.transport
                total = int.from_bytes(whole[at + 16 : at + 18], "big") + (whole[at + 13] & 8)  # as if it had none
                whole[at + 16 : at + 18] = (total % 0xFFFF).to_bytes(2, "big")
                whole[at + 13] &= ~8
            out.append(bytes(whole))
        return out

    def test_alike(self) -> None:
        """UDP packets of one flow and size travel as one super packet; one that is shorter ends it."""
        long, short = Naive(4, UDP, b"x" * 100, 100), Naive(4, UDP, b"y" * 10, 100)
        batch = [read(long, checksum=bool(step % 2)) for step in range(5)] + [read(short, checksum=False)] * 2
        made = [(len(run.body), run.size, run.flags) for run in runs(batch)]
        self.assertEqual(made, [(510, 100, SEGMENT | PARTIAL), (38, 38, PARTIAL)])

    def test_whole(self) -> None:
        """Packets of one flow and size that cannot be slices, such as TCP's acknowledgements, stay whole in one run."""
        made = runs([read(Naive(6, TCP, b"", 0, seq=step), checksum=False) for step in range(70)])
        self.assertEqual([run.count for run in made], [MAX_SEGMENTS, 6])
        self.assertEqual({(run.head, run.size, run.flags) for run in made}, {(b"", 60, PARTIAL)})

    def test_one_stream(self) -> None:
        """
        What TCP sends piece by piece travels as one super packet until a short piece ends it; a wish for haste in the
        middle moves to the end.
        """
        batch, seq = list[bytes](), 1000
        for slices, flags in ((2, 0x10), (1, 0x18), (20, 0x10), (2.5, 0x10), (2, 0x10)):
            payload = b"x" * int(100 * slices)
            naive = Naive(4, TCP, payload, 100, seq=seq, flags=flags)
            batch.append(bytes(naive.from_kernel()) if slices > 1 else read(naive, checksum=False))
            seq += len(payload)
        made = [(len(run.body), run.size, run.flags, run.head[33]) for run in runs(batch)]
        self.assertEqual(made, [(2550, 100, SEGMENT | PARTIAL, 0x18), (200, 100, SEGMENT | PARTIAL, 0x10)])

    def test_not_one_stream(self) -> None:
        """Segments that do not go on, or say something else than the one before, are no slices of one packet."""
        first = Naive(4, TCP, b"x" * 100, 100, seq=0)
        for other in (
            replace(first, seq=101),
            replace(first, seq=100, flags=0x11),
            replace(first, seq=100, flags=0x90),
            replace(first, seq=100, options=b"\1" * 12),
            replace(first, seq=100, payload=b"x" * 101),
        ):
            made = runs([read(first, checksum=False), read(other, checksum=False)])
            self.assertEqual([run.flags & SEGMENT for run in made], [0] * len(made))

    def test_wrong_checksum(self) -> None:
        """A UDP packet whose checksum is wrong is not made one whose checksum is right."""
        packet = bytearray(read(Naive(4, UDP, b"x" * 50, 50), checksum=True))
        packet[-1] ^= 1
        (run,) = runs([bytes(packet)] * 3)
        self.assertEqual((run.head, run.flags, run.body), (b"", 0, bytes(packet[VNET_HDR:]) * 3))

    def test_never_too_long(self) -> None:
        """What is gathered fits into one packet, and into one send."""
        made = runs([read(Naive(4, UDP, b"x" * 1300, 1300), checksum=False)] * 200)
        self.assertEqual(sum(len(run.body) for run in made), 200 * 1300)
        self.assertLessEqual(max(len(run.head) + len(run.body) for run in made), MOST_JOINED)


class SplitTests(SynchronousTestCase):
    @given(supers())
    def test_like_the_kernel(self, naive: Naive) -> None:
        """A super packet that was split is what the kernel would have put on the wire."""
        naive = replace(naive, size=max(naive.size, 2))
        run = Run(*PURE.gather([naive.from_kernel()])[0][1:])  # type: ignore[index]
        packet, _ = join([run.plaintext(step) for step in range(run.count)], 0, True)
        if packet[1]:
            self.assertEqual([bytes(finished(each)) for each in split(packet)], naive.on_the_wire())
