"""
A browser's session with its home: streams above data channels that come and go. What was sent is kept until the other
end has it; the next channel goes on there, and nothing arrives twice.

Source: docs/protocol section 16.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from morphnet.errors import MalformedFrame, PeerError, Refused
from morphnet.wire.messages.home import frames
from morphnet.wire.messages.home.frames import Ack, Item, Kind, Ping, Pong, Resume

WINDOW = 1 << 20  # bytes of one stream that may be on their way
MOST_STREAMS = 64  # of one session
ACK_ITEMS = 16  # items after which they are acknowledged
ACK_AFTER = 0.1  # seconds after which fewer are


class Link(Protocol):
    """A data channel that is open."""

    def send(self, message: bytes) -> None:
        """Send it; when the channel is gone, nothing happens."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Outlet(Protocol):
    """What serves a stream at home."""

    def received(self, data: bytes) -> None:
        """Bytes have come; the stream's `took` makes room for more."""
        ...

    def said(self, what: dict[str, Any]) -> None:
        """The browser said something."""
        ...

    def room(self) -> None:
        """More may be written."""
        ...

    def ended(self) -> None:
        """No more bytes come."""
        ...

    def gone(self) -> None:
        """The stream is over, from the other end or with the session; nothing can be written."""
        ...


class Stream:
    """One of a session, which a browser has opened."""

    def __init__(self, session: Session, number: int) -> None:
        self._session, self.number = session, number
        self.outlet: Outlet | None = None
        self.window = WINDOW  # bytes that we may write
        self._granted = WINDOW  # bytes that the browser may
        self._owed = 0  # that were taken and not granted again
        self.open = True

    @property
    def age(self) -> float:
        """Seconds since who has opened it logged in."""
        return self._session.age

    @property
    def silent(self) -> float:
        """Seconds since its browser said anything; who looks says something each second."""
        return self._session.silent

    def write(self, data: bytes) -> None:
        """Bytes for the browser: `window` of them at the most."""
        assert len(data) <= self.window, "more than there is room for"
        self.window -= len(data)
        for at in range(0, len(data), frames.LONGEST):
            self._session.say(self.number, Kind.BYTES, data[at : at + frames.LONGEST])

    def say(self, what: dict[str, Any]) -> None:
        """
        A few words as JSON.

        :raises Refused: they are more than one item takes: it would be sent again, and end each channel.
        """
        words = json.dumps(what, separators=(",", ":")).encode()
        if len(words) > frames.LONGEST:
            raise Refused("that is too long to be told")
        self._session.say(self.number, Kind.SAID, words)

    def end(self) -> None:
        """No more bytes come from here, and none are wanted."""
        if self.open:
            self.open = False
            self._session.say(self.number, Kind.END, b"")
            self._session.forget(self.number)

    def refuse(self, why: str) -> None:
        """It is over, for this reason."""
        if self.open:
            self.open = False
            self._session.say(self.number, Kind.RESET, why.encode()[: frames.LONGEST])
            self._session.forget(self.number)

    def took(self, size: int) -> None:
        """So many of the browser's bytes are dealt with."""
        self._owed += size
        if self.open and self._owed >= WINDOW // 4:
            self._granted += self._owed
            self._session.say(self.number, Kind.CREDIT, frames.credit(self._owed))
            self._owed = 0

    def heard(self, item: Item) -> None:
        """
        An item has come for it.

        :raises MalformedFrame: it is not what it should be.
        """
        outlet = self.outlet
        if item.kind is Kind.BYTES:
            self._granted -= len(item.payload)
            if self._granted < 0:
                raise MalformedFrame("more bytes than were granted")
            if outlet is not None:
                outlet.received(item.payload)
        elif item.kind is Kind.CREDIT:
            self.window = min(self.window + frames.credited(item.payload), 2 * WINDOW)
            if outlet is not None:
                outlet.room()
        elif item.kind is Kind.SAID and outlet is not None:
            outlet.said(read_words(item.payload))
        elif item.kind is Kind.END and outlet is not None:
            outlet.ended()

    def lose(self) -> None:
        """The other end, or the session, is gone."""
        if self.open:
            self.open = False
            if self.outlet is not None:
                self.outlet.gone()


def read_words(payload: bytes) -> dict[str, Any]:
    """
    An object in JSON.

    :raises MalformedFrame: it is none.
    """
    try:
        words = json.loads(payload)
    except (ValueError, RecursionError):
        raise MalformedFrame("no JSON") from None
    if not isinstance(words, dict):
        raise MalformedFrame("no object")
    return words


