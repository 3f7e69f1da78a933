"""Frames, as Autobahn reads them: the same of every input, in every cut."""

from __future__ import annotations

import struct
import tracemalloc
from itertools import pairwise, product
from typing import Any

from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from autobahn.websocket.protocol import WebSocketProtocol
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from txaio.tx import config as autobahn_config

from morphnet.wire import core, pure
from morphnet.wire.websocket import BINARY, CLOSE, MORE, NOT_TEXT, PING, TEXT, TOO_BIG, FrameReader, head, masked
from tests import EXAMPLES

MOST = 300  # bytes of a message here
Said = list[tuple[object, ...]]


class _Heard:
    """Mixed into Autobahn's: notes what it makes of what comes, and says nothing itself."""

    said: Said
    state: int

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.said.append((BINARY if isBinary else TEXT, payload))

    def onPing(self, payload: bytes) -> None:
        self.said.append((PING, payload))

    def onPong(self, payload: bytes) -> None:
        self.said.append((10, payload))

    def onCloseFrame(self, code: int | None, reasonRaw: bytes | None) -> bool:
        self.said.append((CLOSE, b"" if code is None else struct.pack("!H", code) + (reasonRaw or b"")))
        self.state = WebSocketProtocol.STATE_CLOSED
        return True

    def _fail_connection(self, code: int = 0, reason: str = "") -> None:
        self.failedByMe = True
        self.said.append(("wrong", code))
        self.state = WebSocketProtocol.STATE_CLOSED


class _HeardServer(_Heard, WebSocketServerProtocol):  # type: ignore[misc]
    pass


class _HeardClient(_Heard, WebSocketClientProtocol):  # type: ignore[misc]
    pass


def by_autobahn(pieces: list[bytes], *, masks: bool) -> Said:
    """What Autobahn makes of it."""
    factory = (WebSocketServerFactory if masks else WebSocketClientFactory)(reactor=Clock())
    factory.setProtocolOptions(maxFramePayloadSize=MOST, maxMessagePayloadSize=MOST, openHandshakeTimeout=0)
    end: Any = (_HeardServer if masks else _HeardClient)()
    end.factory, end.said = factory, []
    end.transport = StringTransport()
    WebSocketProtocol._connectionMade(end)
    end.state, end.inside_message, end.current_frame = WebSocketProtocol.STATE_OPEN, False, None
    end.websocket_version = 13
    for piece in pieces:
        if end.state == WebSocketProtocol.STATE_OPEN:
            end._dataReceived(piece)
    said: Said = end.said
    return said


def by_us(pieces: list[bytes], *, masks: bool, most: int = 3) -> Said:
    """What we make of it, a few frames at a time."""
    reader, said = FrameReader(masks=masks, most=MOST), Said()
    for piece in pieces:
        reader.feed(piece)
        frames = most
        while frames and reader.why is None:
            events, frames = reader.take(most)
            for event in events:
                said.append(event)
                if event[0] == CLOSE:
                    return said
        if reader.why is not None:
            said.append(("wrong", reader.why[0]))
            return said
    return said


TEXTS = st.sampled_from([b"", b"plain", "häß€".encode(), "\U0001f600".encode(), b"\xed\xa0\x80", b"\xf4\x90\x80\x80",
                         b"\xc0\xaf", "€".encode()[:2], "€".encode()[2:], b"\xff", b"x" * 130])  # fmt: skip
PAYLOADS = TEXTS | st.binary(max_size=140) | st.builds(bytes, st.sampled_from([125, 126, 127, 299, 300, 301]))
GOOD = [b"", b"ok", "häß".encode(), b"x" * 125, b"y" * 126, "€".encode() * 40]
WORDS = st.sampled_from([0, 1, 2, 3, 9, 125, 126, 255, 65535, 65536, 1 << 31, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])


