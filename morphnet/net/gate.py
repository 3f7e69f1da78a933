"""
Who of those that call comes in next. Before anybody has proven who he is, only his address tells one from another: the
quietest block of addresses comes first, as many as the loop has time for, and the kernel keeps the loudest away.

Source: docs/architecture, "Who comes in".
"""

from __future__ import annotations

import time
from bisect import insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
)
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol

from morphnet.net.blocks import Block, Blocks, Loudness
from morphnet.net.limits import TimeShare
from morphnet.net.sockaddr import host_of
from morphnet.net.tlstransport import TlsFactory, TlsTransport

WAITING = 256  # callers that may wait at a time
PATIENCE = 5.0  # seconds that one may wait; it tries again by itself
TURN = 0.01  # seconds between two turns while somebody waits
LOOK_EVERY = 32  # callers between two looks at who is loud
ORDER_EVERY = 0.5  # seconds between two looks at how loud those who wait are by now
RELAX_EVERY = 1.0  # seconds between two looks while anybody is kept away
SAY_EVERY = 60.0  # seconds between two lines of the log


class Arrived(Protocol):
    """A connection that the kernel has completed and nobody has read from."""

    @property
    def host(self) -> str:
        "Its numeric address."

    def admit(self) -> None:
        "Talk to it."

    def turn_away(self) -> None:
        "Close it."


class Door(Protocol):
    """A listening socket."""

    def screen(self, screened: Mapping[Block, float]) -> None:
        "Let that share of these blocks' callers through, and all others."


@dataclass(order=True, slots=True)
class _Waiting:
    loudness: Loudness
    number: int
    arrived: Arrived = field(compare=False)
    at: float = field(compare=False)