class Session:
    """
    The home's end of it.

    :param opened: takes a stream and what was asked of it; it gives the stream an outlet, or refuses it.
    """

    def __init__(self, clock: IReactorTime, opened: Callable[[Stream, dict[str, Any]], None]) -> None:
        self._clock, self._opened = clock, opened
        self._link: Link | None = None
        self._resumed = False  # on this link, so that items may be sent
        self._sent: deque[bytes] = deque()  # not acknowledged; the first has the number `_first`
        self._first = 0
        self.kept = 0  # bytes of it
        self._expected = 0  # number of the next item from the browser
        self._acked = 0  # that we told
        self._ack_timer: IDelayedCall | None = None
        self._streams: dict[int, Stream] = {}
        self._newest = -1  # stream that was ever opened
        self.heard_at = self._began_at = clock.seconds()
        self.repeated = 0  # items that came again

    @property
    def age(self) -> float:
        """Seconds since it began, which is with a login; it outlives the channels under it."""
        return self._clock.seconds() - self._began_at

    @property
    def silent(self) -> float:
        """Seconds since the browser said anything."""
        return self._clock.seconds() - self.heard_at

    @property
    def linked(self) -> bool:
        """Whether a channel is there."""
        return self._link is not None

    def attach(self, link: Link) -> None:
        """Go on over this channel; the one before is closed."""
        before, self._link = self._link, link
        self._resumed = False
        if before is not None:
            before.close()
        link.send(frames.encode(Resume(self._expected)))
        self._acked = self._expected

    def detach(self, link: Link) -> None:
        """This channel is gone; what is said from now on waits for the next one."""
        if link is self._link:
            self._link, self._resumed = None, False

    def end(self) -> None:
        """The browser will not come back, or we stop."""
        if self._ack_timer is not None and self._ack_timer.active():
            self._ack_timer.cancel()
        if self._link is not None:
            self._link.close()
            self._link = None
        for stream in list(self._streams.values()):
            stream.lose()
        self._streams.clear()

    def say(self, stream: int, kind: Kind, payload: bytes) -> None:
        """One item, kept until the browser has it."""
        frame = frames.encode(Item(self._first + len(self._sent), stream, kind, payload))
        self._sent.append(frame)
        self.kept += len(frame)
        if self._resumed and self._link is not None:
            self._link.send(frame)

    def forget(self, stream: int) -> None:
        """It is over."""
        self._streams.pop(stream, None)

    def received(self, link: Link, message: bytes) -> None:
        """
        A frame has come over a channel.

        :raises PeerError: the browser broke the rules: the session is of no use any more.
        """
        if link is not self._link:
            return  # of a channel that was replaced
        self.heard_at = self._clock.seconds()
        frame = frames.decode(message)
        if isinstance(frame, Item):
            self._take(frame)
        elif isinstance(frame, Ping):
            link.send(frames.encode(Pong(frame.number)))
        elif isinstance(frame, Resume):
            self._forget_sent(frame.number)
            self._resumed = True
            for kept in list(self._sent):
                link.send(kept)
        elif isinstance(frame, Ack):
            self._forget_sent(frame.number)

    def _forget_sent(self, number: int) -> None:
        if not self._first <= number <= self._first + len(self._sent):
            raise MalformedFrame("it has what was not sent")
        for _ in range(number - self._first):
            self.kept -= len(self._sent.popleft())
        self._first = number

    def _take(self, item: Item) -> None:
        if item.number < self._expected:
            self.repeated += 1
            return
        if item.number > self._expected:
            raise MalformedFrame("an item is missing")
        self._expected += 1
        if self._expected - self._acked >= ACK_ITEMS:
            self._acknowledge()
        elif self._ack_timer is None or not self._ack_timer.active():
            self._ack_timer = self._clock.callLater(ACK_AFTER, self._acknowledge)
        self._give(item)

    def _acknowledge(self) -> None:
        if self._link is not None and self._acked != self._expected:
            self._acked = self._expected
            self._link.send(frames.encode(Ack(self._expected)))

    def _give(self, item: Item) -> None:
        stream = self._streams.get(item.stream)
        if item.kind is Kind.OPEN:
            self._open(item)
        elif stream is None:
            return  # it is over already, and the browser did not know
        elif item.kind is Kind.RESET:
            self.forget(item.stream)
            stream.lose()
        else:
            stream.heard(item)

    def _open(self, item: Item) -> None:
        if item.stream <= self._newest:
            raise MalformedFrame("a stream that was opened before")
        self._newest = item.stream
        stream = Stream(self, item.stream)
        if len(self._streams) >= MOST_STREAMS:
            stream.refuse("too many at once")
            return
        self._streams[item.stream] = stream
        try:
            self._opened(stream, read_words(item.payload))
        except PeerError as trouble:
            stream.refuse(str(trouble))
