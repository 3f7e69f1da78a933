"""
Several coordinators behind one name: which of them each home is with, and calls that are passed on.

A home that registers has a lease in Redis: when it registered, and with whom. The newest registration wins; who has
lost a home by that is told, and finds it out at its next refresh in any case. Pings of homes never come to Redis: each
second a sixtieth of the leases is refreshed, hundreds in one command.

Source: docs/scale section 6.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from morphnet.errors import Away, PeerError
from morphnet.rendezvous.home.registry import Registry
from morphnet.rendezvous.home.shared import CHANNEL, EVERYBODY, Shared
from morphnet.wire.messages.home.calls import Call, Reply
from morphnet.wire.messages.home.neighbours import NEIGHBOURS, Answered, Forgotten, Moved, Passed, Told

LEASE = 180  # seconds; a home that is silent for so long, with everybody, is not known any more
PARTS = 60  # ticks, of a second each, in which all leases are refreshed once
CATCH_UP = 6  # parts a tick when Redis is here again: it may have forgotten everything
BATCH = 500  # leases in one command
MOST_FOREIGN = 4096  # calls of neighbours that wait for an answer at once
FOREIGN_FOR = 30.0  # seconds that one may wait
_LEASES = "morphnet:homes:at:"  # and a home's key: "AT NAME"
_LEASE = re.compile(rb"([0-9]{1,16}) ([0-9a-f]{16})")

# KEYS: leases. ARGV: our name, seconds, and of each when it registered. Answers for each with "" when it is ours, "-"
# when it has registered elsewhere since, and else with the name of whom it has left.
_HOLD = """
local found = {}
for i, key in ipairs(KEYS) do
  local held, at, who = redis.call('GET', key), nil, nil
  if held then at, who = string.match(held, '^(%d+) (%x+)$') end
  if who == ARGV[1] then who = nil end
  if who and tonumber(at) >= tonumber(ARGV[i + 2]) then
    found[i] = '-'
  else
    redis.call('SET', key, ARGV[i + 2] .. ' ' .. ARGV[1], 'EX', ARGV[2])
    found[i] = who or ''
  end
