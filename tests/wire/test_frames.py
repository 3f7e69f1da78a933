"""Frames: a vector, round trips, and bytes that are none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.wire.candidates import HOST, KINDS, MAPPED, MOST_CANDIDATES, Candidate, is_reachable
from morphnet.wire.frames import (
    MAX_RANGES,
    Ack,
    Challenge,
    Frame,
    NewIds,
    PathClose,
    Ping,
    Reach,
    Response,
    Seen,
    WantIds,
    decode_frames,
    encode_frames,
    type_of,
)
from morphnet.wire.header import CONTROL, HANDSHAKE, HEARTBEAT

ALL: list[Frame] = [
    Ping(),
    Ack(3, 1000, 2500, 0xDEADBEEF, 998, 123456, 0x01020304, ((990, 1000), (980, 985))),
    Challenge(b"8 bytes!"),
    Response(b"!setyb 8"),
    NewIds((bytes(20), bytes(range(20)))),
    WantIds(8),
    PathClose(3),
    Seen("203.0.113.9", 4500),
    Seen("2001:db8::9", 4501),
    Reach((Candidate(HOST, "10.0.0.7", 4500), Candidate(MAPPED, "2001:db8::9", 4501))),
    Reach(()),
]
VECTOR = bytes.fromhex(
    "01020300000000000003e8000009c4deadbeef000003e6000000000001e24001020304020000000a000f001403382062797465732104217365"
    "7479622038050200000000000000000000000000000000000000000001020304050607" "08090a0b0c0d0e0f1011121306080703"
    "0804cb0071091194" "081020010db80000000000000000000000091195"
    "0902" "00040a0000071194" "011020010db80000000000000000000000091195" "0900"
)  # fmt: skip
U8, U32, U64 = st.integers(0, 255), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
TOKENS = st.binary(min_size=8, max_size=8)
IDS = st.binary(min_size=20, max_size=20)


@st.composite
def acks(draw: st.DrawFn) -> Ack:
    """Acks whose ranges are in order and within reach of `largest`."""
    largest = draw(U64)
    low = max(0, largest - 0xFFFF)
    edges = sorted(draw(st.sets(st.integers(low, largest), max_size=2 * MAX_RANGES)), reverse=True)
    ranges = tuple((edges[i + 1], edges[i]) for i in range(0, len(edges) - 1, 2))
    return Ack(draw(U8), largest, draw(U32), draw(U32), draw(U32), draw(U64), draw(U32), ranges)


FRAMES: st.SearchStrategy[Frame] = st.one_of(
    st.just(Ping()),
    acks(),
    TOKENS.map(Challenge),
    TOKENS.map(Response),
    st.lists(IDS, min_size=1, max_size=16).map(lambda ids: NewIds(tuple(ids))),
    st.integers(1, 16).map(WantIds),
    U8.map(PathClose),
    st.builds(Seen, st.ip_addresses().map(str), st.integers(0, 65535)),
    st.lists(
        st.builds(
            Candidate, st.sampled_from(KINDS), st.ip_addresses().filter(is_reachable).map(str), st.integers(1, 65535)
        ),
        max_size=MOST_CANDIDATES,
    ).map(lambda candidates: Reach(tuple(candidates))),
)


class FrameTests(SynchronousTestCase):
    def test_vector(self) -> None:
        """One of each, frozen."""
        self.assertEqual(encode_frames(ALL), VECTOR)
        self.assertEqual(decode_frames(VECTOR), ALL)

    @given(st.lists(FRAMES, max_size=6), st.integers(0, 1500))
    def test_round_trip(self, frames: list[Frame], size: int) -> None:
        """Frames come out as they went in, whatever the padding."""
        plaintext = encode_frames(frames, size)
        self.assertGreaterEqual(len(plaintext), size)
        self.assertEqual(decode_frames(plaintext), frames)

    @given(st.one_of(st.binary(max_size=200), st.sampled_from((b"\x02", b"\x09\x02")).flatmap(
        lambda head: st.binary(max_size=60).map(lambda tail: head + tail))))  # fmt: skip
    def test_junk(self, junk: bytes) -> None:
        """Arbitrary bytes are frames or a MalformedFrame, nothing else."""
        try:
            decode_frames(junk)
        except MalformedFrame:
            pass

    @given(st.integers(0, len(VECTOR) - 1), st.integers(0, 7))
    def test_bent(self, byte: int, bit: int) -> None:
        """A flipped bit gives other frames or a MalformedFrame; never a range that is not in order."""
        bent = bytearray(VECTOR)
        bent[byte] ^= 1 << bit
        try:
            frames = decode_frames(bent)
        except MalformedFrame:
            return
        for frame in frames:
            if isinstance(frame, Ack):
                ceiling = frame.largest + 1
                for first, last in frame.ranges:
                    self.assertTrue(0 <= first <= last < ceiling)
                    ceiling = first

    def test_cut_short(self) -> None:
        """A frame without its end is malformed."""
        for frame in ALL[1:]:
            whole = encode_frames([frame])
            for size in range(1, len(whole)):
                with self.assertRaises(MalformedFrame):
                    decode_frames(whole[:size])

    def test_refused(self) -> None:
        """Unknown kinds, numbers out of bounds and padding with something in it are malformed."""
        for wrong in (
            b"\x09",
            b"\x0a",
            b"\x09\x01\x00\x05" + bytes(7),
            b"\x09" + bytes((MOST_CANDIDATES + 1,)) + b"\x00\x04\x0a\x00\x00\x07\x11\x94" * (MOST_CANDIDATES + 1),
            b"\x08\x05" + bytes(7),
            b"\xff",
            b"\x05\x00",
            b"\x05\x11" + bytes(17 * 20),
            b"\x06\x00",
            b"\x06\x11",
            b"\x00\x01",
        ):
            with self.assertRaises(MalformedFrame):
                decode_frames(wrong)

    def test_types(self) -> None:
        """Frames travel as control, handshake or heartbeat, by the most particular of them."""
        self.assertEqual([type_of([frame]) for frame in ALL],
                         [HEARTBEAT, HEARTBEAT, HANDSHAKE, HANDSHAKE, CONTROL, CONTROL, CONTROL, HEARTBEAT,
                          HEARTBEAT, CONTROL, CONTROL])  # fmt: skip
        self.assertEqual(type_of([Ping(), Challenge(bytes(8))]), HANDSHAKE)

    def test_hostile_places(self) -> None:
        """Of the candidates that a peer names, those where nobody can be are dropped, and those of a kind to come."""
        good = Candidate(HOST, "10.0.0.7", 4500)
        bad = ("224.0.0.1", "127.0.0.1", "0.0.0.0", "255.255.255.255", "169.254.169.254", "ff02::1", "::1", "::",
               "fe80::1", "::ffff:127.0.0.1")  # fmt: skip
        frame = Reach((*(Candidate(HOST, host, 4500) for host in bad), good, Candidate(HOST, "10.0.0.8", 0)))
        self.assertEqual(decode_frames(encode_frames([frame])), [Reach((good,))])
        plaintext = encode_frames([Reach((good, good)), Ping()]).replace(b"\0", b"\x63", 1)
        self.assertEqual(decode_frames(plaintext), [Reach((good,)), Ping()])
