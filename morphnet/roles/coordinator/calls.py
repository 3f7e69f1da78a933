"""Browsers' calls that wait for a home's answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.error import AlreadyCalled
from twisted.internet.interfaces import IReactorTime

from morphnet.errors import Refused
from morphnet.rendezvous.home.guesses import Rates, network_of
from morphnet.rendezvous.home.registry import Registry
from morphnet.wire.messages.home.calls import Call, Reply

ANSWER_WITHIN = 25.0  # seconds
MOST = 4096  # calls that wait at once
MOST_OF_HOME = 16
BURST, EACH = 40, 0.5  # calls of one address, and how many more a second
HOME_BURST, HOME_EACH = 60, 1.0  # to one home


class TooMany(Refused):
    """Again in `wait` seconds."""

    def __init__(self, wait: int) -> None:
        super().__init__("too many calls")
        self.wait = wait


class Absent(Refused):
    """There is no such home, or it does not answer."""


class Calls:
    """All of them."""

    def __init__(self, clock: IReactorTime, entropy: Callable[[int], bytes], registry: Registry) -> None:
        self._clock, self._entropy, self._registry = clock, entropy, registry
        self._waiting: dict[str, tuple[str, Deferred[str]]] = {}  # call -> home, and who waits
        self._callers, self._homes = Rates(BURST, EACH), Rates(HOME_BURST, HOME_EACH)
        self.counts: Counter[str] = Counter()
        registry.replied = self._replied

    async def ask(self, home: str, caller: str, body: str) -> str:
        """
        What the home answers.

        :param caller: its address.
        :raises Refused: it does not, or is not asked.
        """
        now, whose = self._clock.seconds(), network_of(caller)
        wait = self._callers.wait(whose, now) or self._homes.wait(home, now)
        if wait or len(self._waiting) >= MOST:
            self.counts["calls_refused"] += 1
            raise TooMany(wait or 1)
        self._callers.spend(whose, now)
        if home not in self._registry:
            self.counts["calls_absent"] += 1
            raise Absent("that home is not here")
        self._homes.spend(home, now)
        if sum(each == home for each, _ in self._waiting.values()) >= MOST_OF_HOME:
            raise TooMany(1)
        call, answered = self._entropy(16).hex(), Deferred[str]()
        self._waiting[call] = home, answered
        timer = self._clock.callLater(ANSWER_WITHIN, self._late, answered)
        try:
            if not self._registry.tell(home, Call(call, caller, body)):
                raise Absent("that home is busy")
            self.counts["calls"] += 1
            return await answered
        finally:
            del self._waiting[call]
            if timer.active():
                timer.cancel()

    def _late(self, answered: Deferred[str]) -> None:
        self.counts["calls_unanswered"] += 1
        answered.errback(Absent("that home does not answer"))

    def _replied(self, home: str, reply: Reply) -> None:
        asked, answered = self._waiting.get(reply.call, ("", None))
        if answered is None or asked != home:
            self.counts["calls_late"] += 1
            return
        try:
            answered.callback(reply.body)
        except AlreadyCalled:
            self.counts["calls_late"] += 1
