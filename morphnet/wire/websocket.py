"""
Frames of a WebSocket: bytes in, whole messages and control frames out, and the head of what is sent.

As strict as Autobahn, which says the same of every input (tests/wire/test_websocket), for a fifth of its time: what is
common, whole binaries one behind the other, is taken in one loop.

Source: RFC 6455 section 5.
"""

from __future__ import annotations

import codecs
import struct

from morphnet.wire.core import unmask

MORE, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10  # opcodes
LAST, MASKED = 0x80, 0x80  # bits of the first and the second byte
SHORT, TWO_BYTES, EIGHT_BYTES = 125, 126, 127  # lengths as the second byte has them
VIOLATION, NOT_TEXT, TOO_BIG = 1002, 1007, 1009  # codes, section 7.4.1
_WORD, _LONG = struct.Struct("!H"), struct.Struct("!Q")
_WHOLE_BINARY = LAST | BINARY

Event = tuple[int, bytes]  # opcode and payload


def head(opcode: int, size: int) -> bytes:
    """What stands before a payload of `size` bytes that is not masked."""
    if size <= SHORT:
        return bytes((LAST | opcode, size))
    if size < 1 << 16:
        return bytes((LAST | opcode, TWO_BYTES, size >> 8, size & 0xFF))
    return bytes((LAST | opcode, EIGHT_BYTES)) + _LONG.pack(size)


def masked(opcode: int, payload: bytes, mask: bytes) -> bytes:
    """
    A whole frame of a client.

    :param mask: 4 bytes that nobody foresees.
    """
    front = bytearray(head(opcode, len(payload)))
    front[1] |= MASKED
    return b"".join((front, mask, unmask(payload, mask)))


