"""
The last resort: what browser and home say goes through the coordinator, from one WebSocket to another, sealed by keys
that only they have. It is opaque to us, and bounded: only a call that was just made opens one, so many at once, so many
bytes a second each; what one end does not read the other may not send.

Source: docs/protocol section 16.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from morphnet.errors import MalformedFrame, Refused
from morphnet.net.websocket import Socket

PATH, SPEAKS = "/api/relay", "morphnet.home.1"
GOOD_FOR = 60.0  # seconds after a call in which it opens one
WAIT = 15.0  # seconds for the other end, and for the first word
MOST_OF_HOME = 4  # pairs of one home
MOST_CALLS = 4096  # that are remembered
MOST_WAITING = 512  # ends that wait for their other end, or have said nothing yet
GO = b"go"  # both are here
REST = 0.05  # seconds ahead of its rate that a pair may be


@dataclass(slots=True, eq=False)
class _Pair:
    """Both ends of one."""

    home: str
    ends: tuple[Socket, Socket]
    even_at: float  # when it has carried no more than its rate


class Between:
    """
    All of them; owns their sockets.

    :param most: pairs at once.
    :param rate: bytes a second of each, both ways together.
    """

    def __init__(self, clock: IReactorTime, most: int, rate: float) -> None:
        self._clock, self._most, self._rate = clock, most, rate
        self._calls: dict[str, tuple[float, str]] = {}  # when each was made, and for which home; oldest first
        self._waiting: dict[Socket, tuple[str, IDelayedCall]] = {}  # for which call, "" for none yet
        self._first: dict[str, Socket] = {}  # by call, who came first
        self._pairs: dict[Socket, _Pair] = {}  # each by both its ends
        self._of: Counter[str] = Counter()  # ends of pairs, by home
        self.counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._pairs) // 2

    def made(self, call: str, home: str) -> None:
        """A home was told it: for a while it opens one."""
        self._calls[call] = self._clock.seconds(), home
        if len(self._calls) > MOST_CALLS:
            del self._calls[next(iter(self._calls))]

    def may_come(self) -> bool:
        """Whether there is room for one more end."""
        return len(self) < self._most and len(self._waiting) < MOST_WAITING

    # -- Owner ---------------------------------------------------------------------------------------------------------

    def connected(self, socket: Socket) -> None:
        """One end is here, and has to say for what."""
        self._wait(socket, "")

    def _wait(self, socket: Socket, call: str) -> None:
        self._waiting[socket] = call, self._clock.callLater(WAIT, socket.drop, "nobody came")

    def _waited(self, socket: Socket) -> str | None:
        """For which call; it does not wait any more."""
        call, timer = self._waiting.pop(socket, (None, None))
        if timer is not None and timer.active():
            timer.cancel()
        return call

    def opened(self, socket: Socket) -> None:
        """It has to say for what."""

    def text(self, socket: Socket, text: bytes) -> None:
        """
        The call that it comes for.

        :raises PeerError: that is none.
        """
        waits_for, _ = self._waiting.get(socket, (None, None))
        if waits_for != "":
            raise MalformedFrame("it has said that already")  # and it still waits, until `ended` takes it from there
        self._waited(socket)
        call = text.decode("ascii", "replace")
        made_at, home = self._calls.get(call, (float("-inf"), ""))
        if made_at < self._clock.seconds() - GOOD_FOR:
            self.counts["between_refused"] += 1
            raise Refused("no such call")
        other = self._first.pop(call, None)
        if other is None:
            self._first[call] = socket
            self._wait(socket, call)
            return
        del self._calls[call]
        self._waited(other)
        if len(self) >= self._most or self._of[home] >= 2 * MOST_OF_HOME:
            self.counts["between_refused"] += 1
            other.drop("too many")
            raise Refused("too many")
        self._pairs[socket] = self._pairs[other] = _Pair(home, (socket, other), self._clock.seconds())
        self._of[home] += 2
        self.counts["between_pairs"] += 1
        for one, two in ((socket, other), (other, socket)):
            one.drained = two.read_on
            one.send_text(GO)

    def binary(self, socket: Socket, content: bytes) -> None:
        """
        For the other end.

        :raises PeerError: there is none, or it does not read.
        """
        pair = self._pairs.get(socket)
        if pair is None:
            raise MalformedFrame("nobody is there yet")
        other = pair.ends[pair.ends[0] is socket]
        if not other.send_binary(content):
            raise Refused("the other end does not read")
        self.counts["between_bytes"] += len(content)
        if not other.reads:
            socket.stop_reading()

    def spent(self, socket: Socket, cost: int) -> None:
        """A pair that is ahead of its rate rests."""
        pair = self._pairs.get(socket)
        if pair is not None:
            now = self._clock.seconds()
            pair.even_at = max(pair.even_at, now) + cost / self._rate
            if pair.even_at > now + REST:
                socket.pause_reading(pair.even_at - now)

    def ended(self, socket: Socket, reason: str, failure: Failure) -> None:
        """One end is gone: so is the other."""
        call = self._waited(socket)
        if call and self._first.get(call) is socket:
            del self._first[call]
        pair = self._pairs.pop(socket, None)
        if pair is not None:
            self._of[pair.home] -= 1
            if not self._of[pair.home]:
                del self._of[pair.home]
            pair.ends[pair.ends[0] is socket].end("the other end is gone")

    def close(self) -> None:
        """No more of it."""
        for socket in [*self._waiting, *self._pairs]:
            socket.drop("the coordinator stops")
