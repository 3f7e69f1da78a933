"""
What a path delivers to all who use it, in bytes a second: seen while nobody else was there, or reckoned.

Who comes to a wire that others have filled never sees it empty. What is in flight on it tells all the same: with so
many bytes less of ours, a round trip takes so many seconds less, and the quotient is what the wire delivers.

Source: Little's law; docs/performance section 2.
"""

from __future__ import annotations

from morphnet.tunnel.rtt import WindowedBest

MEMORY = 30.0  # seconds for which it is known what a path could deliver
SURE = 3  # queues in a row that were ours: what we get is all that there is
RECKONED = 50.0  # times what we had, at most
MOVED = 0.001  # seconds, and the unrest of the samples: by less than this no queue is seen to fall
TOLD = 2.0  # times that: a fall that says something


class Capacity:
    """Of one path."""

    def __init__(self) -> None:
        self.rate = 0.0
        self._best = WindowedBest(MEMORY)
        self._known_at = float("-inf")
        self.told = False  # what was reckoned is more than a bound: a queue of others was seen to fall as ours did
        self._reckoned = 0.0  # bytes a second, the last time; 0 when it is void
        self._ours = 0  # times in a row that a queue was ours

    def known(self, now: float) -> bool:
        """Whether it was seen, and not long ago, what the path delivers when nobody else is there."""
        return now - self._known_at < MEMORY

    def confirm(self, now: float) -> None:
        """What was known is still so."""
        if self.known(now):
            self._known_at = now

    def seen(self, rate: float, now: float) -> None:
        """That much was delivered."""
        self._best.add(rate, now)
        self.rate = self._best.best(now) or rate

    def only(self, rate: float, now: float) -> None:
        """It is no more than that, whatever it once was."""
        self._best.clear()
        self._reckoned = 0.0
        self.seen(rate, now)

    def was_ours(self, now: float) -> None:
        """A queue went when we made way, at a rate that is all we have ever got. Once that may be chance."""
        self._ours += 1
        if self._ours >= SURE:
            self._known_at = now

    def reckon(self, had: float, sent: float, took: float, fell: float, unrest: float, now: float) -> None:
        """
        A queue is not ours: if it is not known what the path delivers, that is reckoned from what making way did.

        Others do not stand still meanwhile, and may be wrong by as much either way: the mean with what was reckoned
        before counts, and that alone when the queue did not fall.

        :param had: bytes a second that we got, and `sent`: those that we made of it.
        :param took: seconds that a round trip takes now, and `fell`: by how many that is less than before.
        :param unrest: seconds by which one sample differs from the next.
        """
        self._ours = 0
        told = fell > TOLD * (MOVED + unrest)
        self.told = told or self.told
        if not self.known(now):
            less = had * (took + max(0.0, fell)) - sent * took  # bytes in flight
            whole, before = less / max(fell, MOVED + unrest), self._reckoned
            if before:
                whole = (before * whole) ** 0.5 if told else before
            self.only(max(had, min(whole, RECKONED * had)), now)
            self._reckoned = self.rate
