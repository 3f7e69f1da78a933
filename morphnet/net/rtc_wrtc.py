"""WebRTC as wrtc makes it, which is Chrome's own engine: one connection to a browser and its data channel."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import webrtc

from morphnet.net.rtc_make import LABEL, LOW, Heard

GATHER_WITHIN = 3.0  # seconds for our candidates: a STUN server that is not there keeps nobody waiting


def make_loop() -> asyncio.AbstractEventLoop:
    """What it runs on."""
    return asyncio.SelectorEventLoop()


class Connection:
    """One of them; a Make."""

    def __init__(self, heard: Heard, ice: Sequence[str]) -> None:
        self._heard = heard
        servers = [webrtc.RTCIceServer(url) for url in ice]
        self._peer: Any = webrtc.RTCPeerConnection(webrtc.RTCConfiguration(ice_servers=servers))
        self._channel: Any = None
        self._gathered = asyncio.Event()
        self._peer.on("datachannel", lambda event: self._take(event.channel))
        self._peer.on("connectionstatechange", lambda event: self._changed())
        self._peer.on("icegatheringstatechange", lambda event: self._gathering())

    async def answer(self, offer: str) -> str:
        await self._peer.set_remote_description(webrtc.RTCSessionDescriptionInit(type="offer", sdp=offer))
        if self._peer.sctp is None:
            raise ValueError("no data channel")
        await self._peer.set_local_description()
        self._gathering()
        try:
            await asyncio.wait_for(self._gathered.wait(), GATHER_WITHIN)
        except TimeoutError:
            pass
        return str(self._peer.local_description.sdp)

    def _gathering(self) -> None:
        if self._peer.ice_gathering_state == "complete":
            self._gathered.set()

    def _take(self, channel: Any) -> None:
        if channel.label != LABEL or self._channel is not None:
            channel.close()
            return
        self._channel = channel
        channel.buffered_amount_low_threshold = LOW
        channel.on("bufferedamountlow", lambda event: self._heard.drained())
        channel.on("message", lambda event: self._message(event.data))
        channel.on("close", lambda event: self._heard.closed())
        channel.on("open", lambda event: self._heard.opened())

    def _message(self, data: Any) -> None:
        self._heard.message(data if isinstance(data, bytes) else str(data).encode())

    def _changed(self) -> None:
        if self._peer.connection_state in ("failed", "closed"):
            self._heard.closed()

    @property
    def waiting(self) -> int:
        return int(self._channel.buffered_amount)

    def send(self, message: bytes) -> None:
        if self._channel is not None and self._channel.ready_state == "open":
            self._channel.send(message)

    async def close(self) -> None:
        self._peer.close()
