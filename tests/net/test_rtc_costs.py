"""Fewer acknowledgements."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from aiortc.rtcsctptransport import RTCSctpTransport
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.rtc_costs import Acknowledging


class Sctp:
    """As much of aiortc's transport as it takes; each datagram has it say `_send_sack`."""

    def __init__(self) -> None:
        self._sack_misordered, self._sack_duplicates = set[int](), list[int]()
        self.sent = 0
        self.closed = False

    async def _send_sack(self) -> None:
        if self.closed:
            raise ConnectionError
        self.sent += 1


class Timer:
    """What `later` gives."""

    def __init__(self, what: Callable[[], Awaitable[None]]) -> None:
        self.what, self.cancelled = what, False

    def cancel(self) -> None:
        self.cancelled = True


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """To its end: it waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


class AcknowledgingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sctp, self.timers = Sctp(), list[Timer]()
        self.acknowledging = Acknowledging(self.sctp, self.later)

    def later(self, seconds: float, what: Callable[[], Awaitable[None]]) -> Timer:
        self.timers.append(Timer(what))
        return self.timers[-1]

    def datagrams(self, number: int) -> int:
        """So many come; how many acknowledgements have been sent."""
        for _ in range(number):
            run(self.sctp._send_sack())
        return self.sctp.sent

    def test_every_second(self) -> None:
        """Two datagrams, one acknowledgement; the last one alone has a timer."""
        self.assertEqual(self.datagrams(100), 50)
        self.assertEqual([each.cancelled for each in self.timers], [True] * 50)
        self.datagrams(1)
        self.assertFalse(self.timers[-1].cancelled)
        run(self.acknowledging._late())
        self.assertEqual(self.sctp.sent, 51)

    def test_missing(self) -> None:
        """What is missing, or came twice, is told at once."""
        self.sctp._sack_misordered.add(7)
        self.assertEqual(self.datagrams(3), 3)
        self.sctp._sack_misordered.clear()
        self.sctp._sack_duplicates.append(7)
        self.assertEqual(self.datagrams(3), 6)

    def test_closed(self) -> None:
        """A timer of what is closed does no harm."""
        self.datagrams(1)
        self.sctp.closed = True
        run(self.acknowledging._late())

    def test_aiortc(self) -> None:
        """aiortc is still as it is taken to be here."""
        source = inspect.getsource(RTCSctpTransport)
        for name in ("await self._send_sack()", "self._sack_misordered", "self._sack_duplicates"):
            self.assertIn(name, source)
