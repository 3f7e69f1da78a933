"""
What waits for a path: a fair queue per lane, each kept short by CoDel, all of them bounded. What was lost with a path
goes first in its lane, and not before other lanes: a ping does not wait behind a download that is sent again.

Source: RFC 8289 (CoDel), RFC 8290 (FQ-CoDel) with lanes as its flows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from math import sqrt
from typing import NamedTuple

from morphnet.wire.segments import Run

INTERVAL = 0.1  # seconds
REMEMBER = 512  # bytes that a waiting run takes besides its plaintext, so that tiny ones are bounded too
QUANTUM = 16 * 1500  # bytes a lane may send before the next has its turn


class Piece(NamedTuple):
    """Slices `start` .. `end` of a run."""

    run: Run
    start: int
    end: int
    lost_at: float = -1.0  # seconds: when it was first sent, by a path that lost it; negative when it was not
    again: int = 0  # times that it was sent before
    twice: bool = False  # it goes by two datagrams now: there is no time to lose one

    @property
    def weight(self) -> int:
        """Bytes that it counts for while it waits: those of its plaintext, and what it costs to remember it."""
        return self.run.bytes_of(self.end - self.start) + REMEMBER


class _Line:
    """What waits in one lane, and its CoDel state."""

    __slots__ = ("above_since", "again", "bytes", "credit", "drop_at", "dropping", "drops", "held_up", "lane", "runs")

    def __init__(self, lane: int) -> None:
        self.lane = lane
        self.runs: deque[Piece] = deque()  # new ones
        self.again: deque[Piece] = deque()  # what was lost with a path, before them
        self.held_up = False  # the new ones wait for those, and not because their sender is too fast
        self.bytes = 0  # of the new ones
        self.credit = QUANTUM
        self.above_since = 0.0
        self.drop_at = 0.0
        self.drops = 0
        self.dropping = False

    @property
    def first(self) -> Piece:
        """What goes first."""
        return self.again[0] if self.again else self.runs[0]

    def should_drop(self, sojourn: float, target: float, interval: float, now: float) -> bool:
        """CoDel's control law, asked once per run."""
        if sojourn < target or len(self.runs) <= 1:
            self.above_since, self.dropping = 0.0, False
            return False
        if not self.above_since:
            self.above_since = now + interval
            return False
        if not self.dropping:
            if now < self.above_since:
                return False
            self.dropping = True
            self.drops = max(1, self.drops - 2) if now - self.drop_at < interval else 1
            self.drop_at = now + interval / sqrt(self.drops)
            return True
        if now < self.drop_at:
            return False
        self.drops += 1
        self.drop_at += interval / sqrt(self.drops)
        return True


class Egress:
    """Runs that no path had room for."""

    def __init__(self, target: float, longest: float, most_bytes: int) -> None:
        self.target = target  # seconds a lane may keep its runs waiting, as CoDel means it
        self.longest = longest  # seconds that a run may wait at all: CoDel alone is slow with senders that do not react
        self.leeway = 0.0  # seconds that a lane may in any case: with less a worse path would never be used
        self.late = 0.0  # seconds by which we were late of late: no sender is too fast because of that
        self.interval = INTERVAL  # seconds, about a round trip: how fast a sender can react
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

    def least(self) -> Piece:
        """The smallest of what goes first in its lane; something must wait."""
        return min([line.first for line in self._turns], key=lambda piece: piece.weight)

    def _line(self, lane: int) -> _Line:
        line = self._lines.get(lane)
        if line is None:
            line = self._lines[lane] = _Line(lane)
            self._turns.append(line)
        return line

    def put(self, run: Run, done: int, now: float) -> None:
        """Let `run` wait; `done` of its slices were sent already."""
        run.queued_at = now
        line, piece = self._line(run.lane), Piece(run, done, run.count)
        line.runs.append(piece)
        self._count(line, piece.weight)
        while self.bytes > self._most:
            self._shed()

    def put_again(self, piece: Piece) -> None:
        """A path lost it: it goes first in its lane, is never dropped for its age, and is not counted in `bytes`."""
        self._line(piece.run.lane).again.append(piece)

    def put_back(self, piece: Piece, reached: int, blocked: set[int]) -> None:
        """There was no room for all that was taken: the rest, from slice `reached` on, keeps its place."""
        line, rest = self._line(piece.run.lane), piece._replace(start=reached)
        blocked.add(line.lane)
        if rest.lost_at >= 0:
            line.again.appendleft(rest)
            return
        line.runs.appendleft(rest)
        self._count(line, rest.weight)

    def _shed(self) -> None:
        """Drop the oldest new run of the lane that has most of them."""
        piece = self._pop(max(self._turns, key=lambda line: line.bytes))
        self.overflow_drops += piece.end - piece.start

    def _pop(self, line: _Line) -> Piece:
        piece = line.runs.popleft()
        self._count(line, -piece.weight)
        self._leave_if_empty(line)
        return piece

    def _leave_if_empty(self, line: _Line) -> None:
        if not line.runs and not line.again:
            self._turns.remove(line)
            del self._lines[line.lane]

    def _count(self, line: _Line, size: int) -> None:
        line.bytes += size
        self.bytes += size

    def take(self, now: float, *, blocked: set[int]) -> Iterator[Piece]:
        """
        Pieces in fair order, taken out one by one as they are asked for.

        :param blocked: lanes that found no room; see `put_back`.
        """
        while True:
            line = self._next(blocked)
            if line is None:
                return
            if line.again:
                piece = line.again.popleft()
                self._leave_if_empty(line)
            else:
                if line.held_up:
                    self._renew(line, now)
                if self._drops(line, now):
                    continue
                piece = self._pop(line)
            line.credit -= piece.run.bytes_of(piece.end - piece.start)
            yield piece

    def _drops(self, line: _Line, now: float) -> bool:
        """Whether the first of the new ones, or a slice of it, was dropped: it is too old, or CoDel says so."""
        run, start, end = line.runs[0][:3]
        if run.sequence is not None:  # a slice dropped before it has a number leaves no gap
            return False
        sojourn = now - run.queued_at - self.late
        if sojourn > max(self.longest, 3 * self.leeway):
            self._pop(line)
            self.age_drops += end - start
            return True
        if self.searching or not line.should_drop(sojourn, max(self.target, self.leeway), self.interval, now):
            return False
        self.codel_drops += 1
        if start + 1 < end:  # one lost packet says it all: keep the others
            line.runs[0] = Piece(run, start + 1, end)
            self._count(line, -run.bytes_of(1))
        else:
            self._pop(line)
        return True

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
        """Their waiting begins again, for each when what goes first in its lane is gone."""
        for line in self._turns:
            self._renew(line, now)

    @staticmethod
    def _renew(line: _Line, now: float) -> None:
        line.held_up = bool(line.again)
        for piece in line.runs:
            piece.run.queued_at = now

    def expire(self, oldest: float) -> None:
        """Drop what was queued, or lost, before `oldest`."""
        for line in list(self._turns):
            while line.again and line.again[0].lost_at < oldest:
                piece = line.again.popleft()
                self.age_drops += piece.end - piece.start
            while line.runs and line.runs[0].run.queued_at < oldest:
                piece = line.runs.popleft()
                self._count(line, -piece.weight)
                self.age_drops += piece.end - piece.start
            self._leave_if_empty(line)
