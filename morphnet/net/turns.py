"""
What one WebSocket may have of a turn of the reactor: a few frames, then the others have theirs.

Autobahn works off all that has come in one go. Sixty thousand bytes are five thousand of the smallest frames, and
nobody else is served meanwhile. Here what is left waits for the next turn, unread by the kernel when it is much.

Autobahn agrees on HTTP with the other end, and has the say in closing and signs of life. Frames are read here
(`wire/websocket`): what passes a relay would cost twice as much by its own objects.

Source: figure E8.
"""

from __future__ import annotations

from typing import Any

from autobahn.websocket.protocol import FrameHeader, WebSocketProtocol
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from morphnet.wire.messages.relay import MOST_ENVELOPE
from morphnet.wire.websocket import BINARY, Event, FrameReader

TURN = 128  # steps of a turn: a frame has two, and each STEP bytes count as one
STEP = 8192  # bytes
LEAST = 1024  # bytes that a step is charged for at least
MOST_WAITING = 64 << 10  # bytes that wait for their turn before nothing more is read
MOST_HEADER = 16 << 10  # bytes of HTTP before both ends agree
_OPEN = WebSocketProtocol.STATE_OPEN, WebSocketProtocol.STATE_CLOSING


class Turns:
    """Mixed into Autobahn's protocols, before them. Whoever does so says what `read` and `drop` do."""

    transport: Any
    clock: IReactorTime

    data: bytes  # what has come before both ends agree: Autobahn's, as the next ones
    state: int
    current_frame: Any
    control_frame_data: Any
    autoPingTimeoutCall: Any
    is_server: bool

    def settle_turns(self) -> None:
        """Before the connection is made."""
        self._left = TURN
        self._reader: FrameReader | None = None  # when both have agreed
        self._events: list[Event] = []  # what it has read, and is to have its turn: the next one last
        self._waiting = bytearray()  # what has come behind that
        self._next_turn: IDelayedCall | None = None
        self._resting: IDelayedCall | None = None
        self._held = False  # whether the transport is asked to wait
        self._stopped = False  # whether nothing is worked off until `go_on`

    def read(self, cost: int) -> None:
        """
        So much was worked off.

        :param cost: bytes, those of small frames rounded up.
        """
        raise NotImplementedError

    def drop(self, reason: str) -> None:
        """Hang up at once."""
        raise NotImplementedError

    def rest(self, seconds: float) -> None:
        """Work off and read nothing for so long; what comes meanwhile waits at the other end."""
        if self._resting is None:
            self._resting = self.clock.callLater(seconds, self._rested)
            self._hold()

    def stop(self) -> None:
        """Work off and read nothing until `go_on`."""
        self._stopped = True
        self._hold()

    def go_on(self) -> None:
        """Undo `stop`; harmless without it."""
        if self._stopped:
            self._stopped = False
            self._yield()

    @property
    def _rests(self) -> bool:
        return self._stopped or self._resting is not None

    def end_turns(self) -> None:
        """The connection is gone."""
        for timer in (self._next_turn, self._resting):
            if timer is not None and timer.active():
                timer.cancel()
        self._next_turn = self._resting = None
        self._waiting.clear()
        self._events.clear()

    def take(self, data: bytes) -> None:
        """Bytes have come."""
        if self.state == WebSocketProtocol.STATE_CLOSED:
            return  # in TLS they come until the other end says goodbye there too, and Autobahn would keep them
        if self._next_turn is None and not self._rests:
            if self.state not in _OPEN:
                self._dataReceived(data)  # type: ignore[attr-defined]  # Autobahn's; its dataReceived only logs
                return
            self._frames().feed(data)
            self._work()
            return
        self._waiting += data
        if len(self._waiting) > MOST_WAITING:
            self._hold()

    # what Autobahn calls when it has got data

    def consumeData(self) -> None:
        if self.state in _OPEN:
            self._work()
            return
        super().consumeData()  # type: ignore[misc]
        if self.state == WebSocketProtocol.STATE_CONNECTING and len(self.data) > MOST_HEADER:
            self.drop("HTTP without end")

    def _frames(self) -> FrameReader:
        if self._reader is None:
            self._reader = FrameReader(masks=self.is_server, most=MOST_ENVELOPE)
            self._reader.feed(self.data)  # what came behind HTTP
            self.data = b""
        return self._reader

    def _work(self) -> None:
        reader, steps = self._frames(), 1
        began = reader.used
        while self.state in _OPEN:
            if self._left <= 0 or self._rests:
                self._yield()
                break
            if self._events:
                self._take_event(*self._events.pop())
                continue
            before = reader.used
            events, frames = reader.take((self._left + 1) // 2)
            events.reverse()
            self._events = events
            steps += 2 * frames
            self._left -= (reader.used - before) // STEP + 2 * (frames - len(events))  # pieces of messages count too
            if not frames:
                if reader.why is not None:
                    self._fail_connection(*reader.why)  # type: ignore[attr-defined]
                if not self._waiting:
                    break
                reader.feed(bytes(self._waiting))
                self._waiting.clear()
        self.read(max(reader.used - began, LEAST * steps))

    def _take_event(self, opcode: int, payload: bytes) -> None:
        self._left -= 2
        if opcode <= BINARY:
            if self.autoPingTimeoutCall is not None:
                self._cancelAutoPingTimeoutCall()  # type: ignore[attr-defined]  # it lives
            self.onMessage(payload, opcode == BINARY)  # type: ignore[attr-defined]
        else:
            self.current_frame = FrameHeader(opcode, True, 0, len(payload), "")
            self.control_frame_data = [payload]
            self.processControlFrame()  # type: ignore[attr-defined]
            self.current_frame = None

    # -- turns ---------------------------------------------------------------------------------------------------------

    def _yield(self) -> None:
        if self._next_turn is None and not self._rests:
            self._next_turn = self.clock.callLater(0.0, self._go_on)

    def _go_on(self) -> None:
        self._next_turn, self._left = None, TURN
        self.consumeData()
        if self._held and self._next_turn is None and not self._rests:
            self._held = False
            self.transport.resumeProducing()

    def _rested(self) -> None:
        self._resting = None
        self._yield()

    def _hold(self) -> None:
        if not self._held:
            self._held = True
            self.transport.pauseProducing()