class Gate:
    """
    One for all the doors of a process, since its one loop serves them all.

    :param clock: the reactor, in which doors listen.
    :param stopwatch: seconds; what handshakes cost is measured by it.
    :param waiting: callers that may wait at a time; each of them is an open file.
    """

    _log = Logger()

    def __init__(self, clock: Any, waiting: int = WAITING, stopwatch: Callable[[], float] = time.perf_counter) -> None:
        self.clock, self.stopwatch = clock, stopwatch
        self.handshakes = TimeShare(now=clock.seconds())
        self.turned_away = self.out_of_room = 0  # since start
        self._sheds: list[Callable[[], bool]] = []
        self._most = waiting
        self._blocks = Blocks()
        self._doors: list[Door] = []
        self._waiting: list[_Waiting] = []  # the quietest first, of these the first
        self._number = 0
        self._turn: IDelayedCall | None = None
        self._turn_at = self._ordered_at = 0.0
        self._relax: IDelayedCall | None = None
        self._said_at = self._full_said_at = float("-inf")

    def counters(self) -> dict[str, int]:
        """For the node's status."""
        return {
            "callers_waiting": len(self._waiting),
            "callers_turned_away": self.turned_away,
            "callers_without_file": self.out_of_room,
            "blocks_screened": len(self._blocks.screened),
        }

    def opened(self, door: Door) -> None:
        """Callers come by that one too."""
        self._look(self.clock.seconds())  # what was loud may be so no more: nobody looked while there was no door
        self._doors.append(door)
        door.screen(self._blocks.screened)

    def closed(self, door: Door) -> None:
        """Not any more. With the last one, whoever waits is sent away."""
        self._doors.remove(door)
        if not self._doors:
            while self._waiting:
                self._waiting.pop().arrived.turn_away()
            for timer in (self._turn, self._relax):
                if timer is not None:
                    timer.cancel()
            self._turn = self._relax = None

    def arrived(self, arrived: Arrived) -> None:
        """Somebody is at the door: it comes in at once if nobody waits and there is time, else when its turn comes."""
        now = self.clock.seconds()
        loudness = self._blocks.called(arrived.host, now=now)
        self._number += 1
        if not self._number % LOOK_EVERY:
            self._look(now)
        insort(self._waiting, _Waiting(loudness, self._number, arrived, now))
        self._serve(now)
        if len(self._waiting) > self._most:
            self._turn_away(self._waiting.pop())

    def gives_way(self, shed: Callable[[], bool]) -> None:
        """Ask that when a file is needed: it hangs up on one who has proven nothing, False when there is none."""
        self._sheds.append(shed)

    def out_of_files(self, why: str) -> None:
        """Make room: send the loudest away who waits, or have the one hung up on who is half in for longest."""
        self.out_of_room += 1
        if self._waiting:
            self._turn_away(self._waiting.pop())
        else:
            any(shed() for shed in self._sheds)
        now = self.clock.seconds()
        if now - self._full_said_at > SAY_EVERY:
            self._full_said_at = now
            self._log.error("no connection can be taken: {why}; let the process open more files (LimitNOFILE)", why=why)

    def _turn_away(self, waiting: _Waiting) -> None:
        self.turned_away += 1
        waiting.arrived.turn_away()

    def _serve(self, now: float) -> None:
        self.handshakes.refill(now=now)
        while self._waiting and self.handshakes.affords():
            first = self._waiting.pop(0)
            if now - first.at > PATIENCE:
                self._turn_away(first)
                continue
            self.handshakes.charge()
            begun = self.stopwatch()
            first.arrived.admit()
            self.handshakes.spent(self.stopwatch() - begun)
        if self._waiting and self._turn is None:
            self._turn_at = now + TURN
            self._turn = self.clock.callLater(TURN, self._next)

    def _next(self) -> None:
        self._turn, now = None, self.clock.seconds()
        self.handshakes.heed(now - self._turn_at)
        if now - self._ordered_at > ORDER_EVERY:  # or the first of a flood would pass for quiet
            self._ordered_at = now
            for waiting in self._waiting:
                waiting.loudness = self._blocks.loudness(waiting.arrived.host, now=now)
            self._waiting.sort()
        self._serve(now)

    def _look(self, now: float) -> None:
        """Who is loud? The doors are told when that has changed."""
        if self._blocks.screen(now=now):
            for door in self._doors:
                door.screen(self._blocks.screened)
            if self._blocks.screened and now - self._said_at > SAY_EVERY:
                self._said_at = now
                loud = ", ".join(str(block) for block in list(self._blocks.screened)[:3])
                self._log.warn("many callers from {loud}: most of them are kept away", loud=loud)
        if self._blocks.screened and self._relax is None:
            self._relax = self.clock.callLater(RELAX_EVERY, self._relaxed)

    def _relaxed(self) -> None:
        self._relax = None
        self._look(self.clock.seconds())


class OpenGate(Gate):
    """For those whom a proxy lets through, all from its own address: each comes in at once."""

    def arrived(self, arrived: Arrived) -> None:
        """Come in."""
        arrived.admit()


class _Handshaking(TlsTransport):
    """TLS whose handshake is charged for, and begins with the first byte that comes."""

    factory: Doorway
    _begun = False

    def _checkHandshakeStatus(self) -> None:
        """Who is called does not speak first. To be told so costs OpenSSL 33 KB, for each who only sits there."""
        if self._begun:
            super()._checkHandshakeStatus()

    def dataReceived(self, data: bytes) -> None:
        self._begun = True
        if self._handshakeDone:
            super().dataReceived(data)
            return
        gate = self.factory.gate
        begun = gate.stopwatch()
        super().dataReceived(data)
        gate.handshakes.spent(gate.stopwatch() - begun)


class Doorway(TlsFactory):
    """Turns a connection away before TLS has seen a byte of it."""

    protocol = _Handshaking

    def __init__(
        self,
        admits: Callable[[str], bool],
        tls: IOpenSSLServerConnectionCreator,
        inner: IProtocolFactory,
        gate: Gate,
    ) -> None:
        """:param admits: whether one more connection from that address may come in."""
        super().__init__(tls, False, inner, gate.clock)
        self._admits, self.gate = admits, gate

    def buildProtocol(self, addr: IAddress | None) -> TLSMemoryBIOProtocol:
        if not self._admits(host_of(addr)):
            return cast(TLSMemoryBIOProtocol, None)  # Twisted closes the socket
        return super().buildProtocol(addr)
