"""The other end of a session, as the page has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock

from morphnet.rendezvous.home.streams import Session, Stream
from morphnet.wire.messages.home import frames
from morphnet.wire.messages.home.frames import Ack, Item, Kind, Resume


class Opened:
    """A stream that the browser has opened, and what came of it."""

    def __init__(self) -> None:
        self.data = b""
        self.said: list[dict[str, Any]] = []
        self.over: str | None = None  # "" when it has ended, else why it was reset


class Browser:
    """A Link, and whoever sits before it; grants room as it reads."""

    def __init__(self, clock: Clock, opened: Callable[[Stream, dict[str, Any]], object]) -> None:
        def open_it(stream: Stream, asked: dict[str, Any]) -> None:
            opened(stream, asked)

        self.session = Session(clock, open_it)
        self.reads = True  # else it grants nothing
        self.granted = 0  # bytes that we may say besides the first window
        self._number, self._stream, self._had = 0, 0, 0
        self._streams: dict[int, Opened] = {}
        self._owed: list[tuple[int, int]] = []  # streams, and the bytes that were read of them
        self._talking = False
        self.session.attach(self)
        self.session.received(self, frames.encode(Resume(0)))

    def send(self, message: bytes) -> None:
        frame = frames.decode(message)
        if not isinstance(frame, Item):
            return
        self._had += 1
        stream = self._streams[frame.stream]
        if frame.kind is Kind.BYTES:
            stream.data += frame.payload
            if self.reads:
                self._owed.append((frame.stream, len(frame.payload)))
        elif frame.kind is Kind.SAID:
            stream.said.append(json.loads(frame.payload))
        elif frame.kind is Kind.CREDIT:
            self.granted += frames.credited(frame.payload)
        elif frame.kind in (Kind.END, Kind.RESET):
            stream.over = frame.payload.decode()

    def close(self) -> None:
        """It does not mind."""

    def leave(self) -> None:
        """Be gone, without a word."""
        self.session.detach(self)

    def come_back(self) -> None:
        """Go on over another channel, with what is here."""
        self.session.attach(self)
        self.session.received(self, frames.encode(Resume(self._had)))
        self.read()

    def item(self, stream: int, kind: Kind, payload: bytes = b"") -> None:
        """Say something."""
        number, self._number = self._number, self._number + 1
        self.session.received(self, frames.encode(Item(number, stream, kind, payload)))
        self.read()

    def read(self) -> None:
        """Grant room for all that has come, and for what comes of that."""
        while self._owed and not self._talking:
            self._talking = True
            (stream, size), self._owed = self._owed[0], self._owed[1:]
            self.item(stream, Kind.CREDIT, frames.credit(size))
            self._talking = False

    def acknowledge(self) -> None:
        """Say how much of what was said is here."""
        self.session.received(self, frames.encode(Ack(self._had)))

    def open(self, **asked: object) -> Opened:
        """Want something; its stream has the number `last`."""
        self._stream += 1
        opened = self._streams[self._stream] = Opened()
        self.item(self._stream, Kind.OPEN, json.dumps(asked).encode())
        return opened

    @property
    def last(self) -> int:
        return self._stream

    def write(self, data: bytes, stream: int = 0) -> None:
        """Bytes, to the last stream or to that one."""
        for at in range(0, len(data), frames.LONGEST):
            self.item(stream or self._stream, Kind.BYTES, data[at : at + frames.LONGEST])
