"""
The WebRTC door: answers the offer of a browser, and hands over the data channel that comes of it.

Here alone is asyncio: aiortc is made for it, so that the process runs on Twisted's reactor for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from morphnet.errors import MalformedFrame
from morphnet.net.rtc_costs import LARGEST, Acknowledging

try:
    from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
except ImportError:  # no other process needs it
    AVAILABLE = False
else:
    AVAILABLE = True

LABEL = "morphnet"  # of the one data channel
OPENS_WITHIN = 30.0  # seconds until a connection that has no channel is given up


class FrugalLoop(asyncio.SelectorEventLoop):
    """An event loop whose sockets for datagrams make room for one datagram."""

    async def create_datagram_endpoint(self, *args: Any, **more: Any) -> tuple[Any, Any]:
        transport: Any
        transport, protocol = await super().create_datagram_endpoint(*args, **more)
        transport.max_size = LARGEST  # asyncio's own has a quarter of a megabyte
        return transport, protocol


def make_loop() -> Any:
    """The event loop that the reactor has to run on, before there is a reactor."""
    loop = FrugalLoop()
    asyncio.set_event_loop(loop)
    return loop


class Heard(Protocol):
    """Whoever a data channel belongs to."""

    def opened(self, channel: Channel) -> None:
        """It is open."""
        ...

    def message(self, channel: Channel, data: bytes) -> None:
        """The browser said something."""
        ...

    def closed(self, channel: Channel) -> None:
        """It is gone, whoever ended it."""
        ...


class Channel:
    """One connection to a browser and its data channel: a Link."""

    def __init__(self, peer: Any, heard: Heard, done: Callable[[Channel], None]) -> None:
        self._peer, self._heard, self._done = peer, heard, done
        self._channel: Any = None
        self._over = False

    def take(self, channel: Any) -> None:
        """The browser has opened it."""
        if channel.label != LABEL or self._channel is not None:
            channel.close()
            return
        self._channel = channel
        channel.on("message", self._message)
        channel.on("close", self.close)
        self._heard.opened(self)

    def _message(self, data: Any) -> None:
        if not self._over:
            self._heard.message(self, data if isinstance(data, bytes) else str(data).encode())

    def changed(self) -> None:
        """The state of the connection is another one."""
        if self._peer.connectionState in ("failed", "closed"):
            self.close()

    @property
    def is_open(self) -> bool:
        """Whether something can be said."""
        return self._channel is not None and not self._over

    def send(self, message: bytes) -> None:
        """Say something; nothing happens when it is gone."""
        if self.is_open and self._channel.readyState == "open":
            self._channel.send(message)

    def close(self) -> None:
        """End it."""
        if not self._over:
            self._over = True
            self._done(self)
            if self._channel is not None:
                self._heard.closed(self)


class RtcDoor:
    """
    All connections to browsers.

    :param ice: URLs of STUN and TURN servers.
    :param clock: a reactor.
    """

    _log = Logger()

    def __init__(self, ice: Sequence[str], clock: Any) -> None:
        self._ice, self._clock = ice, clock
        self._open: dict[Channel, Any] = {}  # and its connection
        self._ending: set[Any] = set()

    def __len__(self) -> int:
        return len(self._open)

    async def answer(self, offer: str, heard: Heard) -> str:
        """
        The answer to an offer, both as SDP, with all candidates.

        :raises MalformedFrame: it is no offer of a data channel.
        """
        servers = [RTCIceServer(url) for url in self._ice]
        peer = RTCPeerConnection(RTCConfiguration(servers))
        channel = Channel(peer, heard, self._done)
        self._open[channel] = peer
        peer.on("datachannel", channel.take)
        peer.on("connectionstatechange", channel.changed)
        try:
            said: str = await Deferred.fromFuture(asyncio.ensure_future(_answered(peer, offer)))
        except Exception as trouble:  # aiortc raises what it likes of an offer that is none
            self._log.debug("no answer to an offer: {trouble}", trouble=repr(trouble))
            channel.close()
            raise MalformedFrame("an offer that cannot be answered") from None
        self._clock.callLater(OPENS_WITHIN, lambda: None if channel.is_open else channel.close())
        return said

    def _done(self, channel: Channel) -> None:
        peer = self._open.pop(channel)
        ending = asyncio.ensure_future(peer.close())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    def close(self) -> None:
        """End all of them."""
        for channel in list(self._open):
            channel.close()


def plain(offer: str) -> str:
    """
    An offer without the names that only its browser's own network can resolve: that would take a second, and nobody
    needs them, as the browser comes to our addresses itself.
    """
    lines = offer.splitlines(keepends=True)
    return "".join(line for line in lines if not (line.startswith("a=candidate:") and ".local " in line))


def _later(seconds: float, what: Callable[[], Any]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(seconds, lambda: asyncio.ensure_future(what()))


async def _answered(peer: Any, offer: str) -> str:
    await peer.setRemoteDescription(RTCSessionDescription(plain(offer), "offer"))
    if peer.sctp is None:
        raise ValueError("no data channel")
    Acknowledging(peer.sctp, _later)
    await peer.setLocalDescription(await peer.createAnswer())
    return str(peer.localDescription.sdp)
