"""A part of a file on its way to a client: by the kernel where that can be, through this process elsewhere."""

from __future__ import annotations

from typing import Any, BinaryIO, Protocol

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from morphnet.net.bulk import CAN_SEND, BulkServer, unread

PIECE = 1 << 16  # bytes that go through this process at once


class Answering(Protocol):
    """The request that it is the answer to; its head is written."""

    channel: Any

    def write(self, data: bytes) -> None:
        """Some of it."""

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Who is told when there is room."""

    def unregisterProducer(self) -> None:
        """Nobody any more."""

    def hang_up(self) -> None:
        """End the connection."""

    def finish_when_read(self) -> None:
        """All of it is written."""


@implementer(IPushProducer)
class FileGiving:
    """
    Gives it out, as long as the connection has room; the file is closed in the end.

    :param length: bytes, from where the file stands.
    :param patience: seconds after which a client who has taken nothing is hung up on.
    """

    def __init__(self, request: Answering, file: BinaryIO, length: int, patience: float) -> None:
        self._request, self._file, self._patience = request, file, patience
        self.at, self.left = file.tell(), length
        self._paused = True
        self._watch: Any = None
        self._seen = (-1, 0)  # bytes that were left at the last look, and of the others those that were not taken

    def start(self) -> None:
        """From now on."""
        self._look()
        transport = self._request.channel.transport
        if CAN_SEND and isinstance(transport, BulkServer):
            transport.give(self)
        else:
            self._by_ourselves()

    def fileno(self) -> int:
        return self._file.fileno()

    def sent(self) -> None:
        self._end()

    def not_by_kernel(self) -> None:
        self._by_ourselves()

    def close(self) -> None:
        """Its connection is gone, or all is said."""
        self._paused = True
        if self._watch is not None and self._watch.active():
            self._watch.cancel()
        self._file.close()

    def _look(self) -> None:
        """Whether something was taken since the last time."""
        seen = self.left, unread(self._request.channel.transport)
        if seen == self._seen:
            self._request.hang_up()
            return
        self._seen = seen
        self._watch = self._request.channel.callLater(self._patience, self._look)

    def _by_ourselves(self) -> None:
        self._request.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        self._paused = False
        while not self._paused:
            data = self._file.read(min(PIECE, self.left))
            self.left -= len(data)
            if data:
                self._request.write(data)
            if not data or not self.left:
                self._request.unregisterProducer()
                self._end()

    def _end(self) -> None:
        self.close()
        if self.left:
            self._request.hang_up()  # the file is shorter than it was
        else:
            self._request.finish_when_read()

    def pauseProducing(self) -> None:
        self._paused = True

    def stopProducing(self) -> None:
        self.close()
