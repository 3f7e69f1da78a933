"""The WebRTC door, without a network: what becomes of channels. The lab has real browsers."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.rtc import LABEL, Channel, FrugalLoop, plain
from morphnet.net.rtc_costs import LARGEST


class Emitter:
    """A data channel, or a connection, as aiortc has them."""

    def __init__(self, label: str = LABEL) -> None:
        self.label, self.readyState, self.connectionState = label, "open", "connected"
        self.on_ = dict[str, Any]()
        self.sent: list[bytes] = []
        self.closed = False

    def on(self, event: str, called: Any) -> None:
        self.on_[event] = called

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True


class OfferTests(SynchronousTestCase):
    def test_plain(self) -> None:
        """Names that nobody here can resolve are left out, addresses stay."""
        offer = (
            "v=0\r\na=setup:actpass\r\na=candidate:1 1 udp 2113937151 1d16dfcb.local 37564 typ host\r\n"
            "a=candidate:2 1 udp 1677729535 198.51.100.10 37564 typ srflx raddr 0.0.0.0 rport 0\r\n"
        )
        self.assertEqual(
            plain(offer).splitlines(),
            [
                "v=0",
                "a=setup:actpass",
                "a=candidate:2 1 udp 1677729535 198.51.100.10 37564 typ srflx raddr 0.0.0.0 rport 0",
            ],
        )


class ChannelTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.heard: list[object] = []
        self.peer = Emitter()
        self.channel = Channel(self.peer, self, lambda channel: self.heard.append("done"))
        self.data = Emitter()

    def opened(self, channel: Channel) -> None:
        self.heard.append("opened")

    def message(self, channel: Channel, data: bytes) -> None:
        self.heard.append(data)

    def closed(self, channel: Channel) -> None:
        self.heard.append("closed")

    def test_life(self) -> None:
        """It opens, says and hears, and is closed once, whoever closes it."""
        self.channel.send(b"too early")
        self.channel.take(self.data)
        self.data.on_["message"](b"in")
        self.data.on_["message"]("text")
        self.channel.send(b"out")
        self.data.on_["close"]()
        self.peer.connectionState = "failed"
        self.channel.changed()
        self.channel.send(b"too late")
        self.assertEqual(self.heard, ["opened", b"in", b"text", "done", "closed"])
        self.assertEqual(self.data.sent, [b"out"])

    def test_others(self) -> None:
        """A channel of another name, or a second one, is closed at once."""
        for other in (Emitter("other"), self.data, Emitter()):
            self.channel.take(other)
            self.assertEqual(other.closed, other is not self.data)
        self.assertEqual(self.heard, ["opened"])

    def test_fails(self) -> None:
        """A connection that fails before there is a channel is given up."""
        self.peer.connectionState = "failed"
        self.channel.changed()
        self.assertEqual(self.heard, ["done"])


class LoopTests(SynchronousTestCase):
    def test_room(self) -> None:
        """A socket for datagrams makes room for one; asyncio is still as it is taken to be here."""

        class Transport:
            max_size = 1 << 18

        async def made(*args: object, **more: object) -> tuple[Any, Any]:
            return Transport(), None

        self.patch(asyncio.SelectorEventLoop, "create_datagram_endpoint", made)
        loop = FrugalLoop()
        self.addCleanup(loop.close)
        transport, _ = loop.run_until_complete(loop.create_datagram_endpoint(lambda: None))
        self.assertEqual(transport.max_size, LARGEST)
        self.assertIn("self.max_size", inspect.getsource(asyncio.selector_events._SelectorDatagramTransport))  # type: ignore[attr-defined]
