"""
What a server says of networks behind clients, as it is heeded here.

What changes with it is changed on this machine, and written down there: so no server has that done all the time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from morphnet.wire.messages.networks import Networks

LEAST = 1.0  # seconds from one change to the next
SAID_WITHIN = 10.0  # seconds after its welcome; a server that has said nothing then knows nothing of it


class ToldNetworks:
    """
    The last word counts, after a while if need be; what one server has said does not outlive the next one's silence.

    :param now: seconds.
    :param later: calls after so many seconds.
    :param heed: lives by what was said.
    """

    def __init__(
        self,
        now: Callable[[], float],
        later: Callable[[float, Callable[[], None]], object],
        heed: Callable[[Networks], None],
    ) -> None:
        self._now, self._later, self._heed = now, later, heed
        self.told = False  # on the link that there is, or was last: who is there understands
        self._links = 0  # so far
        self._said = self._heeded = Networks()
        self._heeded_at = float("-inf")
        self._is_due = False  # something will be heeded, and soon

    def welcomed(self) -> None:
        """There is a new link, to the same server or another one, or to an older version of it."""
        self.told = False
        self._links += 1
        self._later(SAID_WITHIN, partial(self._unsaid, self._links))

    def _unsaid(self, link: int) -> None:
        if link == self._links and not self.told:
            self._take(Networks())

    def are(self, said: Networks) -> None:
        """The server says so."""
        self.told = True
        self._take(said)

    def forget(self) -> None:
        """That was another server's word."""
        self._take(Networks())

    def _take(self, said: Networks) -> None:
        self._said = said
        wait = self._heeded_at + LEAST - self._now()
        if wait <= 0:
            self._look()
        elif not self._is_due:
            self._is_due = True
            self._later(wait, self._look)

    def _look(self) -> None:
        self._is_due = False
        if self._said != self._heeded:
            self._heeded, self._heeded_at = self._said, self._now()
            self._heed(self._said)
