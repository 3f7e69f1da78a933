"""What goes over the socket between a home and a connection."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.net.rtc_frames import LONGEST, Frames, Kind, encode

ONE = st.tuples(st.sampled_from(Kind), st.binary(max_size=300))


class FramesTests(SynchronousTestCase):
    @given(st.lists(ONE, max_size=10), st.lists(st.integers(1, 40), min_size=1))
    def test_cut_anywhere(self, told: list[tuple[Kind, bytes]], cuts: list[int]) -> None:
        """However the socket cuts it, what was said is what comes."""
        stream = b"".join(b"".join(encode(*each)) for each in told)
        frames, came = Frames(), list[tuple[int, bytes]]()
        while stream:
            cut = cuts[len(stream) % len(cuts)]
            came += frames.take(stream[:cut])
            stream = stream[cut:]
        self.assertEqual(came, told)

    def test_stops_half_way(self) -> None:
        """Whoever reads no further has lost nothing of what he did not read."""
        frames = Frames()
        next(frames.take(b"".join(b"".join(encode(Kind.MESSAGE, bytes([number]))) for number in range(3))))
        self.assertEqual(list(frames.take(b"")), [(Kind.MESSAGE, b"\1"), (Kind.MESSAGE, b"\2")])

    def test_too_long(self) -> None:
        """A length that nobody says is not waited for."""
        with self.assertRaises(MalformedFrame):
            list(Frames().take((LONGEST + 1).to_bytes(4, "big") + b"\5"))
