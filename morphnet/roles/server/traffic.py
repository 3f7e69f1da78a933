"""What each user has sent and received, written to the store from time to time: all of it, each byte once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from morphnet.errors import HostError
from morphnet.store.base import Accounts, Amount, Standing, Store
from morphnet.tunnel.session import Session
from morphnet.tunnel.totals import payload_of
from morphnet.tunnel.tunnel import Tunnel

NOTHING: Amount = (0, 0)


def plus(one: Amount, other: Amount) -> Amount:
    """Both together."""
    return one[0] + other[0], one[1] + other[1]


class Traffic:
    """
    What cannot be written stays owed, also of sessions that have ended.

    :param month: the one that the clock says, as in "2026-11", UTC.
    :param standing: what the store has of that month.
    :param report: a webhook is to be told too.
    """

    _log = Logger()

    def __init__(
        self, tunnel: Tunnel, store: Store, month: Callable[[], str], standing: Standing, *, report: bool
    ) -> None:
        self._tunnel, self._store, self._clock, self._report = tunnel, store, month, report
        self._counted: dict[str, Amount] = {}  # of each session that lives: noted already
        self._owed: dict[str, Amount] = {}  # noted, to be written, by name
        self._writing: Mapping[str, Amount] = {}  # is being written
        self.month = standing.month  # that is counted for
        self._written = dict(standing.amounts)  # in that month, by name
        self._alone = DeferredLock()
        self._trouble = ""  # why nothing can be written

    # -- counting ----------------------------------------------------------------------------------------------------

    def add(self, name: str, sent: int, received: int) -> None:
        """So much more, in bytes, of somebody whom we do not count."""
        self._owed[name] = plus(self._owed.get(name, NOTHING), (sent, received))

    def _note(self, session: Session) -> None:
        """What a session has carried since the last time."""
        name, total = session.peer, payload_of(session)
        before, self._counted[name] = self._counted.get(name, NOTHING), total
        if total != before:
            self.add(name, total[0] - before[0], total[1] - before[1])

    def ended(self, session: Session) -> None:
        """It carries nothing any more."""
        self._note(session)
        self._counted.pop(session.peer, None)

    def used(self, name: str) -> int:
        """Bytes that a user has carried this month, both ways together, up to now."""
        if name in self._tunnel.sessions:
            self._note(self._tunnel.sessions[name])
        before = NOTHING if self._clock() > self.month else self._written.get(name, NOTHING)
        return sum(before) + sum(self._writing.get(name, NOTHING)) + sum(self._owed.get(name, NOTHING))

    def ahead(self) -> str:
        """The month that is counted for, if the clock says an earlier one; else ""."""
        return self.month if self.month > self._clock() else ""

    # -- writing -----------------------------------------------------------------------------------------------------

    def write(self) -> Deferred[None]:
        """Write what has come since the last time; one write after the other."""
        return self._alone.run(self._write)

    def _write(self) -> Deferred[None]:
        for session in self._tunnel.sessions.values():
            self._note(session)
        self._writing, self._owed = self._owed, {}
        if not self._writing:
            return succeed(None)
        month, amounts, known, report = self._clock(), self._writing, self.month, self._report

        def count(book: Accounts) -> Standing | None:
            return None if book.add(month, amounts, report=report) == known else book.standing(month)

        return self._store.account(count).addCallbacks(self._counted_for, self._failed)

    def _counted_for(self, standing: Standing | None) -> None:
        """:param standing: of another month than before; None for the same."""
        written, self._writing, self._trouble = self._writing, {}, ""
        if standing is not None:
            self.month, self._written = standing.month, dict(standing.amounts)
            return
        for name, amount in written.items():
            self._written[name] = plus(self._written.get(name, NOTHING), amount)

    def _failed(self, failure: Failure) -> None:
        """What cannot be written now (a full disk) is owed on, and told of once."""
        written, self._writing = self._writing, {}
        for name, amount in written.items():
            self.add(name, *amount)
        if failure.check(HostError) is None:
            self._log.failure("traffic is not written", failure)  # and is tried again: nothing may end the counting
        elif self._trouble != str(failure.value):
            self._trouble = str(failure.value)
            self._log.error("traffic is not written now: {trouble}", trouble=self._trouble)
