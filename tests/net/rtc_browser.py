"""
The other end of a WebRTC connection, in a process of its own, made by aiortc.

    python -m tests.net.rtc_browser

takes commands as lines of JSON and answers each with one.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription


class Browser:
    """One connection."""

    def __init__(self) -> None:
        self._peer: Any = RTCPeerConnection(RTCConfiguration([]))
        self._channel: Any = None
        self._open, self._closed, self._more = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._count = 0
        self._known = hashlib.sha256()

    def _message(self, data: bytes) -> None:
        self._count += 1
        self._known.update(data)
        self._more.set()

    async def offer(self, label: str) -> dict[str, Any]:
        """With a data channel of that name; one for sound where it has none."""
        if label:
            self._channel = self._peer.createDataChannel(label)
            self._channel.on("open", self._open.set)
            self._channel.on("close", self._closed.set)
            self._channel.on("message", self._message)
        else:
            self._peer.addTransceiver("audio")
        await self._peer.setLocalDescription(await self._peer.createOffer())
        return {"offer": self._peer.localDescription.sdp}

    async def answer(self, sdp: str, within: float) -> dict[str, Any]:
        """Take it; is the channel open?"""
        await self._peer.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        try:
            await asyncio.wait_for(self._open.wait(), within)
        except TimeoutError:
            return {"open": False}
        return {"open": True}

    async def send(self, count: int, size: int) -> dict[str, Any]:
        """Messages, each of one byte that counts them."""
        for number in range(count):
            self._channel.send(bytes([number & 255]) * size)
        return {"sent": count}

    async def heard(self, count: int) -> dict[str, Any]:
        """When so many messages have come: how many, and a hash of them."""
        while self._count < count:
            self._more.clear()
            await self._more.wait()
        return {"count": self._count, "sha256": self._known.hexdigest()}

    async def close(self) -> dict[str, Any]:
        """End it."""
        await self._peer.close()
        return {}

    async def closed(self) -> dict[str, Any]:
        """When the other one has ended it."""
        await self._closed.wait()
        return {}


async def main() -> None:
    """Until there are no more commands."""
    browser = Browser()
    lines = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        asked = json.loads(line)
        print(json.dumps(await getattr(browser, asked.pop("do"))(**asked)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
