"""Why callers were refused: counted, and told now and then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from twisted.logger import Logger

from morphnet.net.knock import NO_KNOCK

_MOST_REASONS = 64  # counted apart; the rest is "other"


class Complaints:
    """
    Counts why peers were refused; says so at most once a second, and of those who did not knock not at all.

    :param port: at which: a word for the log.
    """

    _log = Logger()

    def __init__(self, now: Callable[[], float], port: str) -> None:
        self.counts: Counter[str] = Counter()
        self._now, self._port, self._said_at = now, port, float("-inf")
        self._unsaid = 0

    def add(self, reason: str) -> None:
        """Count one more."""
        if reason not in self.counts and len(self.counts) >= _MOST_REASONS:
            reason = "other"
        self.counts[reason] += 1
        if reason == NO_KNOCK:  # the world scans every port; that is no news
            return
        self._unsaid += 1
        now = self._now()
        if now - self._said_at >= 1.0:
            said = {"count": self._unsaid, "port": self._port, "reason": reason}
            self._log.info("refused {count} at the port for {port}, last: {reason}", **said)
            self._said_at, self._unsaid = now, 0
