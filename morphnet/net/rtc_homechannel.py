"""
WebRTC for browser clients of the original HomeChannel, which open several data channels: a make, of aiortc.

To the home it is one channel: each message begins with the number of the channel that it belongs to, and a kind; what
OPENED carries is the label.

Source: docs/homechannel section 4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from morphnet.net import rtc_aiortc
from morphnet.net.rtc_frames import BINARY, CLOSED, OPENED, TEXT
from morphnet.net.rtc_make import LOW, Heard

MOST = 32  # channels of one browser


def make_loop() -> asyncio.AbstractEventLoop:
    """What it runs on."""
    return rtc_aiortc.make_loop()


class Connection(rtc_aiortc.Peer):
    """One of them; a Make."""

    def __init__(self, heard: Heard, ice: Sequence[str]) -> None:
        self._channels: dict[int, Any] = {}
        self._next = 0
        super().__init__(heard, ice)

    def _take(self, channel: Any) -> None:
        number, self._next = self._next, self._next + 1
        if number >= MOST:
            channel.close()
            return
        self._channels[number] = channel
        channel.bufferedAmountLowThreshold = LOW
        channel.on("bufferedamountlow", self._heard.drained)
        channel.on("message", lambda data: self._message(number, data))
        channel.on("close", lambda: self._closed(number))
        if not number:
            self._heard.opened()
        self._heard.message(bytes((number, OPENED)) + channel.label.encode())

    def _message(self, number: int, data: Any) -> None:
        kind, raw = (BINARY, data) if isinstance(data, bytes) else (TEXT, str(data).encode())
        self._heard.message(bytes((number, kind)) + raw)

    def _closed(self, number: int) -> None:
        if self._channels.pop(number, None) is not None:
            self._heard.message(bytes((number, CLOSED)))

    @property
    def waiting(self) -> int:
        return sum(int(each.bufferedAmount) for each in self._channels.values())

    def send(self, message: bytes) -> None:
        channel = self._channels.get(message[0])
        if channel is None:
            return
        if message[1] == CLOSED:
            channel.close()
        elif channel.readyState == "open":
            channel.send(message[2:].decode() if message[1] == TEXT else message[2:])
