"""
The coordinators that a home knows, best first: it is registered with the best one that answers. A worse one is used
only beside better ones that are silent, which are tried on; who is registered with a better one leaves the worse.

To go elsewhere is make before break as well: a home leaves nobody before another has taken it, so that a move that
fails has changed nothing. Only the first coordinator moves a home, or names fallbacks: what it says comes in an
association whose keys nobody has but who holds the key that the home pinned.

Source: docs/protocol section 15.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from morphnet.errors import ConfigError, HostError
from morphnet.rendezvous.home.registering import Registering
from morphnet.wire.messages.home.calls import MOST_FALLBACKS, Fallbacks, Move, Moved
from morphnet.wire.messages.home.invitation import Invitation

PATIENCE = 5.0  # seconds without any registration until the next coordinator is asked as well
TRIAL = 20.0  # seconds that one has to take us, before we count on it
LIST_AGAIN = 60.0  # seconds between two lists of fallbacks that count
AGAIN = 3600.0  # seconds until a fallback that did not is tried again
REGISTERED = "registered"

Place = tuple[str, str]  # address and key of a coordinator
Known = tuple[Invitation, ...]


class Way(Protocol):
    """A socket to one coordinator, and the registration that goes over it."""

    @property
    def registering(self) -> Registering:
        """How far that is."""
        ...

    def look_up(self) -> None:
        """Ask for the coordinator's address again, while it does not answer."""
        ...

    def close(self) -> None:
        """No more of it."""
        ...


class _Lists:
    """
    Fallbacks that the first coordinator names. One list counts at once; if it was another than before, those that
    follow within LIST_AGAIN wait, each in the place of the one before it.

    :param learn: has one count, and says whether that had to be written.
    """

    def __init__(self, clock: IReactorTime, learn: Callable[[Sequence[Invitation]], bool]) -> None:
        self._clock, self._learn = clock, learn
        self._written_at = float("-inf")
        self._waiting: IDelayedCall | None = None

    def named(self, fallbacks: Sequence[Invitation]) -> None:
        """Another one."""
        self.drop()
        wait = self._written_at + LIST_AGAIN - self._clock.seconds()
        if wait > 0:
            self._waiting = self._clock.callLater(wait, self._take, fallbacks)
        else:
            self._take(fallbacks)

    def _take(self, fallbacks: Sequence[Invitation]) -> None:
        if self._learn(fallbacks):
            self._written_at = self._clock.seconds()

    def drop(self) -> None:
        """None of what waits will count."""
        if self._waiting is not None and self._waiting.active():
            self._waiting.cancel()
        self._waiting = None


