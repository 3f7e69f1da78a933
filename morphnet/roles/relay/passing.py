"""
The ends of passages at the relay's port: what one says goes to the other, whole and in order.

It is TLS, of which no byte may be missing. So where one end does not read the other is not read either, and both are
hung up on should more come all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from morphnet.errors import MalformedFrame, Refused
from morphnet.net.limits import SourceLimiter
from morphnet.net.tls import Peer
from morphnet.net.websocket import Socket
from morphnet.rendezvous.relay.members import Line
from morphnet.rendezvous.relay.passages import Passages
from morphnet.wire.messages.relay import Meet, Reach

COMINGS, COMINGS_AT_ONCE = 1.0, 16  # times a second that one name may ask for a passage: its server is told each time


class End(Line, Protocol):
    """A line, and its socket."""

    @property
    def peer(self) -> Peer:
        "Its certificate."

    @property
    def socket(self) -> Socket:
        "What it comes by."


class Passing:
    """
    Passages, and the sockets that they join.

    :param rate: bytes a second that the passages of one client carry together.
    :param sources: names that are counted at once.
    """

    def __init__(self, clock: IReactorTime, entropy: Callable[[int], bytes], rate: float, sources: int) -> None:
        self._passages = Passages(clock, entropy, rate)
        self._clock = clock
        self._comings = SourceLimiter(COMINGS, COMINGS_AT_ONCE, sources)
        self._ends: dict[Line, End] = {}

    def counters(self) -> dict[str, int]:
        """For the node's status."""
        return self._passages.counters()

    def serve(self, line: Line) -> None:
        """A server has registered, and comes when it is asked."""
        self._passages.serve(line)

    def begin(self, line: End, message: Reach | Meet) -> None:
        """
        It wants to be an end.

        :raises Refused: it may not.
        """
        if line.peer.kind != ("client" if isinstance(message, Reach) else "server"):
            raise Refused("certificate of a wrong usage")
        self._ends[line] = line
        try:
            if isinstance(message, Meet):
                self._passages.meet(line, message.token)
            elif self._comings.admit(f"{line.network} {line.name}", now=self._clock.seconds()):
                self._passages.reach(line, message.server, message.name)
            else:
                raise Refused("it comes too often")
        except Refused:
            del self._ends[line]
            raise

    def has(self, line: Line) -> bool:
        """Whether it is an end, or was one until a moment ago."""
        return line in self._ends

    def carry(self, line: End, content: bytes) -> None:
        """
        Bytes for the other end.

        :raises MalformedFrame: nobody is there yet.
        """
        there = self._passages.other(line)
        if there is None:
            if self._passages.has(line):
                raise MalformedFrame("bytes for nobody")
            return  # the other end has just gone
        to = self._ends[there].socket
        if not to.send_binary(content):
            for socket in (to, line.socket):
                socket.drop("a passage is full")
        elif not to.reads:
            to.drained = line.socket.read_on
            line.socket.stop_reading()

    def spent(self, line: Line, cost: int) -> None:
        """What came from there cost so many bytes."""
        self._passages.charge(line, cost)

    def gone(self, line: Line) -> None:
        """It has ended; harmless when it is none."""
        self._ends.pop(line, None)
        self._passages.gone(line)
