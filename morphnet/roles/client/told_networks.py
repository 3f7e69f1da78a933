"""What a server says of networks behind clients, as it is heeded here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from morphnet.roles.client.lastword import LastWord
from morphnet.wire.messages.networks import Networks

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
        self._later, self._heed = later, heed
        self.told = False  # on the link that there is, or was last: who is there understands
        self._links = 0  # so far
        self._heeded = Networks()
        self._word = LastWord(now, later, self._changes)

    def welcomed(self) -> None:
        """There is a new link, to the same server or another one, or to an older version of it."""
        self.told = False
        self._links += 1
        self._later(SAID_WITHIN, partial(self._unsaid, self._links))

    def _unsaid(self, link: int) -> None:
        if link == self._links and not self.told:
            self._word.say(Networks())

    def are(self, said: Networks) -> None:
        """The server says so."""
        self.told = True
        self._word.say(said)

    def forget(self) -> None:
        """That was another server's word."""
        self._word.say(Networks())

    def _changes(self, said: Networks) -> bool:
        if said == self._heeded:
            return False
        self._heeded = said
        self._heed(said)
        return True