class FrameReader:
    """
    What the other end sends.

    :param masks: whether it must mask, as clients do; else it must not.
    :param most: bytes of one message.
    """

    __slots__ = ("_at", "_begun", "_buffer", "_checked", "_decoder", "_masks", "_most", "_text", "used", "why")

    def __init__(self, *, masks: bool, most: int) -> None:
        self._masks, self._most = MASKED if masks else 0, most
        self._buffer: bytes | bytearray = b""
        self._at = 0  # where in it the next frame begins
        self._begun: bytearray | None = None  # what there is of a message that is not whole yet
        self._text = False  # whether that is a text
        self._decoder: codecs.IncrementalDecoder | None = None  # has seen what there is of a text that is not whole
        self._checked = 0  # bytes of the next frame that it has seen
        self.used = 0  # bytes that are worked off
        self.why: tuple[int, str] | None = None  # why nothing more is read: a code, and words

    def feed(self, data: bytes) -> None:
        """These have come."""
        rest = len(self._buffer) - self._at
        if not rest:
            self._buffer = data
        elif isinstance(self._buffer, bytearray):
            del self._buffer[: self._at]
            self._buffer += data
        else:
            self._buffer = bytearray(memoryview(self._buffer)[self._at :])
            self._buffer += data
        self._at = 0

    @property
    def waiting(self) -> int:
        """Bytes that are not worked off."""
        return len(self._buffer) - self._at

    def take(self, most: int) -> tuple[list[Event], int]:
        """
        What is whole, and how many frames that were: at most so many. Nothing behind a close, or behind what is wrong
        (`why`).
        """
        events: list[Event] = []
        frames, began = 0, self._at
        while frames < most and self.why is None:
            if self._begun is None:
                frames += self._take_binaries(events, most - frames)
            if frames >= most or not self._take_frame(events):
                break
            frames += 1
            if events and events[-1][0] == CLOSE:
                break
        self.used += self._at - began
        if self._at == len(self._buffer):
            self._buffer, self._at = b"", 0
        return events, frames

    def _take_binaries(self, events: list[Event], most: int) -> int:
        """Whole binaries that stand one behind the other; whatever is else is left where it is."""
        buffer, at, end, count = self._buffer, self._at, len(self._buffer), 0
        masks, longest = self._masks, self._most
        while count < most and end - at >= 2 and buffer[at] == _WHOLE_BINARY:
            size, start = buffer[at + 1] ^ masks, at + 2
            if size == TWO_BYTES and end - at >= 4:
                size, start = buffer[at + 2] << 8 | buffer[at + 3], at + 4
                if size <= SHORT:
                    break
            elif size > SHORT:
                break
            if masks:
                start += 4
            if size > longest or end - start < size:
                break
            payload = bytes(buffer[start : start + size])
            if masks:
                payload = unmask(payload, bytes(buffer[start - 4 : start]))
            events.append((BINARY, payload))
            at, count = start + size, count + 1
        self._at = at
        return count

    def _take_frame(self, events: list[Event]) -> bool:
        """Any frame at all; False when it is not whole, or not good."""
        buffer, at = self._buffer, self._at
        if self.waiting < 2:
            return False
        first, second = buffer[at], buffer[at + 1]
        opcode, size = first & 0x0F, second & 0x7F
        if wrong := self._wrong(first, second):
            return self._fail(VIOLATION, wrong)
        start = at + 2 + (2 if size == TWO_BYTES else 8 if size == EIGHT_BYTES else 0)
        mask_at, start = start, start + (4 if self._masks else 0)
        if len(buffer) < start:
            return False
        if size > SHORT:
            size, least = (
                (_WORD.unpack_from(buffer, at + 2)[0], TWO_BYTES)
                if size == TWO_BYTES
                else (_LONG.unpack_from(buffer, at + 2)[0], 1 << 16)
            )
            if size < least or size >= 1 << 63:
                return self._fail(VIOLATION, "length that is not minimal")
        if opcode < CLOSE and len(self._begun or b"") + size > self._most:
            return self._fail(TOO_BIG, "message too long")
        mask = bytes(buffer[mask_at:start])
        if len(buffer) - start < size:
            if opcode == TEXT or (opcode == MORE and self._text):
                self._look_ahead(start, mask)
            return False
        payload = bytes(buffer[start : start + size])
        if mask:
            payload = unmask(payload, mask)
        self._at = start + size
        if opcode >= CLOSE:
            events.append((opcode, payload))
            return True
        return self._take_part(events, opcode, payload, last=bool(first & LAST))

    def _wrong(self, first: int, second: int) -> str:
        """What the first two bytes break, in words; "" if nothing."""
        opcode, size = first & 0x0F, second & 0x7F
        if first & 0x70:
            return "reserved bits"
        if second & MASKED != self._masks:
            return "not masked" if self._masks else "masked"
        if opcode >= CLOSE:
            if not first & LAST or size > SHORT or opcode > PONG or (opcode == CLOSE and size == 1):
                return "bad control frame"
        elif opcode > BINARY:
            return "reserved opcode"
        elif (opcode == MORE) != (self._begun is not None):
            return "pieces of messages out of order"
        return ""

    def _take_part(self, events: list[Event], opcode: int, payload: bytes, *, last: bool) -> bool:
        begun = self._begun
        if begun is None:
            self._text = opcode == TEXT
            if not self._text:
                self._decoder = None
        if self._text and not self._is_text(payload, last=last):
            return self._fail(NOT_TEXT, "text that is not UTF-8")
        if last:
            events.append((TEXT if self._text else BINARY, payload if begun is None else bytes(begun) + payload))
            self._begun, self._decoder, self._text = None, None, False
        elif begun is None:
            self._begun = bytearray(payload)
        else:
            begun += payload  # one object, however many pieces there are, and however small
        return True

    def _is_text(self, payload: bytes, *, last: bool) -> bool:
        """Whether a text may go on, or end, with this frame."""
        seen, self._checked = self._checked, 0
        return self._goes_on(payload[seen:], last=last)

    def _goes_on(self, data: bytes, *, last: bool) -> bool:
        """Whether there may be more of a text behind these bytes, or its end."""
        if self._decoder is None:
            self._decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            self._decoder.decode(data, last)
        except UnicodeDecodeError:
            return False
        pending = self._decoder.getstate()[0]  # half a surrogate: Python waits for its last byte before it says no
        return not (pending[:1] == b"\xed" and pending[1:] >= b"\xa0")

    def _look_ahead(self, start: int, mask: bytes) -> None:
        """What is there of a text's frame that is not whole: nobody has to wait for its end to know that it is bad."""
        seen = self._checked
        there = bytes(memoryview(self._buffer)[start + seen :])
        if mask:
            turn = seen % 4
            there = unmask(there, mask[turn:] + mask[:turn])
        self._checked += len(there)
        if not self._goes_on(there, last=False):
            self._fail(NOT_TEXT, "text that is not UTF-8")

    def _fail(self, code: int, why: str) -> bool:
        self.why = code, why
        return False
