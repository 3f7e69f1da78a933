"""
What a home and a coordinator have between them once they have shaken hands: sealed datagrams, each good once, and
messages that are sent again until they have arrived.

Source: docs/protocol section 15.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from morphnet.errors import PeerError
from morphnet.wire.messages.home import datagrams, parts
from morphnet.wire.messages.home.datagrams import Sealed

WINDOW = 128  # numbers behind the highest that may still come
RESEND_AFTER = 0.4  # seconds until what was not acknowledged is sent again; twice that the next time, and so on
TRIES = 6  # the last one after 12.8 seconds
MOST_OUT = 64  # messages on their way at once
MOST_PARTIAL = 32  # messages that are being put together at once
REMEMBERED = 64  # messages behind the newest that are known to be done


class Repeated(PeerError):
    """A datagram that was here already, or is too old to tell."""


@dataclass(slots=True)
class _Out:
    """A message on its way."""

    left: dict[int, parts.Part]  # not acknowledged
    timer: IDelayedCall
    tries: int = 1


@dataclass(slots=True)
class _Partial:
    """A message that is not whole yet."""

    count: int
    pieces: dict[int, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class _Came:
    """Messages that the other end has sent."""

    partial: dict[int, _Partial] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    newest: int = -1  # that is done


class Association:
    """
    One end of it. Most say nothing but ping: what belongs to messages is made with the first one.

    :param index: its name, 8 bytes.
    """

    __slots__ = ("_came", "_clock", "_highest", "_keys", "_message", "_number", "_out", "_seen", "index", "lost")

    def __init__(self, clock: IReactorTime, index: bytes, keys: tuple[bytes, bytes]) -> None:
        """:param keys: that we seal with, and that the other end seals with, 32 bytes each."""
        self._clock, self.index, self._keys = clock, index, b"".join(keys)
        self._number = self._message = 0  # the next ones
        self._highest, self._seen = -1, 0  # of what came; bit n of `_seen` is number highest - n
        self._out: dict[int, _Out] | None = None
        self._came: _Came | None = None
        self.lost = 0  # messages that were given up

    @property
    def talks(self) -> bool:
        """Whether there is something of messages to remember."""
        return self._out is not None or self._came is not None

    def rest(self) -> None:
        """No message has come for so long that none of them is sent again."""
        self._came = None

    def carry(self, datagram: bytes) -> None:
        """It is to be sent."""
        raise NotImplementedError

    def heard(self, body: bytes) -> None:
        """A whole message has come, once."""
        raise NotImplementedError

    @property
    def quiet(self) -> bool:
        """Whether no message is on its way."""
        return not self._out

    # -- receiving -------------------------------------------------------------------------------------------------

    def received(self, sealed: Sealed) -> parts.Item:
        """
        What is in it, after what concerns messages was seen to.

        :raises PeerError: it is forged, repeated, or makes no sense.
        """
        behind = self._highest - sealed.number
        if behind >= WINDOW or (behind >= 0 and self._seen >> behind & 1):
            raise Repeated(f"number {sealed.number}")
        item = parts.decode(datagrams.open_sealed(self._keys[32:], sealed))
        if behind < 0:
            self._seen = (self._seen << -behind | 1) & ((1 << WINDOW) - 1) if behind > -WINDOW else 1
            self._highest = sealed.number
        else:
            self._seen |= 1 << behind
        if isinstance(item, parts.Ping):
            self.send(parts.Pong(item.number))
        elif isinstance(item, parts.Part):
            self._put_together(item)
        elif isinstance(item, parts.Got):
            self._acknowledged(item)
        return item

    def _put_together(self, part: parts.Part) -> None:
        came = self._came = self._came or _Came()
        if part.message in came.done or part.message <= came.newest - REMEMBERED:
            self.send(parts.Got(part.message, part.at))
            return
        partial = came.partial.get(part.message)
        if partial is None:
            if len(came.partial) >= MOST_PARTIAL:
                del came.partial[next(iter(came.partial))]
            partial = came.partial[part.message] = _Partial(part.count)
        if partial.count != part.count:
            return  # it contradicts itself
        self.send(parts.Got(part.message, part.at))
        partial.pieces[part.at] = part.piece
        if len(partial.pieces) == partial.count:
            del came.partial[part.message]
            _remember(came, part.message)
            self.heard(b"".join(partial.pieces[at] for at in range(partial.count)))

    def _acknowledged(self, got: parts.Got) -> None:
        out = self._out.get(got.message) if self._out else None
        if out is not None and out.left.pop(got.at, None) is not None and not out.left:
            out.timer.cancel()
            self._over(got.message)

    def _over(self, message: int) -> None:
        assert self._out is not None  # it was there
        del self._out[message]
        self._out = self._out or None

    # -- sending ---------------------------------------------------------------------------------------------------

    def send(self, item: parts.Item) -> None:
        """One datagram, which may get lost."""
        self.carry(datagrams.seal(self._keys[:32], self.index, self._number, parts.encode(item)))
        self._number += 1

    def send_message(self, body: bytes) -> bool:
        """A message, until it has arrived; False when too many are on their way."""
        waiting = self._out = self._out or {}
        if len(waiting) >= MOST_OUT:
            self.lost += 1
            return False
        number, self._message = self._message, self._message + 1
        cut = parts.cut(number, body)
        timer = self._clock.callLater(RESEND_AFTER, self._again, number)
        waiting[number] = _Out({part.at: part for part in cut}, timer)
        for part in cut:
            self.send(part)
        return True

    def _again(self, number: int) -> None:
        assert self._out is not None  # or its timer would have been cancelled
        out = self._out[number]
        if out.tries == TRIES:
            self._over(number)
            self.lost += 1
            return
        out.timer = self._clock.callLater(RESEND_AFTER * 2**out.tries, self._again, number)
        out.tries += 1
        for part in list(out.left.values()):
            self.send(part)

    def end(self) -> None:
        """Nothing is sent any more."""
        for out in (self._out or {}).values():
            out.timer.cancel()
        self._out = None


def _remember(came: _Came, message: int) -> None:
    came.done.add(message)
    came.newest = max(came.newest, message)
    if len(came.done) > 2 * REMEMBERED:
        came.done = {each for each in came.done if each > came.newest - REMEMBERED}
