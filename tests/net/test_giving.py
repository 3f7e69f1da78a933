"""A file through this process, where the kernel does not send it."""

from __future__ import annotations

from io import BytesIO
from types import SimpleNamespace

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.giving import PIECE, FileGiving


class Request:
    """It has room for so many pieces."""

    def __init__(self, room: int) -> None:
        self.clock, self.said, self.room = Clock(), list[str](), room
        self.channel = SimpleNamespace(transport=None, callLater=self.clock.callLater)
        self.producer: FileGiving | None = None
        self.sent = b""

    def write(self, data: bytes) -> None:
        self.sent += data
        self.room -= 1
        if not self.room and self.producer is not None:
            self.producer.pauseProducing()

    def registerProducer(self, producer: FileGiving, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def hang_up(self) -> None:
        self.said.append("hung up")

    def finish_when_read(self) -> None:
        self.said.append("finished")


class FileGivingTests(SynchronousTestCase):
    def given(self, room: int, has: int, length: int) -> tuple[Request, FileGiving, BytesIO]:
        request, file = Request(room), BytesIO(bytes(has))
        giving = FileGiving(request, file, length, 10.0)
        giving.start()
        return request, giving, file

    def test_pauses(self) -> None:
        """It stops when there is no room, and goes on when there is; nothing is left in the end."""
        request, giving, file = self.given(2, 4 * PIECE, 3 * PIECE)
        self.assertEqual((len(request.sent), request.said), (2 * PIECE, []))
        request.clock.advance(9.0)
        giving.resumeProducing()
        self.assertEqual((len(request.sent), request.said, file.closed), (3 * PIECE, ["finished"], True))
        self.assertEqual((request.producer, request.clock.getDelayedCalls()), (None, []))

    def test_nobody_reads(self) -> None:
        """Who has taken nothing for so long is hung up on; who takes a little is not."""
        request, giving, file = self.given(1, 4 * PIECE, 4 * PIECE)
        for _ in range(2):
            request.clock.advance(10.0)
            request.room = 1
            giving.resumeProducing()
        self.assertEqual(request.said, [])
        request.clock.advance(10.0)
        request.clock.advance(10.0)
        self.assertEqual(request.said, ["hung up"])
        giving.stopProducing()
        self.assertEqual((file.closed, request.clock.getDelayedCalls()), (True, []))

    def test_shorter(self) -> None:
        """A file that is shorter than was said ends the connection."""
        request, _, file = self.given(9, PIECE, PIECE + 1)
        self.assertEqual((request.said, file.closed), (["hung up"], True))
