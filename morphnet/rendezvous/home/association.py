"""
What a home and a coordinator have between them once they have shaken hands: sealed datagrams, each good once, and
messages that are sent again until they have arrived.

Source: docs/protocol section 15.
"""

from __future__ import annotations

from collections.abc import Callable
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


class Association:
    """
    One end of it.

    :param index: its name, 8 bytes.
    :param send: takes a datagram.
    :param heard: takes a whole message, once.
    """

    __slots__ = (
        "_clock",
        "_done",
        "_heard",
        "_highest",
        "_keys",
        "_message",
        "_newest",
        "_number",
        "_out",
        "_partial",
        "_seen",
        "_send",
        "index",
        "lost",
    )

    def __init__(
        self,
        clock: IReactorTime,
        index: bytes,
        keys: tuple[bytes, bytes],
        send: Callable[[bytes], None],
        heard: Callable[[bytes], None],
    ) -> None:
        """:param keys: that we seal with, and that the other end seals with, 32 bytes each."""
        self._clock, self.index, self._keys, self._send, self._heard = clock, index, keys, send, heard
        self._number = self._message = 0  # the next ones
        self._highest, self._seen = -1, 0  # of what came; bit n of `_seen` is number highest - n
        self._out: dict[int, _Out] = {}
        self._partial: dict[int, _Partial] = {}
        self._done: set[int] = set()
        self._newest = -1  # message that is done
        self.lost = 0  # messages that were given up

    # -- receiving -------------------------------------------------------------------------------------------------

    def received(self, sealed: Sealed) -> parts.Item:
        """
        What is in it, after what concerns messages was seen to.

        :raises PeerError: it is forged, repeated, or makes no sense.
        """
        behind = self._highest - sealed.number
        if behind >= WINDOW or (behind >= 0 and self._seen >> behind & 1):
            raise Repeated(f"number {sealed.number}")
        item = parts.decode(datagrams.open_sealed(self._keys[1], sealed))
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
        if part.message in self._done or part.message <= self._newest - REMEMBERED:
            self.send(parts.Got(part.message, part.at))
            return
        partial = self._partial.get(part.message)
        if partial is None:
            if len(self._partial) >= MOST_PARTIAL:
                del self._partial[next(iter(self._partial))]
            partial = self._partial[part.message] = _Partial(part.count)
        if partial.count != part.count:
            return  # it contradicts itself
        self.send(parts.Got(part.message, part.at))
        partial.pieces[part.at] = part.piece
        if len(partial.pieces) == partial.count:
            del self._partial[part.message]
            self._remember(part.message)
            self._heard(b"".join(partial.pieces[at] for at in range(partial.count)))

    def _remember(self, message: int) -> None:
        self._done.add(message)
        self._newest = max(self._newest, message)
        if len(self._done) > 2 * REMEMBERED:
            self._done = {each for each in self._done if each > self._newest - REMEMBERED}

    def _acknowledged(self, got: parts.Got) -> None:
        out = self._out.get(got.message)
        if out is not None and out.left.pop(got.at, None) is not None and not out.left:
            out.timer.cancel()
            del self._out[got.message]

    # -- sending ---------------------------------------------------------------------------------------------------

    def send(self, item: parts.Item) -> None:
        """One datagram, which may get lost."""
        self._send(datagrams.seal(self._keys[0], self.index, self._number, parts.encode(item)))
        self._number += 1

    def send_message(self, body: bytes) -> bool:
        """A message, until it has arrived; False when too many are on their way."""
        if len(self._out) >= MOST_OUT:
            self.lost += 1
            return False
        number, self._message = self._message, self._message + 1
        cut = parts.cut(number, body)
        timer = self._clock.callLater(RESEND_AFTER, self._again, number)
        self._out[number] = _Out({part.at: part for part in cut}, timer)
        for part in cut:
            self.send(part)
        return True

    def _again(self, number: int) -> None:
        out = self._out[number]
        if out.tries == TRIES:
            del self._out[number]
            self.lost += 1
            return
        out.timer = self._clock.callLater(RESEND_AFTER * 2**out.tries, self._again, number)
        out.tries += 1
        for part in list(out.left.values()):
            self.send(part)

    def end(self) -> None:
        """Nothing is sent any more."""
        for out in self._out.values():
            out.timer.cancel()
        self._out.clear()
