"""The recent past of a node: a bounded list of what happened."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from morphnet.status import Happening
from morphnet.text import printable

REMEMBERED = 1000  # happenings; the oldest make room


class History:
    """
    Numbers what happens, and remembers the last REMEMBERED of it.

    :param wall: Unix seconds, now.
    :param said: takes each of them, when it happens.
    """

    def __init__(
        self,
        wall: Callable[[], float],
        remembered: int = REMEMBERED,
        said: Callable[[Happening], None] = lambda happening: None,
    ) -> None:
        self._wall, self._said = wall, said
        self._recent: deque[Happening] = deque(maxlen=remembered)
        self._last = 0

    def add(self, kind: str, session: str, text: str) -> Happening:
        """
        Remember that something happened just now.

        :param session: the peer's certificate name, or "".
        :param text: one sentence for a person.
        """
        self._last += 1
        shown = printable(text)  # reasons come from peers, and go to terminals and logs
        happening = Happening(number=self._last, at=self._wall(), kind=kind, session=session, text=shown)
        self._recent.append(happening)
        self._said(happening)
        return happening

    def after(self, number: int) -> list[Happening]:
        """What is remembered of the happenings after `number`, oldest first."""
        wanted = min(self._last - number, len(self._recent))
        return list(self._recent)[len(self._recent) - wanted :] if wanted > 0 else []
