"""Which peers are there to lead somewhere: a session alone is not enough, for it outlives a peer that has gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from morphnet.roles.client.carrying import PATIENCE

Names = Mapping[str, Sequence[str]]  # inner addresses by the name of a peer


class Leading:
    """
    A peer leads as long as a path to it works; when none does it is waited for, unless no relay has it any more.

    :param now: seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._worked_at: dict[str, float] = {}  # when a path worked last, or the session began
        self.names: Names = {}  # of peers with whom there is a session

    def are(self, names: Names) -> None:
        """With these there is a session; with a new one there is hope."""
        now = self._now()
        self._worked_at = {name: self._worked_at.get(name, now) for name in names}
        self.names = dict(names)

    def look(self, works: Callable[[str], bool], at_a_relay: Callable[[str], bool]) -> dict[str, tuple[str, ...]]:
        """
        Those that lead now.

        :param works: whether a path to that peer does.
        :param at_a_relay: whether a relay has it.
        """
        now, found = self._now(), dict[str, tuple[str, ...]]()
        for name, inner in self.names.items():
            if works(name):
                self._worked_at[name] = now
            elif now - self._worked_at[name] >= (PATIENCE if at_a_relay(name) else 1.0):
                continue
            found[name] = tuple(inner)
        return found
