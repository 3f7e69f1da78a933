from __future__ import annotations

import socket
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.selectreactor import SelectReactor
from twisted.python.context import get
from twisted.python.failure import Failure
from twisted.python.log import ILogContext
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from morphnet.net.quickwait import shorten_wait

WAIT = 5.0  # seconds at the most; everything is there before


@implementer(IReadDescriptor)
class Reader:
    """One end of a pair of sockets, that notes in which logging context it was called."""

    def __init__(self, reactor: Any, *, quick: bool) -> None:
        self.quick = quick
        self.reactor = reactor
        self.ours, self.theirs = socket.socketpair()
        self.contexts: list[str] = []
        self.lost: list[Failure] = []
        self.raises: Exception | None = None

    def fileno(self) -> int:
        return self.ours.fileno()

    def logPrefix(self) -> str:
        return "its own"

    def doRead(self) -> None:
        self.ours.recv(100)
        self.contexts.append(get(ILogContext)["system"])
        if self.raises is not None:
            raise self.raises

    def connectionLost(self, reason: Failure) -> None:
        self.lost.append(reason)


class ShortenTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = EPollReactor()
        for descriptor in self.reactor._internalReaders.copy():
            self.addCleanup(descriptor.connectionLost, Failure(ConnectionAbortedError()))

    def reader(self, *, quick: bool = True) -> Reader:
        reader = Reader(self.reactor, quick=quick)
        self.addCleanup(reader.ours.close)
        self.addCleanup(reader.theirs.close)
        self.reactor.addReader(reader)
        return reader

    def turn(self, *readers: Reader) -> None:
        for reader in readers:
            reader.theirs.send(b"x")
        self.reactor.doIteration(WAIT)

    def test_called(self) -> None:
        """Who says so is called outside of a logging context, everybody else as before."""
        self.assertTrue(shorten_wait(self.reactor))
        quick, usual = self.reader(), self.reader(quick=False)
        self.turn(quick, usual)
        self.assertEqual((quick.contexts, usual.contexts), (["-"], ["its own"]))

    def test_raises(self) -> None:
        """It is told and taken out, and others go on in the same turn."""
        shorten_wait(self.reactor)
        bad, good = self.reader(), self.reader()
        bad.raises = ValueError("a fault")
        self.turn(bad, good)
        self.assertEqual([failure.type for failure in bad.lost], [ValueError])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.reactor.getReaders().count(bad), 0)
        self.assertEqual(good.contexts, ["-"])

    def test_closed_meanwhile(self) -> None:
        """Who was closed in the turn of another is not called any more."""
        shorten_wait(self.reactor)
        one, other = self.reader(), self.reader()
        closing = one.doRead

        def close() -> None:
            closing()
            for each in (one, other):
                self.reactor.removeReader(each)

        one.doRead = other.doRead = close  # type: ignore[method-assign]
        self.turn(one, other)
        self.assertEqual(len(one.contexts) + len(other.contexts), 1)

    def test_interrupted(self) -> None:
        """A signal ends the wait, and nothing else."""

        class Poller:
            def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
                raise InterruptedError

        reactor = EPollReactor()
        reactor._poller.close()
        reactor._poller = Poller()
        shorten_wait(reactor)
        reactor.doIteration(None)

    def test_other_kinds(self) -> None:
        """A reactor that does not wait by epoll stays as it is."""
        reactor = SelectReactor()
        before = reactor.doIteration
        self.assertFalse(shorten_wait(reactor))
        self.assertEqual(reactor.doIteration, before)
