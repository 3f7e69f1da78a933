"""
What one WebSocket may have of a turn of the reactor: a few frames, then the others have theirs.

Autobahn works off all that has come in one go. Sixty thousand bytes are five thousand of the smallest frames, and
nobody else is served meanwhile. Here what is left waits for the next turn, unread by the kernel when it is much.

Source: figure E8.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from autobahn.websocket.protocol import WebSocketProtocol
from twisted.internet.interfaces import IDelayedCall, IReactorTime

TURN = 40  # steps of a turn: a frame has two or more, and each STEP bytes count as one
STEP = 8192  # bytes
LEAST = 1024  # bytes that a step is charged for at least
MOST_WAITING = 64 << 10  # bytes that wait for their turn before nothing more is read
MOST_HEADER = 16 << 10  # bytes of HTTP before both ends agree


class Turns:
    """Mixed into Autobahn's protocols, before them. Whoever does so says what `read` and `drop` do."""

    transport: Any
    clock: IReactorTime

    data: bytes  # what has come and is not worked off: Autobahn's
    state: int

    def settle_turns(self) -> None:
        """Before the connection is made."""
        self._left = TURN
        self._waiting: deque[bytes] = deque()  # what has come behind `data`
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

    def take(self, data: bytes) -> None:
        """Bytes have come."""
        if self._next_turn is None and not self._rests:
            self._dataReceived(data)  # type: ignore[attr-defined]  # Autobahn's; its dataReceived only logs
            return
        self._waiting.append(data)
        if sum(map(len, self._waiting)) > MOST_WAITING:
            self._hold()

    # what Autobahn calls when it has got data

    def consumeData(self) -> None:
        if self.state not in (WebSocketProtocol.STATE_OPEN, WebSocketProtocol.STATE_CLOSING):
            super().consumeData()  # type: ignore[misc]
            if self.state == WebSocketProtocol.STATE_CONNECTING and len(self.data) > MOST_HEADER:
                self.drop("HTTP without end")
            return
        steps = size = 0
        while self.state != WebSocketProtocol.STATE_CLOSED:
            if self._left <= 0 or self._rests:
                self._yield()
                break
            before = len(self.data)
            goes_on = self.processData()  # type: ignore[attr-defined]
            used = before - len(self.data)
            steps, size, self._left = steps + 1, size + used, self._left - 1 - used // STEP
            if not goes_on:
                if not self._waiting:
                    break
                self.data += self._waiting.popleft()
        self.read(max(size, LEAST * steps))

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
