"""Several data channels of a browser as one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net import rtc_make

try:
    from morphnet.net import rtc_homechannel as module
except ImportError:  # no aiortc here
    pass
from morphnet.net.rtc_frames import BINARY, CLOSED, OPENED, TEXT


class Channel:
    """One of a browser."""

    def __init__(self, label: str) -> None:
        self.label, self.readyState, self.bufferedAmount, self.bufferedAmountLowThreshold = label, "open", 5, 0
        self.on = self.hears
        self.does: dict[str, Callable[..., None]] = {}
        self.sent: list[object] = []

    def hears(self, kind: str, what: Callable[..., None]) -> None:
        self.does[kind] = what

    def send(self, data: object) -> None:
        self.sent.append(data)

    def close(self) -> None:
        self.readyState = "closed"


class Home:
    def __init__(self) -> None:
        self.said: list[Any] = []

    def opened(self) -> None:
        self.said.append("opened")

    def message(self, data: bytes) -> None:
        self.said.append(data)

    def drained(self) -> None:
        self.said.append("drained")

    def closed(self) -> None:
        self.said.append("closed")


class ChannelsTests(SynchronousTestCase):
    skip = None if rtc_make.chosen("aiortc") else "no aiortc here"

    def test_channels(self) -> None:
        """Each has a number; texts stay texts, bytes bytes; who opens too many is refused."""
        home = Home()

        async def talk() -> None:
            connection = module.Connection(home, [])
            first, second = Channel("apps-control"), Channel("files")
            connection._take(first)
            connection._take(second)
            first.does["message"]("text")
            second.does["message"](b"bytes")
            second.does["bufferedamountlow"]()
            connection.send(bytes((0, TEXT)) + b"answer")
            connection.send(bytes((1, BINARY)) + b"frame")
            connection.send(bytes((9, BINARY)) + b"nobody")
            self.assertEqual((first.sent, second.sent, connection.waiting), (["answer"], [b"frame"], 10))
            second.does["close"]()
            connection.send(bytes((1, BINARY)) + b"gone")
            connection.send(bytes((0, CLOSED)))
            self.assertEqual((len(second.sent), first.readyState), (1, "closed"))
            more = [Channel("x") for _ in range(module.MOST)]
            for each in more:
                connection._take(each)
            self.assertEqual([each.readyState for each in more[-3:]], ["open", "closed", "closed"])
            await connection.close()

        asyncio.run(talk())
        first, second = bytes((0, OPENED)) + b"apps-control", bytes((1, OPENED)) + b"files"
        told = [bytes((0, TEXT)) + b"text", bytes((1, BINARY)) + b"bytes", "drained", bytes((1, CLOSED))]
        self.assertEqual(home.said[:7], ["opened", first, second, *told])

    def test_no_offer(self) -> None:
        """What has no data channel is refused."""
        with asyncio.Runner(loop_factory=module.make_loop) as runner:

            async def ask() -> None:
                await module.Connection(Home(), []).answer("v=0\r\n")

            self.assertRaises(ValueError, runner.run, ask())