class Coordinators:
    """
    All of them, of one home.

    :param known: the first one, then its fallbacks.
    :param opened: makes a way to one; nothing is sent yet.
    :param save: keeps what is known now, before it counts. It raises HostError.
    :param read: reads the line of an invitation. It raises ConfigError.
    """

    def __init__(
        self,
        clock: IReactorTime,
        known: Sequence[Invitation],
        opened: Callable[[Invitation], Way],
        save: Callable[[Known], None],
        read: Callable[[str], Invitation] = Invitation.read,
    ) -> None:
        self._clock, self._opened, self._save, self._read = clock, opened, save, read
        self.known: Known = tuple(known)
        self._ways: dict[Place, Way] = {}
        self._trials: dict[Place, tuple[IDelayedCall, Callable[[str], None]]] = {}
        self._rehearse_at: dict[Place, float] = {}  # when a fallback may be tried; those that have taken us: never
        self._moving: Place | None = None  # of the trials, that of a move
        self._lists = _Lists(clock, self._learn)
        self._served: dict[Place, None] = {}  # that were the best at some time, the latest last
        self._timer: IDelayedCall | None = None
        self._state = ""
        self._settling = False
        self.counts: Counter[str] = Counter()
        self.changed: Callable[[str], None] = lambda state: None  # told what we are now, in words
        self.told: Callable[[str], None] = lambda text: None  # of coordinators that come and go
        self.in_use: Callable[[], bool] = lambda: False  # whether browsers are here that may come back by a worse one

    def start(self) -> None:
        """Register with the first; with the next ones if it does not answer."""
        self._way(self.known[0])
        self._settle()

    def stop(self) -> None:
        """Say goodbye everywhere; nothing is sent after that."""
        self._set_timer(None)
        self._lists.drop()
        for timer, _ in self._trials.values():
            timer.cancel()
        self._trials.clear()
        for place in list(self._ways):
            self._leave(place).close()

    @property
    def ways(self) -> list[Way]:
        """Those that are open."""
        return list(self._ways.values())

    @property
    def best(self) -> Invitation:
        """The best that we are registered with; the first when there is none."""
        return next((each for each in self.known if self._is_registered(_place(each))), self.known[0])

    def counters(self) -> Counter[str]:
        """Ours, and those of all registrations there were."""
        total = self.counts.copy()
        for way in self.ways:
            total.update(way.registering.counts)
        return total

    def look_up(self) -> None:
        """Ask for the addresses of those that do not answer; leave those that nobody needs any more."""
        for way in self.ways:
            way.look_up()
        self._settle()

    def look(self) -> None:
        """Find out whether we are still registered."""
        for way in self.ways:
            way.registering.look()

    # -- the best that answers -------------------------------------------------------------------------------------

    def _way(self, one: Invitation) -> Way:
        """The way to that one, which is tried from now on."""
        place = _place(one)
        if place in self._ways:
            return self._ways[place]
        way = self._ways[place] = self._opened(one)
        way.registering.changed = lambda state: self._became(place, state)
        way.registering.sent_on = lambda said: self._sent_on(place, said)
        way.registering.start()
        way.look_up()
        return way

    def _leave(self, place: Place) -> Way:
        """Say goodbye to that one."""
        way = self._ways.pop(place)
        self._served.pop(place, None)
        way.registering.changed = lambda state: None
        self.counts.update(way.registering.counts)  # what it has counted stays
        way.registering.stop()
        return way

    def _is_registered(self, place: Place) -> bool:
        return place in self._ways and self._ways[place].registering.state == REGISTERED

    def _became(self, place: Place, state: str) -> None:
        if state == REGISTERED:
            self._tried(place, "")
        elif state.startswith("refused"):
            self._tried(place, state)
        self._settle()

    def _settle(self) -> None:
        """Leave what is worse than the best that answers; while none does, see to it that another one is asked."""
        if self._settling:
            return
        self._settling = True
        ranks = [_place(each) for each in self.known]
        best = next((rank for rank, place in enumerate(ranks) if self._is_registered(place)), None)
        if best is not None:
            self._set_timer(None)
            self._serves(ranks[best])
        elif self._timer is None and any(place not in self._ways for place in ranks):
            self._set_timer(PATIENCE)
        self._leave_useless(ranks if best is None else ranks[: best + 1])
        if best == 0:
            self._rehearse()
        self._settling = False
        self._tell(ranks, best)

    def _serves(self, place: Place) -> None:
        self._served.pop(place, None)
        self._served[place] = None
        if len(self._served) > 1 + MOST_FALLBACKS:
            del self._served[next(iter(self._served))]

    def _leave_useless(self, wanted: list[Place]) -> None:
        for place, way in list(self._ways.items()):
            if place in wanted or place in self._trials:
                continue
            # A browser may have its page from there; and what we said there has to arrive.
            needed = (place in self._served and self.in_use()) or not way.registering.quiet
            if not (self._is_registered(place) and needed):
                self._clock.callLater(0, self._leave(place).close)  # it may be what we are called by

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._clock.callLater(seconds, self._ask_next) if seconds is not None else None

    def _ask_next(self) -> None:
        self._timer = None
        for each in self.known:
            if _place(each) not in self._ways:
                self.counts["coordinators_fallback"] += 1
                self.told(f"no coordinator answers: asking {each.coordinator} as well")
                self._way(each)
                break
        self._settle()

    def _tell(self, ranks: list[Place], best: int | None) -> None:
        first = self._ways.get(ranks[0])
        state = first.registering.state if first is not None else "registering"
        if best:
            self._say(f"registered with the fallback {ranks[best][0]}", REGISTERED)
        else:
            self._say("", REGISTERED if best == 0 else state)

    def _say(self, text: str, state: str) -> None:
        """Tell what we are, when that is something else than before."""
        if (text or state) != self._state:
            self._state = text or state
            if text:
                self.told(text)
            self.changed(state)

    # -- somewhere else --------------------------------------------------------------------------------------------

    def _sent_on(self, place: Place, said: Move | Fallbacks) -> None:
        """The coordinator at `place` names others."""
        if place != _place(self.known[0]):
            if isinstance(said, Move):
                self.counts["moves_presumed"] += 1
                self._answer(place, said.number, "only its first coordinator moves this home")
            return
        try:
            if isinstance(said, Move):
                self._move(place, said.number, self._read(said.to))
            else:
                self._lists.named([self._read(line) for line in said.lines])
        except (ConfigError, HostError) as trouble:
            if isinstance(said, Move):
                self._answer(place, said.number, str(trouble))
            self.told(str(trouble))

    def _answer(self, place: Place, number: int, trouble: str) -> None:
        self.counts["moves_failed" if trouble else "moves"] += 1
        if place in self._ways:
            self._ways[place].registering.say(Moved(number, _phrase(trouble)))

    def _move(self, place: Place, number: int, to: Invitation) -> None:
        """1. be taken by the other one; 2. remember it; 3. answer; then it is the first, and this one is left."""
        if to.is_same(self.known[0]):
            self._answer(place, number, "")
            return
        if _place(to) in self._trials:
            self._answer(place, number, "it is being tried already")
            return
        if self._moving is not None:
            self._answer(place, number, "another one is being tried")
            return

        def tried(trouble: str) -> None:
            self._moving = None
            if not trouble:
                try:
                    self._know(to, self.known)
                    self._lists.drop()
                except HostError as problem:
                    trouble = str(problem)
            self.told(f"not moved to {to.coordinator}: {trouble}" if trouble else f"moved to {to.coordinator}")
            self._answer(place, number, trouble)
            self._settle()

        self._moving = _place(to)
        self._try(to, tried)

    def _know(self, first: Invitation, fallbacks: Sequence[Invitation]) -> None:
        """:raises HostError: it cannot be kept; nothing has changed."""
        known = [first]
        for each in fallbacks:
            if not any(each.is_same(other) for other in known):
                known.append(each)
        now = tuple(known[: 1 + MOST_FALLBACKS])
        if now != self.known:
            self._save(now)
            self.known = now
            places = set(map(_place, now))
            self._rehearse_at = {place: at for place, at in self._rehearse_at.items() if place in places}

    def _learn(self, fallbacks: Sequence[Invitation]) -> bool:
        before = self.known
        try:
            self._know(self.known[0], fallbacks)
        except HostError as trouble:
            self.told(str(trouble))
            return True
        if self.known != before:
            names = ", ".join(each.coordinator for each in self.known[1:])
            self.told(f"fallbacks: {names or 'none'}")
        self._settle()
        return self.known != before

    def _rehearse(self) -> None:
        """See whether the fallbacks take us, while their invitations are good; who has is left again."""
        for each in self.known[1:]:
            place = _place(each)
            if sum(tried != self._moving for tried in self._trials) >= MOST_FALLBACKS:
                break  # of fallbacks that are not known any more: their trials end soon
            if self._rehearse_at.get(place, 0.0) <= self._clock.seconds() and place not in self._trials:
                self._rehearse_at[place] = float("inf")
                self._try(each, partial(self._rehearsed, each))

    def _rehearsed(self, one: Invitation, trouble: str) -> None:
        if trouble:
            if _place(one) in map(_place, self.known):
                self._rehearse_at[_place(one)] = self._clock.seconds() + AGAIN
            self.counts["coordinators_useless"] += 1
            self.told(f"the fallback {one.coordinator} is of no use now: {trouble}")

    def _try(self, one: Invitation, done: Callable[[str], None]) -> None:
        """`done` is told "" when that coordinator has taken us, else why not."""
        place = _place(one)
        timer = self._clock.callLater(TRIAL, self._tried, place, f"no answer within {TRIAL:g} s")
        self._trials[place] = timer, done  # before there is a way, or that would be left as useless
        way = self._way(one)
        if way.registering.state.startswith("refused"):
            way.registering.look()
        if self._is_registered(place):
            self._tried(place, "")

    def _tried(self, place: Place, trouble: str) -> None:
        timer, done = self._trials.get(place, (None, None))
        if timer is None or done is None:
            return
        if timer.active():
            timer.cancel()
        del self._trials[place]
        done(trouble)
        self._settle()


def _place(one: Invitation) -> Place:
    return one.coordinator, one.key


def _phrase(text: str) -> str:
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text[:200])
