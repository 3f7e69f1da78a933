"""
Names by way of an exit: the peer that is one answers those whose exit it is, at its inner addresses, as a gateway does.

One of before does not answer. So it is asked first, again and again, and the laptop's own DNS servers stay until it has
answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from twisted.names import dns

from morphnet.errors import HostError
from morphnet.net.dnsmessage import Answer, Question, unfit_outside
from morphnet.net.nameserver import NameServer
from morphnet.net.upstream import Upstream
from morphnet.rendezvous.naming import Ask, Naming, Zone
from morphnet.text import DOMAIN

AGAIN, SELDOM = 1.0, 60.0  # seconds until an exit that has not answered is asked once more, at first and at most
_WHO = Question(DOMAIN.encode(), dns.SOA)


class ExitNames:
    """
    Both ends of it.

    :param net: the reactor.
    :param own: the DNS servers that the machine has without us.
    :param networks: the inner networks.
    """

    _log = Logger()

    def __init__(self, net: Any, own: Callable[[], Sequence[str]], networks: Sequence[str]) -> None:
        self._net, self._own, self._networks = net, own, tuple(networks)
        self._zone = Zone(networks)
        self._allowed: frozenset[str] = frozenset()  # addresses of those whose exit we are
        self._server: NameServer | None = None
        self._at: tuple[str, ...] = ()  # where it answers
        self._trouble = ""  # why it does not, as the log has it
        self._asked: tuple[str, ...] = ()  # of an exit, whether it answers
        self._timer: Any = None  # until they are asked once more
        self.proven: tuple[str, ...] = ()  # of them, those that do

    def answer(self, inner: Sequence[str], allowed: Sequence[str], peers: Mapping[str, Sequence[str]]) -> None:
        """
        Answer these from now on.

        :param inner: our own addresses.
        :param peers: inner addresses by name, ours among them.
        """
        self._allowed = frozenset(allowed)
        self._zone.are(peers)
        at = tuple(filter(None, inner))
        if not allowed or at == self._at:
            return
        if self._server is not None:
            self._server.close()
        self._server, self._at = None, ()
        naming, upstream = Naming(self._zone, {}, self._own), Upstream(self._net, unfit_outside(self._networks))
        server = NameServer(self._net, naming, upstream, lambda host: host in self._allowed)
        try:
            for host in at:
                server.listen(host)
        except HostError as problem:
            server.close()
            if str(problem) != self._trouble:
                self._log.warn("peers that go to the world by this machine get no names here: {why}", why=str(problem))
            self._trouble = str(problem)
        else:
            self._server, self._at, self._trouble = server, at, ""

    def prove(self, servers: Sequence[str], then: Callable[[], None]) -> None:
        """
        See whether an exit answers at these addresses; none: there is no exit.

        :param then: called when it is known, if they do.
        """
        if tuple(servers) == self._asked:
            return
        self._rest()
        self._asked, self.proven = tuple(servers), ()
        self._prove(then, AGAIN)

    def _prove(self, then: Callable[[], None], again: float) -> None:
        self._rest()
        asking, servers = Upstream(self._net, unfit_outside(())), self._asked
        found = [asking.ask("", _WHO, Ask((each,), True)).addCallback(_is_one) for each in servers]
        if found:
            DeferredList(found).addCallback(lambda said: self._said(servers, [good for _, good in said], then, again))

    def _said(self, servers: tuple[str, ...], good: Sequence[bool], then: Callable[[], None], again: float) -> None:
        if servers != self._asked:  # there is another exit by now
            return
        self.proven = tuple(each for each, answers in zip(servers, good, strict=True) if answers)
        if self.proven:
            then()
        else:  # one that has just come answers a moment later
            self._timer = self._net.callLater(again, self._prove, then, min(SELDOM, again * 2))

    def _rest(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def counters(self) -> dict[str, int]:
        """Questions."""
        return self._server.counters() if self._server is not None else {}

    def close(self) -> Deferred[Any]:
        """Answer nobody any more."""
        self._rest()
        self._asked = self._at = ()
        server, self._server = self._server, None
        return server.close() if server is not None else DeferredList([])


def _is_one(answer: Answer) -> bool:
    return answer.code == dns.OK and any(each.type == dns.SOA for each in answer.answers)
