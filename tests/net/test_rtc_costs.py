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


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """To its end: it waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


class AcknowledgingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sctp, self.timers = Sctp(), list[Callable[[], Awaitable[None]]]()
        self.acknowledging = Acknowledging(self.sctp, self.later)

    def later(self, seconds: float, what: Callable[[], Awaitable[None]]) -> None:
        self.timers.append(what)

    def datagrams(self, number: int) -> int:
        """So many come; how many acknowledgements have been sent."""
        for _ in range(number):
            run(self.sctp._send_sack())
        return self.sctp.sent

    def test_every_second(self) -> None:
        """Two datagrams, one acknowledgement; a timer sees to the last one, and one timer is enough."""
        self.assertEqual(self.datagrams(101), 50)
        self.assertEqual(len(self.timers), 1)
        run(self.acknowledging._late())
        self.assertEqual(self.sctp.sent, 51)

    def test_nothing_waits(self) -> None:
        """A timer that finds everything acknowledged sends nothing, and the next datagram has one again."""
        self.datagrams(2)
        run(self.acknowledging._late())
        self.assertEqual((self.sctp.sent, len(self.timers)), (1, 1))
        self.datagrams(1)
        self.assertEqual(len(self.timers), 2)

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
