"""
What we send beside others: a share of what the path can deliver, and more while nobody is in the way.

Source: docs/performance section 2.
"""

from __future__ import annotations

from morphnet.tunnel.capacity import Capacity
from morphnet.tunnel.rtt import WindowedBest

ALL = 0.85  # of what a path can deliver: who gets more is alone
SHARE = 0.48  # of it: what we do not go below beside others, who may be one or many
TOP = 0.55  # of it: what we do not go above while their queue stands
MORE, LESS = 0.12, 0.9  # of it on top in a second, and times our rate: the steps up and down
HASTE = 5.0  # times that step up, until others were seen in the way: it may only be jitter
FOLLOWS = 1.1  # times what was delivered: what is sent beyond that only fills the queue
RUINED, LASTING = 0.15, 1.5  # more than that share is lost in each sample for so many seconds: the path is narrower


class Share:
    """Of one path."""

    def __init__(self, whole: Capacity) -> None:
        """
        :param whole: what the path delivers to all.
        """
        self._whole = whole
        self.pace = 0.0  # bytes a second that we may send
        self.met = False  # others have been in the way since
        self.full_at = float("-inf")  # when there was more of a queue, or lost, than there may be
        self._top = 0.0  # bytes a second, while their queue stands
        self._got = WindowedBest(1.0)
        self._borne_at = 0.0  # when no more was lost than others can cause

    def begin(self, had: float, now: float) -> None:
        """
        Others are there.

        :param had: bytes a second that were delivered to us.
        """
        whole = self._whole.rate
        self.pace = max(SHARE * whole, had)
        self._top = TOP * whole if had < ALL * whole else float("inf")  # if it is known at all
        self.met, self.full_at, self._borne_at = False, now, now
        self._got.clear()

    def meet(self, now: float) -> None:
        """Somebody is in the way."""
        self.full_at, self.met = now, True

    def step(self, passed: float, *, stands: bool) -> float:
        """
        Bytes a second that may come on top.

        :param passed: seconds since the last step.
        :param stands: their queue stands: what we take more, they have less.
        """
        step = MORE * (1.0 if self.met else HASTE) * passed * self._whole.rate
        return min(step, max(0.0, self._top - self.pace)) if stands else step

    def adjust(self, rate: float, lost: float, step: float | None, *, full: bool, now: float) -> None:
        """
        More while nobody is in the way, less when it is full. Nothing new is learned of what the path delivers.

        :param rate: bytes a second that were delivered.
        :param lost: share of what was sent, 0 .. 1.
        :param step: bytes a second on top; None when we do not send what we may.
        """
        whole = self._whole
        whole.confirm(now)
        if lost <= RUINED:
            self._borne_at = now
        if now - self._borne_at > LASTING:
            whole.only(max(rate, LESS * whole.rate), now)
        else:
            whole.seen(max(rate, whole.rate), now)
        self._got.add(rate, now)
        useful = min(self.pace, FOLLOWS * (self._got.best(now) or rate))
        if full:
            useful *= LESS
        else:
            useful = self.pace if step is None else useful + step
        self.pace = max(useful, SHARE * whole.rate)
