"""What a server or a relay wants our operator to know: in the history and the log, and for a while a warning."""

from __future__ import annotations

from collections.abc import Callable

LASTS = 90.0  # seconds that it is a warning in our status
MOST = 8  # sentences at a time


class Notices:
    """
    :param tell: takes a kind and a sentence for the history.
    :param now: seconds.
    """

    def __init__(self, tell: Callable[[str, str], None], now: Callable[[], float]) -> None:
        self.tell, self._now = tell, now
        self._until: dict[str, float] = {}  # of each sentence that counts
        self._not_reached = ""  # why, the last time

    def take(self, text: str) -> None:
        """Somebody has said this."""
        self.tell("notice", text)
        self._until.pop(text, None)
        self._until[text] = self._now() + LASTS
        while len(self._until) > MOST:
            del self._until[next(iter(self._until))]

    def refused(self, text: str) -> None:
        """Somebody does not let us in."""
        self.tell("refused", text)

    def not_reached(self, text: str) -> None:
        """A call came to nothing. It is called again and again: told once for each reason, until one is answered."""
        if text != self._not_reached:
            self.tell("call-failed", text)
        self._not_reached = text

    def answered(self) -> None:
        """A call was."""
        self._not_reached = ""

    def warnings(self) -> tuple[str, ...]:
        """What counts now."""
        now = self._now()
        self._until = {text: until for text, until in self._until.items() if now < until}
        return tuple(self._until)