end
return found
"""
# KEYS: leases. ARGV: what each is if it is ours.
_GIVE_UP = """
for i, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[i] then redis.call('DEL', key) end
end
"""


class Neighbours:
    """The others, from here."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, shared: Shared, registry: Registry) -> None:
        self._clock, self._shared, self._registry = clock, shared, registry
        self.answered: Callable[[str, Reply], bool] = lambda home, reply: False
        self.forgotten: Callable[[str], None] = lambda home: None
        self.counts: Counter[str] = Counter()
        self._fresh: dict[str, int] = {}  # homes that have come, and `at` of their registrations
        self._left: dict[str, int] = {}  # that have gone, likewise
        self._flushing = False
        self._foreign: dict[str, tuple[str, str, float]] = {}  # call -> home, who wants the answer, since when
        self._part, self._behind = 0, 0
        shared.told = self._heard

    # -- leases ------------------------------------------------------------------------------------------------------

    def opened(self) -> None:
        """Redis is here; what it knows of our homes may be old, or nothing."""
        self._behind = PARTS

    def came(self, home: str) -> None:
        """It has registered here."""
        self._left.pop(home, None)
        self._fresh[home] = self._registry.registered_at(home)
        self._flush_soon()

    def gone(self, home: str, at: int) -> None:
        """It is not here any more."""
        self._fresh.pop(home, None)
        self._left[home] = at
        self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._clock.callLater(0.0, self._flush)  # with all that this turn of the reactor brings

    def _flush(self) -> None:
        self._flushing = False
        fresh, self._fresh = list(self._fresh.items()), {}
        left, self._left = list(self._left.items()), {}
        for at in range(0, len(fresh), BATCH):
            self._begin(self._hold(fresh[at : at + BATCH]))
        for at in range(0, len(left), BATCH):
            self._begin(self._give_up(left[at : at + BATCH]))

    def tick(self) -> None:
        """A second has passed."""
        before = self._clock.seconds() - FOREIGN_FOR
        for call in [each for each, (_, _, since) in self._foreign.items() if since < before]:
            del self._foreign[call]
        if not self._shared.here:
            return
        for _ in range(CATCH_UP if self._behind > 0 else 1):
            homes = list(self._registry.part(self._part, PARTS))
            self._part, self._behind = (self._part + 1) % PARTS, self._behind - 1
            for at in range(0, len(homes), BATCH):
                self._begin(self._hold(homes[at : at + BATCH]))

    def _begin(self, work: object) -> None:
        working: Deferred[None] = Deferred.fromCoroutine(work)  # type: ignore[arg-type]
        working.addErrback(lambda failure: self._log.failure("leases", failure))

    async def _hold(self, homes: Sequence[tuple[str, int]]) -> None:
        keys = [_LEASES + home for home, _ in homes]
        times = [at for _, at in homes]
        try:
            found = await self._shared.ask("EVAL", _HOLD, len(keys), *keys, self._shared.name, LEASE, *times)
        except Away:
            return  # all are told again when it is here
        self.counts["leases_refreshed"] += len(homes)
        if not isinstance(found, list) or len(found) != len(homes):
            return
        for (home, at), who in zip(homes, found, strict=True):
            if who == b"-":
                self._registry.leave(home, at + 1)
            elif who:
                await self._say(who.decode("ascii", "replace"), Moved(home, at))

    async def _give_up(self, homes: Sequence[tuple[str, int]]) -> None:
        keys = [_LEASES + home for home, _ in homes]
        values = [f"{at} {self._shared.name}" for _, at in homes]
        try:
            await self._shared.ask("EVAL", _GIVE_UP, len(keys), *keys, *values)
        except Away:
            return  # they lapse

    async def forget(self, home: str) -> None:
        """
        Have all let go of it, us included.

        :raises Away: they cannot be told.
        """
        await self._shared.ask("PUBLISH", EVERYBODY, NEIGHBOURS.encode(Forgotten(home)))

    # -- calls -------------------------------------------------------------------------------------------------------

    async def find(self, home: str) -> str:
        """With whom it is; "" when nobody knows it, or nobody can be asked."""
        try:
            held = await self._shared.ask("GET", _LEASES + home)
        except Away:
            return ""
        found = _LEASE.fullmatch(held) if isinstance(held, bytes) else None
        return found[2].decode() if found else ""

    async def pass_on(self, to: str, home: str, call: Call) -> bool:
        """Have that neighbour ask its home; False when it does not listen."""
        passed = await self._say(to, Passed(home, call.call, call.caller, call.body, self._shared.name))
        self.counts["calls_passed_on"] += passed
        return passed

    async def _say(self, to: str, told: Told) -> bool:
        try:
            return await self._shared.ask("PUBLISH", CHANNEL + to, NEIGHBOURS.encode(told)) not in (0, None)
        except Away:
            return False

    def replied(self, home: str, reply: Reply) -> bool:
        """One of our homes answers a call: whether it was a neighbour's."""
        asked, sender, _ = self._foreign.get(reply.call, ("", "", 0.0))
        if asked != home:
            return False
        del self._foreign[reply.call]
        self._begin(self._answer(sender, Answered(home, reply.call, reply.body)))
        return True

    async def _answer(self, to: str, answer: Answered) -> None:
        await self._say(to, answer)

    def _heard(self, message: bytes) -> None:
        try:
            told = NEIGHBOURS.decode(message)
        except PeerError:
            self.counts["neighbours_malformed"] += 1
            return
        if isinstance(told, Moved):
            self._registry.leave(told.home, told.at)
        elif isinstance(told, Forgotten):
            self.forgotten(told.home)
        elif isinstance(told, Answered):
            self.answered(told.home, Reply(told.call, told.body))
        elif len(self._foreign) < MOST_FOREIGN:
            self._ask(told)

    def _ask(self, passed: Passed) -> None:
        if self._registry.tell(passed.home, Call(passed.call, passed.caller, passed.body)):
            self.counts["calls_of_neighbours"] += 1
            self._foreign[passed.call] = passed.home, passed.sender, self._clock.seconds()
