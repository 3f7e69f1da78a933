"""What holds a connection, on an event loop that is turned by hand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.rtc_child import Serving
from morphnet.net.rtc_frames import Frames, Kind, encode
from morphnet.net.rtc_make import HIGH

# Serves, and then stands still.
STUCK = """
import asyncio, socket, time
from morphnet.net import rtc_child
rtc_child.STUCK_AFTER = 1
async def stuck():
    serving = asyncio.ensure_future(rtc_child.serve(None, socket.socketpair()[0]))
    await asyncio.sleep(0.1)
    time.sleep(20)
asyncio.run(stuck())
"""


class Wire:
    """The socket to the home."""

    def __init__(self) -> None:
        self.data, self.reading, self.closed = b"", True, False

    def writelines(self, pieces: tuple[bytes, ...]) -> None:
        self.data += b"".join(pieces)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


class Connection:
    """A make that sends nothing."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    @property
    def waiting(self) -> int:
        return sum(len(each) for each in self.sent)

    async def answer(self, offer: str) -> str:
        return offer

    def send(self, message: bytes) -> None:
        self.sent.append(message)

    async def close(self) -> None:
        """Nothing to close."""


class ServingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.wire, self.connection, self.over = Wire(), Connection(), list[int]()
        over: Any = self.over
        self.serving = Serving(lambda heard, ice: self.connection, over)
        wire: Any = self.wire
        self.serving._wire = wire
        self.serving.connection = self.connection

    def home_says(self, kind: Kind, payload: bytes) -> None:
        self.serving.data_received(b"".join(encode(kind, payload)))

    def heard(self) -> list[tuple[int, bytes]]:
        """What the home was told."""
        return list(Frames().take(self.wire.data))

    def test_both_ways(self) -> None:
        """What one says the other hears; after the end nobody does."""
        self.serving.opened()
        self.home_says(Kind.MESSAGE, b"to the browser")
        self.serving.message(b"to the home")
        self.serving.closed()
        self.serving.message(b"too late")
        self.assertEqual(self.connection.sent, [b"to the browser"])
        self.assertEqual(self.heard(), [(Kind.OPEN, b""), (Kind.MESSAGE, b"to the home"), (Kind.OVER, b"")])

    def test_pressure(self) -> None:
        """Where too much waits for the browser the home has to wait, until it does not."""
        self.serving.opened()
        self.home_says(Kind.MESSAGE, bytes(HIGH))
        self.assertTrue(self.wire.reading)
        self.home_says(Kind.MESSAGE, b"more")
        self.assertFalse(self.wire.reading)
        self.serving.drained()
        self.assertTrue(self.wire.reading)

    def test_stuck(self) -> None:
        """A loop that stands still has its process ended by the kernel: native code may hold it for ever."""
        done = subprocess.run(
            [sys.executable, "-c", STUCK], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        )
        self.assertEqual(done.returncode, -signal.SIGALRM)
