"""
Asking other DNS servers for somebody, and keeping what they said for as long as it holds.

A forger has to hit a number and a port that nobody can foretell, from the server's own address, before the server does:
each question goes from a socket of its own, connected, with a random number. Who asks what is asked already waits for
the same answer, so that there is one such question at a time. What is kept is an answer as a whole, under its question:
nothing else that a server adds to it is ever given out for another one.

Source: RFC 5452.
"""

from __future__ import annotations

import os
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import ClientFactory, DatagramProtocol
from twisted.names import dns
from twisted.protocols.basic import Int16StringReceiver

from morphnet.net.dnsmessage import PORT, Answer, Key, Question, answer_in, question_bytes
from morphnet.rendezvous.naming import Ask

PATIENCE = 1.5  # seconds for each server
MOST_SERVERS = 3
MOST_WAITING = 512  # questions that are asked at a time
MOST_OF_ONE = 64  # of them for one caller
MOST_TOGETHER = 64  # callers who wait for one answer
MOST_KEPT = 4096  # answers
LARGEST_KEPT = 4096  # bytes of one, as it came
LONGEST, LONGEST_ABSENCE = 3600.0, 300.0  # seconds that an answer is kept, and that a name is not there

Heard = Callable[[Answer | None], None]  # None: nobody answers


def _number() -> int:
    found: int = struct.unpack("!H", os.urandom(2))[0]
    return found


class _Datagram(DatagramProtocol):
    """One question, from a port of its own."""

    noisy = False

    def __init__(self, server: str, question: Question, heard: Heard, *, edns: bool) -> None:
        self._server, self._question, self._heard, self._edns = server, question, heard, edns
        self._number = _number()

    def startProtocol(self) -> None:
        socket: Any = self.transport  # connected, it wants no address
        try:
            socket.connect(self._server, PORT)
            socket.write(question_bytes(self._question, self._number, edns=self._edns))
        except OSError:  # no way there, or a full buffer: the next one is asked after a while
            pass

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        answer = answer_in(datagram, self._question, self._number)
        if answer is not None:
            self._heard(answer)

    def connectionRefused(self) -> None:
        self._heard(None)

    def stopProtocol(self) -> None:
        self._heard(None)  # the reactor has closed it for such an error; when we have, nobody hears it any more


class _Stream(Int16StringReceiver):
    """The same by TCP, for what is too long for a datagram."""

    MAX_LENGTH = 0xFFFF

    def __init__(self, question: Question, heard: Heard, *, edns: bool) -> None:
        self._question, self._heard, self._edns = question, heard, edns
        self._number = _number()

    def connectionMade(self) -> None:
        self.sendString(question_bytes(self._question, self._number, edns=self._edns))

    def stringReceived(self, string: bytes) -> None:
        answer = answer_in(string, self._question, self._number)
        self._heard(answer if answer is not None and not answer.cut else None)

    def connectionLost(self, reason: Any = None) -> None:
        self._heard(None)


class _Streams(ClientFactory):
    noisy = False

    def __init__(self, question: Question, heard: Heard, *, edns: bool) -> None:
        self._question, self._heard, self._edns = question, heard, edns

    def buildProtocol(self, addr: object) -> _Stream:
        return _Stream(self._question, self._heard, edns=self._edns)

    def clientConnectionFailed(self, connector: object, reason: object) -> None:
        self._heard(None)


