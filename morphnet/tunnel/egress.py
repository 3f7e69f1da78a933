"""
What waits for a path: a fair queue per lane, each kept short by CoDel, all of them bounded.

Source: RFC 8289 (CoDel), RFC 8290 (FQ-CoDel) with lanes as its flows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from math import sqrt

from morphnet.wire.segments import Run

INTERVAL = 0.1  # seconds
REMEMBER = 512  # bytes that a waiting run takes besides its plaintext, so that tiny ones are bounded too
QUANTUM = 16 * 1500  # bytes a lane may send before the next has its turn


def _weight(run: Run, slices: int) -> int:
    """Bytes that `slices` of a waiting run count for: those of its plaintext, and what it costs to remember it."""
    return run.bytes_of(slices) + REMEMBER


class _Line:
    """The runs of one lane that wait, and its CoDel state."""

    __slots__ = ("above_since", "bytes", "credit", "drop_at", "dropping", "drops", "lane", "runs")

    def __init__(self, lane: int) -> None:
        self.lane = lane
        self.runs: deque[tuple[Run, int]] = deque()  # (run, slices already sent)
        self.bytes = 0  # waiting
        self.credit = QUANTUM
        self.above_since = 0.0
        self.drop_at = 0.0
        self.drops = 0
        self.dropping = False

    def should_drop(self, sojourn: float, target: float, now: float) -> bool:
        """CoDel's control law, asked once per run."""
        if sojourn < target or len(self.runs) <= 1:
            self.above_since, self.dropping = 0.0, False
            return False
        if not self.above_since:
            self.above_since = now + INTERVAL
            return False
        if not self.dropping:
            if now < self.above_since:
                return False
            self.dropping = True
            self.drops = max(1, self.drops - 2) if now - self.drop_at < INTERVAL else 1
            self.drop_at = now + INTERVAL / sqrt(self.drops)
            return True
        if now < self.drop_at:
            return False
        self.drops += 1
        self.drop_at += INTERVAL / sqrt(self.drops)
        return True


class Egress:
    """Runs that no path had room for."""

    def __init__(self, target: float, longest: float, most_bytes: int) -> None:
        self.target = target  # seconds a lane may keep its runs waiting, as CoDel means it
        self.longest = longest  # seconds that a run may wait at all: CoDel alone is slow with senders that do not react
        self.searching = False  # the rate of a path is being found: a queue is no sign yet that senders are too fast
        self._most = most_bytes
        self._lines: dict[int, _Line] = {}
        self._turns: deque[_Line] = deque()
        self.bytes = 0
        self.codel_drops = self.overflow_drops = self.age_drops = 0  # slices, ever

    def __bool__(self) -> bool:
        return bool(self._turns)

    def waits(self, lane: int) -> bool:
        """Whether something of `lane` waits already; then nothing of it may overtake."""
        return lane in self._lines

    def put(self, run: Run, done: int, now: float, *, front: bool = False) -> None:
        """
        Let `run` wait; `done` of its slices were sent already.

        :param front: it has waited before and keeps its place.
        """
        line = self._lines.get(run.lane)
        if line is None:
            line = self._lines[run.lane] = _Line(run.lane)
            (self._turns.appendleft if front else self._turns.append)(line)
        (line.runs.appendleft if front else line.runs.append)((run, done))
        self._count(line, _weight(run, run.count - done))
        if not front:
            run.queued_at = now
        while self.bytes > self._most:
            self._shed()

    def _shed(self) -> None:
        """Drop the oldest run of the longest lane."""
        line = max(self._turns, key=lambda line: line.bytes)
        run, done = self._pop(line)
        self.overflow_drops += run.count - done

    def _pop(self, line: _Line) -> tuple[Run, int]:
        run, done = line.runs.popleft()
        self._count(line, -_weight(run, run.count - done))
        if not line.runs:
            self._turns.remove(line)
            del self._lines[line.lane]
        return run, done

    def _count(self, line: _Line, size: int) -> None:
        line.bytes += size
        self.bytes += size

    def take(self, now: float, *, blocked: set[int]) -> Iterator[tuple[Run, int]]:
        """
        Runs in fair order, taken out one by one as they are asked for.

        :param blocked: lanes that found no room; the caller adds to it and puts their run back with `front`.
        """
        while True:
            line = self._next(blocked)
            if line is None:
                return
            run, done = line.runs[0]
            fresh = run.sequence is None  # a slice dropped before it has a number leaves no gap
            if fresh and now - run.queued_at > self.longest:
                self._pop(line)
                self.age_drops += run.count - done
                continue
            if fresh and not self.searching and line.should_drop(now - run.queued_at, self.target, now):
                self.codel_drops += 1
                if done + 1 < run.count:  # one lost packet says it all: keep the others
                    line.runs[0] = run, done + 1
                    self._count(line, -run.bytes_of(1))
                else:
                    self._pop(line)
                continue
            self._pop(line)
            line.credit -= run.bytes_of(run.count - done)
            yield run, done

    def _next(self, blocked: set[int]) -> _Line | None:
        for _ in range(len(self._turns)):
            line = self._turns[0]
            if line.lane in blocked:
                self._turns.rotate(-1)
                continue
            if line.credit <= 0:
                line.credit += QUANTUM
                self._turns.rotate(-1)
                continue
            return line
        return next((line for line in self._turns if line.lane not in blocked), None)

    def renew(self, now: float) -> None:
        """There was no path at all, now there is: their waiting begins again."""
        for line in self._turns:
            for run, _ in line.runs:
                run.queued_at = now

    def expire(self, oldest: float) -> None:
        """Drop runs that were queued before `oldest`."""
        for line in list(self._turns):
            while line.runs and line.runs[0][0].queued_at < oldest:
                run, done = self._pop(line)
                self.age_drops += run.count - done
