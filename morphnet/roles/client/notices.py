"""What a server or a relay wants our operator to know: in the history, once in the log, and for a while a warning."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

LASTS = 90.0  # seconds that it is a warning in our status
MOST = 8  # sentences at a time


class Notices:
    """
    :param tell: takes a kind and a sentence for the history.
    :param now: seconds.
    """

    _log = Logger()

    def __init__(self, tell: Callable[[str, str], None], now: Callable[[], float]) -> None:
        self._tell, self._now = tell, now
        self._until: dict[str, float] = {}  # of each sentence that counts
        self._refused = ""  # why we were, the last time

    def take(self, text: str) -> None:
        """Somebody has said this."""
        self._tell("notice", text)
        if text not in self.warnings():
            self._log.warn("{text}", text=text)
        self._until.pop(text, None)
        self._until[text] = self._now() + LASTS
        while len(self._until) > MOST:
            del self._until[next(iter(self._until))]

    def refused(self, text: str) -> None:
        """Somebody does not let us in."""
        self._tell("refused", text)
        if text != self._refused:
            self._log.warn("{text}", text=text)
        self._refused = text

    def warnings(self) -> tuple[str, ...]:
        """What counts now."""
        now = self._now()
        self._until = {text: until for text, until in self._until.items() if now < until}
        return tuple(self._until)
