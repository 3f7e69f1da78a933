"""
Less work for the same bytes: what aiortc and asyncio do for each datagram that a browser sends, and need not.

An upload took 50 to 60 s of processor for a gigabyte, and takes 31 to 36 with both (two processes on one machine,
aiortc 1.16): half of the acknowledgements, each of which is sealed and sent, and a quarter of a megabyte that asyncio
made room for at each read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

# Datagrams that are acknowledged together. Source: RFC 9260 section 6.2, which asks for no fewer; with eight an upload
# is twenty times slower, as Chromium sends at most four for each acknowledgement.
EVERY = 2
LATEST = 0.02  # seconds after which one alone is; RFC 9260 allows 0.2
LARGEST = 65536  # bytes of a datagram, of room for one: so much is not taken from the system, and given back, each time


class Acknowledging:
    """
    Sends an acknowledgement for every second datagram, at once when something is missing or came twice.

    :param sctp: a transport of aiortc's.
    :param later: has something done after so many seconds.
    """

    def __init__(self, sctp: Any, later: Callable[[float, Callable[[], Awaitable[None]]], Any]) -> None:
        self._sctp, self._later = sctp, later
        self._send: Callable[[], Awaitable[None]] = sctp._send_sack
        self._waiting = 0  # datagrams
        self._timed = False
        sctp._send_sack = self._one_more

    async def _one_more(self) -> None:
        self._waiting += 1
        if self._waiting >= EVERY or self._sctp._sack_misordered or self._sctp._sack_duplicates:
            self._waiting = 0
            await self._send()
        elif not self._timed:  # it is not taken back when the next one comes: then it finds nothing, or is early
            self._timed = True
            self._later(LATEST, self._late)

    async def _late(self) -> None:
        self._timed = False
        if not self._waiting:
            return
        self._waiting = 0
        try:
            await self._send()
        except ConnectionError:
            return  # it was closed meanwhile
