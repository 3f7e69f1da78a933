"""
What happens to a node, in its log: one readable line for each thing that a person wants to know.

They are the happenings that `morphnet events` shows, but for those that only say that all goes on as it should. A crowd
that comes and goes does not fill the disk: what is too much is counted, and said as a number.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger, LogLevel

from morphnet.status import Happening

_log = Logger(namespace="morphnet")  # on a class it would be named after that
# That all goes on; what says so in the log itself, in words of its own, is not said twice.
_QUIET = frozenset({"rekeyed", "path-probing", "path-moved", "mapping-life", "peer-meeting", "peer-searching"})
_ELSEWHERE = frozenset({"host-rival", "firewall", "joined"})
_TROUBLES = frozenset(
    {"refused", "revoked", "expired", "host-trouble", "notice", "rival", "overlap", "uplink-unusable", "call-failed"}
    | {"server-left", "traffic-outside", "traffic-held", "no-path", "keys-forgotten", "relay-refused", "portal"}
    | {"quota"}
)
_REPEATED = frozenset({"refused", "notice", "rival", "call-failed", "relay-refused"})  # while nobody sees to it
SAY_AGAIN = 600.0  # seconds after which one of these is said once more
BURST, EACH = 40.0, 0.5  # lines at once; seconds that each of them has to rest afterwards


class EventLog:
    """
    :param now: seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._said_at: dict[tuple[str, str], float] = {}  # by session and sentence
        self._room, self._counted_at = BURST, now()
        self._unsaid = 0

    def say(self, happening: Happening) -> None:
        """It has just happened."""
        if happening.kind in _QUIET | _ELSEWHERE or self._was_said(happening):
            return
        now = self._now()
        self._room, self._counted_at = min(BURST, self._room + (now - self._counted_at) / EACH), now
        if self._room < 1:
            self._unsaid += 1
            return
        self._room -= 1
        if self._unsaid:
            _log.info("{count} more happenings: `morphnet events` has the latest", count=self._unsaid)
            self._unsaid = 0
        level = LogLevel.warn if happening.kind in _TROUBLES else LogLevel.info
        who = f"{happening.session}: " if happening.session else ""
        said = {"kind": happening.kind, "session": happening.session, "text": happening.text}
        _log.emit(level, "{who}{text}", who=who, **said)

    def _was_said(self, happening: Happening) -> bool:
        """Whether it is one of those that come again and again, and was said not long ago."""
        if happening.kind not in _REPEATED:
            return False
        now, what = self._now(), (happening.session, happening.text)
        self._said_at = {each: at for each, at in self._said_at.items() if now - at < SAY_AGAIN}
        return self._said_at.setdefault(what, now) != now