@st.composite
def frames(draw: st.DrawFn) -> list[tuple[bytes, bool]]:
    """Some, most of them good, and good one behind the other; and of each whether it is masked as it should not be."""
    made, within, faults = list[tuple[bytes, bool]](), False, draw(st.integers(0, 2))
    for _ in range(draw(st.integers(0, 8))):
        odd = draw(st.integers(1, 7)) if faults and not draw(st.integers(0, 5)) else 0
        opcodes = [3, 11, MORE, TEXT, BINARY] if odd == 7 else [PING, 10, *([MORE] * 4 if within else [TEXT, BINARY])]
        kind = draw(st.sampled_from([*opcodes, *([CLOSE] if not draw(st.integers(0, 9)) else [])]))
        payload = draw(PAYLOADS) if faults else draw(st.sampled_from(GOOD))
        payload = payload[:125] if kind >= CLOSE and odd != 6 else payload
        last = draw(st.booleans()) if kind < CLOSE or odd == 1 else True
        first = (0x80 if last else 0) | kind | (draw(st.integers(1, 7)) << 4 if odd == 2 else 0)
        size = len(payload)
        length = struct.pack("!B", size) if size < 126 else struct.pack("!BH", 126, size)
        if odd == 4:
            length = struct.pack("!BH", 126, draw(WORDS) & 0xFFFF)
        elif odd == 5:
            length = struct.pack("!BQ", 127, draw(WORDS))
        made.append((bytes((first,)) + length + b"\0" + payload, odd == 3))
        within = not last if kind < CLOSE else within
    return made


def on_the_wire(frame: bytes, mask: bytes, *, masks: bool) -> bytes:
    """A frame of `frames`, whose mask is to be put where there is one zero byte."""
    size = {126: 2, 127: 8}.get(frame[1], 0)
    at = 2 + size
    if not masks:
        return frame[:at] + frame[at + 1 :]
    front = bytes((frame[0], frame[1] | 0x80)) + frame[2:at]
    return front + mask + pure.unmask(frame[at + 1 :], mask)


def _case(first: int, payload: bytes = b"", length: bytes = b"") -> bytes:
    """As `frames` has them."""
    size = len(payload)
    short = bytes((size,)) if size < 126 else struct.pack("!BH", 126, size)
    return bytes((first,)) + (length or short) + b"\0" + payload


