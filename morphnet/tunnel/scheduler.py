"""
Which path a run goes by.

A scheduler sees the usable paths and says in which order to try them for one run; each is given as much of the run as
its window takes.

Source: docs/protocol section 8; "earliest completion first", Lim et al., CoNEXT 2017, for `bond`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Protocol

from morphnet.tunnel.carrier import DIRECT, is_stream
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.patience import Patience
from morphnet.wire.segments import Run

MAX_PINS = 16384  # flows remembered
RECENT, RECENT_PINS = 10.0, 256  # seconds, and flows, that count as the load of a path
PIN_LIFE = 120.0  # seconds a flow that sends nothing keeps its path
RTT_MARGIN = 1.15  # another path must be this much better before `best` changes over
CLOSE = 0.002  # seconds by which a path may be later, and is as good as the best
CROWDED = 0.03  # seconds of waiting in front of a path that is not the best, from which it is given nothing
MARGIN = 0.014  # seconds by which a packet may come later than it was expected
LOSSY = 0.15  # share of packets lost from which a path is on stand-by while a better one exists
SOUND = 0.05  # share below which it comes back
POOR = 0.4  # share from which TCP does better, whatever loses it: UDP is held down, or everything is


class Scheduler(Protocol):
    """A way to spread runs over paths."""

    name: str
    ordered: bool  # the receiver must put packets back in order
    copies: bool  # each run goes by every path
    later: float  # seconds: so much must wait for the better paths before the worst in use is worth its being later

    def order(self, paths: Sequence[Path], run: Run, waiting: int, now: float) -> Sequence[Path]:
        """
        The paths to offer a run to, best first.

        :param paths: usable ones only, at least one.
        :param waiting: bytes that wait for room, those of `run` among them.
        """
        ...


class Bond:
    """
    Every packet by the path on which it will arrive first: the rates of all add up.

    What follows in order waits for what a slower path brings. So one is used when so much waits that by the better ones
    it would not be there sooner; a sender that fills no more than these is not made to wait. Of the slower one it is
    believed that it delivers what it was seen to deliver: what comes later than the receiver waits comes out of order.
    """

    name = "bond"
    ordered = True
    copies = False

    def __init__(self, patience: Patience) -> None:
        self._patience = patience  # the receiver's
        self.later = 0.0  # seconds by which the worst path that may be used was later than the best, the last time

    def order(self, paths: Sequence[Path], run: Run, waiting: int, now: float) -> Sequence[Path]:
        """Earliest arrival first; a path so slow that the receiver would give up on it is not offered."""
        self.later = 0.0
        if len(paths) == 1:
            return paths
        arrivals = sorted([(path.pacer.arrival(now), path.id, path) for path in paths])
        soonest, _, best = arrivals[0]
        offered = [best]
        for arrival, _, path in arrivals[1:]:
            landing = path.pacer.landing
            latest = landing.at - now
            arrival = latest if latest > arrival else arrival  # it may be given more than it is known to deliver
            later = arrival - soonest
            wait = later
            if path.pacer.window.startup and best.pacer.window.searching:  # the queue of the best one may soon be gone
                wait = arrival - best.pacer.landing.way
            if wait > self._patience.rest - MARGIN and wait > self._patience.of(run) - MARGIN:
                break
            self.later = later
            if later <= CLOSE or (self._worth(offered, later, waiting, now) and arrival <= CROWDED + landing.way):
                offered.append(path)
        return offered

    @staticmethod
    def _worth(better: Sequence[Path], later: float, waiting: int, now: float) -> bool:
        """Whether what waits would be there no sooner by the better paths than by one that is so much later."""
        return waiting >= later * sum([path.pacer.pace(now) for path in better])


class Best:
    """Everything by the path with the lowest RTT; the next one when it is gone."""

    name = "best"
    ordered = False
    copies = False
    later = 0.0

    def __init__(self) -> None:
        self._chosen = -1

    def order(self, paths: Sequence[Path], run: Run, waiting: int, now: float) -> Sequence[Path]:
        """One path; it changes only for a clearly better one."""

        def rtt(path: Path) -> float:
            return path.rtt.floor(now) or path.rtt.smoothed or 1.0

        best = min(paths, key=rtt)
        current = next((path for path in paths if path.id == self._chosen), None)
        if current is None or rtt(current) > rtt(best) * RTT_MARGIN + 0.002:
            current, self._chosen = best, best.id
        return (current,)


class Flow:
    """Every flow by one path, chosen once by what each path can deliver, and changed only when that path is lost."""

    name = "flow"
    ordered = False
    copies = False
    later = 0.0

    def __init__(self) -> None:
        self._pins: OrderedDict[int, tuple[int, float]] = OrderedDict()  # flow -> path id, last used at

    def order(self, paths: Sequence[Path], run: Run, waiting: int, now: float) -> Sequence[Path]:
        """The path that the flow is pinned to."""
        flow = run.flow
        pin = self._pins.get(flow)
        chosen = next((path for path in paths if pin and path.id == pin[0]), None) or self._choose(paths, now)
        self._pins[flow] = chosen.id, now
        self._pins.move_to_end(flow)
        while len(self._pins) > MAX_PINS or now - next(iter(self._pins.values()))[1] > PIN_LIFE:
            self._pins.popitem(last=False)
        return (chosen,)

    def _choose(self, paths: Sequence[Path], now: float) -> Path:
        counts = dict.fromkeys((path.id for path in paths), 0)
        for path_id, used_at in islice(reversed(self._pins.values()), RECENT_PINS):  # the last used come first
            if now - used_at > RECENT:
                break
            if path_id in counts:
                counts[path_id] += 1

        def load(path: Path) -> float:
            return (counts[path.id] + 1) / path.pacer.pace(now)

        return min(paths, key=load)


class Redundant:
    """Every packet by every path: the first copy wins."""

    name = "redundant"
    ordered = False
    copies = True
    later = 0.0

    def order(self, paths: Sequence[Path], run: Run, waiting: int, now: float) -> Sequence[Path]:
        """All of them."""
        return paths


def make_scheduler(name: str, patience: Patience) -> Scheduler:
    """
    A scheduler by its name.

    :param patience: the receiver's; it may change.
    :raises KeyError: no such scheduler.
    """
    schedulers: dict[str, Scheduler] = {
        "bond": Bond(patience),
        "flow": Flow(),
        "best": Best(),
        "redundant": Redundant(),
    }
    return schedulers[name]


def first_shows(path: Path, others: Iterable[Path]) -> bool:
    """
    Whether a path that answers again must first show that it loses little: it fell silent more than once of late, and
    another one has worked for longer, or is a stream. TCP loses nothing: what is on it works as soon as it answers.
    """
    if is_stream(path.rank) or not path.life.doubtful:
        return False
    return any(
        other.life.state is State.ACTIVE and (is_stream(other.rank) or other.life.since < path.life.since)
        for other in others
    )


def judge_losses(paths: Sequence[Path], now: float) -> list[Path]:
    """
    Move paths between ACTIVE and STANDBY by what they lose; returns those that changed.

    A stream is not judged. What it seems to lose was given to it while it was full, and that is for the window to cure.
    While one works, what is POOR stands by for it; where TCP does not get through either, it falls silent.
    """
    streamed = any(is_stream(path.rank) and path.life.state is State.ACTIVE for path in paths)
    usable = [path for path in paths if path.life.usable and not is_stream(path.rank)]
    changed = []
    for path in usable:
        if path.life.state is State.ACTIVE and path.pacer.excused(now):
            path.loss.clear()  # congestion is for the window to cure
    sound = any(not path.mtu.crippled for path in usable)
    least = min((path.loss.rate() for path in usable if path.life.state is State.ACTIVE), default=1.0)
    for path in usable:
        loss, packets = path.loss.measured()
        crippled = path.mtu.crippled and sound
        poor = loss > LOSSY and least < loss / 3
        poor = poor or (streamed and path.rank == DIRECT and path.any_loss.rate() > POOR)
        if path.life.state is State.ACTIVE and (crippled or poor):
            path.enter(State.STANDBY, now)
            changed.append(path)
        elif (
            path.life.state is State.STANDBY
            and not crippled
            and loss < SOUND
            and now - path.life.since > (2.0 if packets >= 40 else 5.0)
        ):
            path.enter(State.ACTIVE, now)
            changed.append(path)
    return changed
