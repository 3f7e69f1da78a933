"""Browsers' calls that wait for a home's answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import AlreadyCalled
from twisted.internet.interfaces import IReactorTime

from morphnet.errors import Refused
from morphnet.rendezvous.home.guesses import Rates, network_of
from morphnet.rendezvous.home.registry import Registry
from morphnet.wire.messages.home.calls import Call, Reply

ANSWER_WITHIN = 25.0  # seconds
LOOK_EVERY = 1.0  # seconds between looks where a home is that has not answered yet
MOST = 4096  # calls that wait at once
MOST_OF_HOME = 16
MOST_OF_CALLER = 4  # of those, of one address: the others are for others
BURST, EACH = 40, 0.5  # calls of one address, and how many more a second
HOME_BURST, HOME_EACH = 60, 1.0  # to one home


class TooMany(Refused):
    """Again in `wait` seconds."""

    def __init__(self, wait: int) -> None:
        super().__init__("too many calls")
        self.wait = wait


class Absent(Refused):
    """There is no such home, or it does not answer."""


class Elsewhere(Protocol):
    """Other coordinators, see rendezvous/home/neighbours."""

    def find(self, home: str) -> Awaitable[str]:
        """With whom it is; "" when nobody knows it."""
        ...

    def pass_on(self, to: str, home: str, call: Call) -> Awaitable[bool]:
        """Have that one ask; False when it does not listen."""
        ...

    def replied(self, home: str, reply: Reply) -> bool:
        """A home of ours answers: whether it was another one's call."""
        ...


class Nowhere(Elsewhere):
    """There are no others."""

    async def find(self, home: str) -> str:
        return ""

    async def pass_on(self, to: str, home: str, call: Call) -> bool:
        return False

    def replied(self, home: str, reply: Reply) -> bool:
        return False


@dataclass(slots=True, eq=False)
class _Waiting:
    """One call."""

    home: str
    answered: Deferred[str]
    wake: Deferred[None] | None = None  # ends a pause of whoever looks for the home


class Calls:
    """All of them."""

    def __init__(
        self,
        clock: IReactorTime,
        entropy: Callable[[int], bytes],
        registry: Registry,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._clock, self._entropy, self._registry = clock, entropy, registry
        self._elsewhere = elsewhere or Nowhere()
        self._waiting: dict[str, _Waiting] = {}  # by call
        self._of: Counter[tuple[str, ...]] = Counter()  # how many of them, by home, and by home and network
        self._callers, self._homes = Rates(BURST, EACH), Rates(HOME_BURST, HOME_EACH)
        self.counts: Counter[str] = Counter()
        self.made: Callable[[str, str], None] = lambda call, home: None  # told of each call that a home is told
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
        if home not in self._registry and not await self._elsewhere.find(home):
            self.counts["calls_absent"] += 1
            raise Absent("that home is not here")
        self._homes.spend(home, now)
        if self._of[home,] >= MOST_OF_HOME or self._of[home, whose] >= MOST_OF_CALLER:
            raise TooMany(1)
        call, waiting = Call(self._entropy(16).hex(), caller, body), _Waiting(home, Deferred())
        self._waiting[call.call] = waiting
        self._count(home, whose, 1)
        timer = self._clock.callLater(ANSWER_WITHIN, self._late, waiting)
        self.made(call.call, home)
        try:
            await self._bring(call, waiting)
            return await waiting.answered
        finally:
            waiting.answered.addErrback(lambda failure: None)  # it may be late, and refused as well
            del self._waiting[call.call]
            self._count(home, whose, -1)
            if timer.active():
                timer.cancel()

    def _count(self, home: str, whose: str, more: int) -> None:
        for which in ((home,), (home, whose)):
            self._of[which] += more
            if not self._of[which]:
                del self._of[which]

    async def _bring(self, call: Call, waiting: _Waiting) -> None:
        """
        Tell the home, here or elsewhere; it may be on its way from one coordinator to another.

        :raises Absent: that cannot be done.
        """
        told = ""
        while not waiting.answered.called:
            if waiting.home in self._registry:
                if not self._registry.tell(waiting.home, call):
                    raise Absent("that home is busy")
                self.counts["calls"] += 1
                return
            where = await self._elsewhere.find(waiting.home)
            if not where and not told:
                raise Absent("that home is not here")
            if where and where != told and await self._elsewhere.pass_on(where, waiting.home, call):
                self.counts["calls"] += not told
                told = where
            await self._pause(waiting)

    async def _pause(self, waiting: _Waiting) -> None:
        if waiting.answered.called:
            return
        waiting.wake = Deferred()
        timer = self._clock.callLater(LOOK_EVERY, waiting.wake.callback, None)
        await waiting.wake
        waiting.wake = None
        if timer.active():
            timer.cancel()

    def _late(self, waiting: _Waiting) -> None:
        self.counts["calls_unanswered"] += 1
        waiting.answered.errback(Absent("that home does not answer"))
        self._wake(waiting)

    def _wake(self, waiting: _Waiting) -> None:
        if waiting.wake is not None and not waiting.wake.called:
            waiting.wake.callback(None)

    def _replied(self, home: str, reply: Reply) -> None:
        if not self.answered(home, reply) and not self._elsewhere.replied(home, reply):
            self.counts["calls_late"] += 1

    def answered(self, home: str, reply: Reply) -> bool:
        """A home answers, here or elsewhere: whether anybody waits for that."""
        waiting = self._waiting.get(reply.call)
        if waiting is None or waiting.home != home:
            return False
        try:
            waiting.answered.callback(reply.body)
        except AlreadyCalled:
            return False
        self._wake(waiting)
        return True
