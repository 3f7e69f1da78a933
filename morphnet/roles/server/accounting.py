"""What users may carry in a month and have carried, who is over it, and who is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from morphnet.config.accounting import AccountingConfig
from morphnet.errors import HostError
from morphnet.roles.server.reporting import Reporter
from morphnet.roles.server.traffic import Traffic
from morphnet.store.base import Accounts, Standing, Store
from morphnet.tunnel.session import Session
from morphnet.tunnel.tunnel import Tunnel

WRITE_EVERY = 5.0  # seconds: half of what a crash may cost
COME_AGAIN = 600.0  # seconds after which one whose quota is used up may ask again
_UNITS = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3))


def month_of(at: float) -> str:
    """:param at: Unix seconds. As in "2026-11", UTC; whatever a clock says, it is one."""
    try:
        return datetime.fromtimestamp(max(0.0, at), UTC).strftime("%Y-%m")
    except (OverflowError, ValueError, OSError):
        return "9999-12"


def month_after(month: str) -> str:
    """ "2026-12" -> "2027-01"."""
    year, number = int(month[:4]), int(month[5:])
    return f"{year + number // 12:04}-{number % 12 + 1:02}"


def shown(octets: int) -> str:
    """As quotas are said: "100 GB"."""
    for unit, size in _UNITS:
        if octets >= size:
            return f"{octets / size:.4g} {unit}"
    return f"{octets} B"


class Meter(Protocol):
    """What those need who carry for users by themselves."""

    def add(self, name: str, sent: int, received: int) -> None:
        """So many bytes were carried to and from that user."""
        ...

    def refusal(self, name: str) -> str:
        """Why that user may not carry now, in one sentence; "" if it may."""
        ...

    def came(self, session: str) -> None:
        """A session begins."""
        ...

    def gone(self, session: str) -> None:
        """It is over."""
        ...


class Accounting(Meter):
    """
    :param wall: Unix seconds.
    :param standing: what the store has of this month.
    :param reporter: tells a webhook; None for none.
    """

    _log = Logger()

    def __init__(
        self,
        tunnel: Tunnel,
        store: Store,
        wall: Callable[[], float],
        standing: Standing,
        reporter: Reporter | None = None,
    ) -> None:
        self._config = AccountingConfig()
        self._store, self._reporter = store, reporter

        def clock() -> str:
            return month_of(wall())

        self._traffic = Traffic(tunnel, store, clock, standing, report=reporter is not None)
        self._ending = False
        tunnel.ended = self._ended

    def configure(self, config: AccountingConfig) -> None:
        """Live by these quotas."""
        self._config = config

    # -- what was carried --------------------------------------------------------------------------------------------

    def add(self, name: str, sent: int, received: int) -> None:
        self._traffic.add(name, sent, received)

    def write(self) -> Deferred[None]:
        """Write what has come since the last time."""
        return self._traffic.write()

    def _ended(self, session: Session) -> None:
        self._traffic.ended(session)
        self.gone(session.peer)

    # -- quotas ------------------------------------------------------------------------------------------------------

    def refusal(self, name: str) -> str:
        limit = self._config.limit_of(name)
        if limit is None or self._traffic.used(name) < limit:
            return ""
        begins = month_after(self._traffic.month)
        return f"the quota of this month, {shown(limit)}, is used up; the next one begins on {begins}-01 (UTC)"

    # -- the webhook -------------------------------------------------------------------------------------------------

    def announce(self, name: str) -> None:
        """This server runs, from now on."""
        self._note(lambda book: book.announce(name))

    def came(self, session: str) -> None:
        self._note(lambda book: book.came(session))

    def gone(self, session: str) -> None:
        self._note(lambda book: book.gone((session,)))

    def report(self) -> None:
        """What was carried since the last time is to be told."""
        self._note(lambda book: book.report())

    def _note(self, work: Callable[[Accounts], None]) -> None:
        if self._reporter is not None and not self._ending:
            self._store.account(work).addErrback(self._not_noted)
            self._reporter.stir()

    def _not_noted(self, failure: Failure) -> None:
        failure.trap(HostError)
        self._log.error("the webhook will not be told of something: {trouble}", trouble=str(failure.value))

    def look(self) -> None:
        """Tell what there is to tell."""
        if self._reporter is not None:
            self._reporter.look()

    # -- what ops sees, and the end ----------------------------------------------------------------------------------

    def counters(self) -> dict[str, int]:
        """For the node's status."""
        return self._reporter.counters() if self._reporter is not None else {}

    def warnings(self) -> tuple[str, ...]:
        """What the operator should see to."""
        month = self._traffic.ahead()
        ahead = (
            f"traffic is counted for {month} already, and the clock says an earlier month: put the clock right, or if"
            " it is, `morphnet traffic --clock-is-right`"
        )
        return (*((ahead,) if month else ()), *(self._reporter.warnings() if self._reporter is not None else ()))

    async def close(self) -> None:
        """Write all that is left; no other call may follow."""
        if self._reporter is not None:
            self._reporter.stop()
        await self._traffic.write()
        self.report()  # the store does one thing after the other, and closes behind this
        self._ending = True
