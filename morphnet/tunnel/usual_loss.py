"""
What a path loses anyway, by chance: more than that tells that it is full.

It is learned while there is no queue. Source: docs/performance section 2.
"""

from __future__ import annotations

USUAL, BEYOND, SOME = 2.0, 3.0, 0.005  # learned in so many seconds; times that, and a share on top, is tolerated
CLEAN = 0.002  # a path that loses less than this loses nothing by itself
LOSSY = 0.05  # share that is lost: too much, on a path that is not known


class UsualLoss:
    """Of one path."""

    def __init__(self) -> None:
        self._share: float | None = None  # 0 .. 1; None until there was a sample without a queue

    def learn(self, lost: float, passed: float) -> None:
        """
        There was no queue, and this was lost.

        :param lost: share, 0 .. 1.
        :param passed: seconds since the last sample.
        """
        usual = lost if self._share is None else self._share
        self._share = usual + (lost - usual) * passed / USUAL

    def tolerated(self) -> float:
        """The share that may be lost without any queue being to blame; a path that never lost has little of it."""
        if self._share is None:
            return LOSSY
        return BEYOND * self._share + SOME if self._share > CLEAN else 0.0