class _Asking:
    """
    One question on its way, and who waits for the answer. Each server is asked twice, the second time without EDNS, of
    which old ones say that they do not know it, or nothing (RFC 6891 section 6.2.2).
    """

    def __init__(self, net: Any, question: Question, servers: Sequence[str], done: Heard) -> None:
        self._net, self._question, self._done = net, question, done
        self._left = [(server, edns) for edns in (True, False) for server in servers]
        self._edns = True  # in what was asked last
        self._port: Any = None
        self._connector: Any = None
        self._timer: Any = None
        self._turn = 0  # counts whom was turned to
        self._last: Answer | None = None  # of one who could not say
        self.waiting: list[tuple[str, Heard]] = []

    def begin(self) -> None:
        """Ask the next one."""
        self.stop()
        if not self._left:
            self._done(self._last)
            return
        server, self._edns = self._left.pop(0)
        self._timer = self._net.callLater(PATIENCE, self.begin)
        hear = self._hearing(server)
        try:
            datagram = _Datagram(server, self._question, hear, edns=self._edns)
            self._port = self._net.listenUDP(0, datagram, interface="::" if ":" in server else "")
        except CannotListenError:  # no file left, or no such family
            hear(None)

    def _hearing(self, server: str) -> Heard:
        """Who hears what that one says now, and nothing later."""
        self._turn += 1
        return partial(self._heard, self._turn, server)

    def _heard(self, turn: int, server: str, answer: Answer | None) -> None:
        if turn != self._turn:
            return  # somebody else has been turned to
        self.stop()
        if answer is None:
            self._timer = self._net.callLater(0, self.begin)
        elif answer.cut:
            self._timer = self._net.callLater(PATIENCE, self.begin)
            streams = _Streams(self._question, self._hearing(server), edns=self._edns)
            self._connector = self._net.connectTCP(server, PORT, streams, timeout=PATIENCE)
        elif answer.code in (dns.OK, dns.ENAME):
            self._done(answer)
        else:  # it cannot, or will not: somebody else may
            self._last = answer
            if answer.code not in (dns.EFORMAT, dns.ENOTIMP):
                self._left = [each for each in self._left if each[0] != server]
            self.begin()

    def stop(self) -> None:
        """Ask nobody any more, and hear nobody."""
        self._turn += 1
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        port, self._port = self._port, None
        if port is not None:
            port.stopListening()
        connector, self._connector = self._connector, None
        if connector is not None:
            connector.disconnect()


class Upstream:
    """
    :param net: the reactor.
    :param unfit: addresses to which no name of the world may lead, see `dnsmessage.unfit_outside`.
    :param share: most questions of one caller that are under way.
    """

    def __init__(self, net: Any, unfit: Callable[[str], bool], share: int = MOST_OF_ONE) -> None:
        self._net, self._unfit, self._share = net, unfit, share
        self._asking: dict[tuple[Key, Ask], _Asking] = {}
        self._kept: OrderedDict[tuple[Key, Ask], tuple[float, float, Answer]] = OrderedDict()  # stored at, until
        self._of: Counter[str] = Counter()  # questions by caller
        self.counts: Counter[str] = Counter()

    def ask(self, caller: str, question: Question, ask: Ask) -> Deferred[Answer]:
        """
        What these servers say of it; that nobody knows, where none says anything or too much is asked.

        :param caller: who wants to know.
        """
        place, now = (question.key, ask), self._net.seconds()
        done: Deferred[Answer] = Deferred()
        kept = self._kept.get(place)
        if kept is not None and now < kept[1]:
            self._kept.move_to_end(place)
            self.counts["names_kept"] += 1
            done.callback(kept[2].older(now - kept[0]))
            return done
        asking = self._asking.get(place)
        full = len(self._asking) >= MOST_WAITING if asking is None else len(asking.waiting) >= MOST_TOGETHER
        if full or self._of[caller] >= self._share or not ask.servers:
            self.counts["names_unasked"] += 1
            done.callback(Answer(dns.ESERVER))
            return done
        self._of[caller] += 1
        known, asking = asking, asking or self._new(place, question)
        asking.waiting.append((caller, lambda said: done.callback(said or Answer(dns.ESERVER))))
        if known is None:
            asking.begin()
        return done

    def _new(self, place: tuple[Key, Ask], question: Question) -> _Asking:
        self.counts["names_asked"] += 1
        servers = place[1].servers[:MOST_SERVERS]
        made = self._asking[place] = _Asking(self._net, question, servers, partial(self._said, place))
        return made

    def _said(self, place: tuple[Key, Ask], answer: Answer | None) -> None:
        asking = self._asking.pop(place)
        asking.stop()
        self.counts["names_unanswered"] += answer is None
        if answer is not None:
            if not place[1].private:
                self.counts["names_rebound"] += answer.without(self._unfit)
            self._keep(place, answer)
        for caller, heard in asking.waiting:
            self._of[caller] -= 1
            if not self._of[caller]:
                del self._of[caller]
            heard(answer)

    def _keep(self, place: tuple[Key, Ask], answer: Answer) -> None:
        life = min(answer.life(), LONGEST if answer.answers else LONGEST_ABSENCE)
        if life > 0 and answer.size <= LARGEST_KEPT:
            now = self._net.seconds()
            self._kept[place] = now, now + life, answer
            self._kept.move_to_end(place)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)

    def close(self) -> None:
        """Ask nobody, and know nothing any more; whoever waits hears nothing."""
        for asking in self._asking.values():
            asking.stop()
        self._asking.clear()
        self._kept.clear()
        self._of.clear()
