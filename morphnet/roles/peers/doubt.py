"""Whether the peer still has a session that we have with it: it is asked by the session itself."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall

from morphnet.roles.peers.sessions import Sessions
from morphnet.roles.peers.surroundings import Surroundings
from morphnet.tunnel.events import Effects
from morphnet.tunnel.session import Session

WORKS_WITHIN = 6.0  # seconds after which one is given up by which nothing came
ASK_AT, ANSWER_WITHIN = (0.0, 0.3, 0.6), 1.2  # seconds: a session in doubt


class Doubt:
    """
    About one session, as long as it is there.

    :param lost: called with a reason when nothing has come by it for too long.
    """

    def __init__(self, around: Surroundings, sessions: Sessions, session: Session, lost: Callable[[str], None]) -> None:
        self._around, self._sessions, self._session, self._lost = around, sessions, session, lost
        self._asking: list[IDelayedCall] = []
        self._expecting: IDelayedCall | None = None

    def expect(self) -> None:
        """The session is new: something has to come by it."""
        self._expecting = self._judge_in(WORKS_WITHIN, "nothing came by the session")

    def ask(self) -> None:
        """Somebody says that the peer has it no more. If nothing comes by it now, that is so; asked once at a time."""
        if any(each.active() for each in self._asking):
            return
        later = self._around.clock.callLater
        self._asking = [later(delay, self._ask) for delay in ASK_AT]
        self._asking.append(self._judge_in(ANSWER_WITHIN, "the peer has lost the session"))

    def end(self) -> None:
        """The session is gone."""
        for timer in (*self._asking, self._expecting):
            if timer is not None and timer.active():
                timer.cancel()

    def _judge_in(self, seconds: float, reason: str) -> IDelayedCall:
        return self._around.clock.callLater(seconds, self._judge, self._session.heard_at, reason)

    def _ask(self) -> None:
        effects = Effects()
        self._session.greet(self._around.now(), effects)
        self._sessions.carry_out(self._session, effects)

    def _judge(self, heard_at: float, reason: str) -> None:
        """If nothing has come since then, it is over."""
        if self._session.heard_at <= heard_at:
            self._lost(reason)
