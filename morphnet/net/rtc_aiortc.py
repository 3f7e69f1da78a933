"""WebRTC as aiortc makes it, in Python: one connection to a browser and its data channel."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription

from morphnet.net.rtc_costs import LARGEST, Acknowledging
from morphnet.net.rtc_make import LABEL, LOW, Heard

ROOM = 1 << 20  # bytes that may wait in a socket; the kernel gives as many as it allows


class FrugalLoop(asyncio.SelectorEventLoop):
    """An event loop whose sockets for datagrams make room for one datagram."""

    async def create_datagram_endpoint(self, *args: Any, **more: Any) -> tuple[Any, Any]:
        transport: Any
        transport, protocol = await super().create_datagram_endpoint(*args, **more)
        transport.max_size = LARGEST  # asyncio's own has a quarter of a megabyte
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        return transport, protocol


def make_loop() -> asyncio.AbstractEventLoop:
    """What it runs on."""
    return FrugalLoop()


def _later(seconds: float, what: Callable[[], Any]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(seconds, lambda: asyncio.ensure_future(what()))


class Peer:
    """A connection without what its channels say; `waiting` and `send` make a Make of it."""

    def __init__(self, heard: Heard, ice: Sequence[str]) -> None:
        self._heard = heard
        self._peer: Any = RTCPeerConnection(RTCConfiguration([RTCIceServer(url) for url in ice]))
        self._peer.on("datachannel", self._take)
        self._peer.on("connectionstatechange", self._changed)

    async def answer(self, offer: str) -> str:
        await self._peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        if self._peer.sctp is None:
            raise ValueError("no data channel")
        self._agreed()
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        return str(self._peer.localDescription.sdp)

    def _agreed(self) -> None:
        """The offer is taken, and the answer not made."""

    def _take(self, channel: Any) -> None:
        """The browser has opened one."""
        raise NotImplementedError

    def _changed(self) -> None:
        if self._peer.connectionState in ("failed", "closed"):
            self._heard.closed()

    async def close(self) -> None:
        await self._peer.close()


class Connection(Peer):
    """One of them; a Make."""

    def __init__(self, heard: Heard, ice: Sequence[str]) -> None:
        self._channel: Any = None
        super().__init__(heard, ice)

    def _agreed(self) -> None:
        Acknowledging(self._peer.sctp, _later)

    def _take(self, channel: Any) -> None:
        if channel.label != LABEL or self._channel is not None:
            channel.close()
            return
        self._channel = channel
        channel.bufferedAmountLowThreshold = LOW
        channel.on("bufferedamountlow", self._heard.drained)
        channel.on("message", self._message)
        channel.on("close", self._heard.closed)
        self._heard.opened()

    def _message(self, data: Any) -> None:
        self._heard.message(data if isinstance(data, bytes) else str(data).encode())

    @property
    def waiting(self) -> int:
        return int(self._channel.bufferedAmount)

    def send(self, message: bytes) -> None:
        if self._channel is not None and self._channel.readyState == "open":
            self._channel.send(message)
