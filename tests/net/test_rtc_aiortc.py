"""WebRTC in Python."""

from __future__ import annotations

import asyncio
import inspect
import socket
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.rtc_aiortc import FrugalLoop
from morphnet.net.rtc_costs import LARGEST
from tests.net import rtc_case


class AiortcTests(rtc_case.MakeCase):
    make = "aiortc"


class AiortcBrowserTests(rtc_case.BrowserCase):
    make = "aiortc"


class LoopTests(SynchronousTestCase):
    def test_room(self) -> None:
        """A socket for datagrams makes room for one, and lets many wait; asyncio is still as it is taken to be here."""
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(opened.close)
        before = opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

        class Transport:
            max_size = 1 << 18

            def get_extra_info(self, name: str) -> socket.socket:
                return opened

        async def made(*args: object, **more: object) -> tuple[Any, Any]:
            return Transport(), None

        self.patch(asyncio.SelectorEventLoop, "create_datagram_endpoint", made)
        loop = FrugalLoop()
        self.addCleanup(loop.close)
        transport, _ = loop.run_until_complete(loop.create_datagram_endpoint(lambda: None))
        self.assertEqual(transport.max_size, LARGEST)
        self.assertGreater(opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF), before)
        self.assertIn("self.max_size", inspect.getsource(asyncio.selector_events._SelectorDatagramTransport))  # type: ignore[attr-defined]