CASES = [
    *([_case(first, b"abc")] for first in range(256)),  # each first byte
    *([_case(1, b"x"), _case(first, b"abc"), _case(0x80, b"y")] for first in range(256)),  # and within a text
    *(
        [_case(first, bytes(size))]
        for first in (0x82, 0x81, 0x89, 0x88, 2)
        for size in (0, 1, 2, 125, 126, 299, 300, 301)
    ),
    *([_case(0x82, bytes(size), struct.pack("!BH", 126, size))] for size in (0, 1, 124, 125, 126, 127)),
    *(
        [_case(first, bytes(9), struct.pack("!BQ", 127, size))]
        for first in (0x82, 0x81, 0x89)
        for size in (0, 9, 65535, 65536, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
    ),
    [_case(2, bytes(200)), _case(0, bytes(100)), _case(0x89, b"p"), _case(0x80)],  # a message of just so many bytes
    [_case(2, bytes(200)), _case(0x89, b"p"), _case(0x80, bytes(101))],
    [_case(0x81, "häß€\U0001f600".encode())],
    [_case(1, b"\xe2"), _case(0x89), _case(0, b"\x82"), _case(0), _case(0x80, b"\xac")],
    [_case(1, b"\xe2\x82"), _case(0x80)],
    [_case(1, b"ok"), _case(0x80, b"\xff")],
    [_case(2, b"\xff"), _case(0x80, b"\xfe"), _case(0x81, b"\xff")],
    [_case(0x81, b"abcde\xf4\x90\x80\x80fgh")],
    [_case(0x82, b"a"), _case(0x82, b""), _case(0x88, b"\x03\xe8"), _case(0x82, b"behind")],
]


class AgreementTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(autobahn_config, "loop", Clock())

    def test_cases(self) -> None:
        """Each rule at its edge, as a whole, byte by byte, and without its last bytes."""
        for case, masks in product(CASES, (True, False)):
            wire = b"".join(on_the_wire(frame, b"\x11\x22\x44\x88", masks=masks) for frame in case)
            self.agree(wire, [], 3, masks=masks)
            if len(wire) < 100:
                self.agree(wire, list(range(len(wire))), 3, masks=masks)
                self.agree(wire[:-2], [3], 1, masks=masks)
        self.agree(on_the_wire(_case(0x82, b"abc"), b"abcd", masks=True), [], 1, masks=False)
        self.agree(on_the_wire(_case(0x82, b"abc"), b"abcd", masks=False), [], 1, masks=True)

    @given(
        frames(), st.booleans(), st.binary(min_size=4, max_size=4), st.lists(st.integers(0, 400)),
        st.integers(1, 4), st.just(0) | st.integers(0, 30),
    )  # fmt: skip
    @settings(max_examples=max(400, EXAMPLES), deadline=None, suppress_health_check=list(HealthCheck))
    def test_frames(
        self, given_frames: list[tuple[bytes, bool]], masks: bool, mask: bytes, cuts: list[int], most: int, short: int
    ) -> None:
        """Frames of all kinds, good and bad, cut anywhere, and without their end."""
        wire = b"".join(on_the_wire(frame, mask, masks=masks != flip) for frame, flip in given_frames)
        wire = wire[: len(wire) - short]
        self.agree(wire, cuts, most, masks=masks)

    def test_prefixes(self) -> None:
        """Whatever a text of which one byte is missing begins with, it is found bad at the same byte."""
        second, third = (0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0), (0x7F, 0x80, 0xBF, 0xC0)
        for begin in (*product(range(0x80, 0x100), second), *product((0xE0, 0xED, 0xEF, 0xF0, 0xF4), second, third)):
            wire = b"\1" + bytes((len(begin) + 1, *begin))
            self.agree(wire, [], 3, masks=False)
            self.agree(wire, list(range(len(wire))), 3, masks=False)

    @given(st.binary(max_size=60), st.lists(st.integers(0, 60)), st.booleans())
    @settings(max_examples=max(200, EXAMPLES), deadline=None, suppress_health_check=list(HealthCheck))
    def test_junk(self, junk: bytes, cuts: list[int], masks: bool) -> None:
        """Bytes that mean nothing."""
        self.agree(junk, cuts, 2, masks=masks)

    def agree(self, wire: bytes, cuts: list[int], most: int, *, masks: bool) -> None:
        """Both say the same of it."""
        edges = [0, *sorted(cut for cut in cuts if 0 < cut < len(wire)), len(wire)]
        pieces = [wire[start:end] for start, end in pairwise(edges)]
        self.assertEqual(by_us(pieces, masks=masks, most=most), by_autobahn(pieces, masks=masks))


class FrameTests(SynchronousTestCase):
    @given(st.sampled_from([TEXT, BINARY, PING]), st.integers(0, 200) | st.sampled_from([65535, 65536, 70000]))
    @settings(deadline=None)
    def test_round_trip(self, opcode: int, size: int) -> None:
        """What we send is read by us, from either end."""
        payload = (b"some of it " * (size // 11 + 1))[: size if opcode < CLOSE else min(size, 125)]
        for masks, frame in ((True, masked(opcode, payload, b"\1\2\3\4")),
                             (False, head(opcode, len(payload)) + payload)):  # fmt: skip
            reader = FrameReader(masks=masks, most=1 << 20)
            reader.feed(frame)
            self.assertEqual((reader.take(9), reader.waiting, reader.used), (([(opcode, payload)], 1), 0, len(frame)))

    def test_bounded(self) -> None:
        """Of what is too long only the head is waited for; of a text that is bad, nothing more."""
        reader = FrameReader(masks=False, most=MOST)
        reader.feed(b"\x82\x7e" + struct.pack("!H", MOST + 1))
        reader.take(1)
        self.assertEqual((reader.why or (0,))[0], TOO_BIG)
        reader = FrameReader(masks=False, most=MOST)
        reader.feed(b"\x81\x10\xff")
        reader.take(1)
        self.assertEqual((reader.why or (0,))[0], NOT_TEXT)

    def test_pieces_without_end(self) -> None:
        """A message in pieces takes the room of its bytes, however small they are, and however many have none."""
        reader = FrameReader(masks=False, most=MOST)
        reader.feed(b"\2\0")
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for piece in [b"\0\0" * 5000] * 20 + [b"\0\2ab"] * (MOST // 2):
            reader.feed(piece)
            self.assertEqual(reader.take(5001)[0], [])
        self.assertLess(tracemalloc.get_traced_memory()[0], 16 * MOST)
        reader.feed(b"\x80\0")
        self.assertEqual(reader.take(2), ([(BINARY, b"ab" * (MOST // 2))], 1))

    def test_at_most(self) -> None:
        """No more is read than is asked for, and what is left is there the next time."""
        reader = FrameReader(masks=True, most=MOST)
        reader.feed(b"".join(masked(BINARY, bytes((n,)), b"abcd") for n in range(5)) + b"\x82")
        self.assertEqual([reader.take(2)[1] for _ in range(4)], [2, 2, 1, 0])
        self.assertEqual(reader.waiting, 1)

    @given(st.binary(max_size=100), st.binary(min_size=4, max_size=4))
    def test_masks(self, payload: bytes, mask: bytes) -> None:
        """The compiled core and the pure one put on the same mask, and twice is none; a mask has four bytes."""
        self.assertEqual(core.unmask(memoryview(payload), mask), pure.unmask(payload, mask))
        self.assertEqual(core.unmask(core.unmask(payload, mask), mask), payload)
