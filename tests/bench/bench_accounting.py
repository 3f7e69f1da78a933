"""
What accounting costs a server, in one process, without a lab: real records in a file, and sessions that have carried.

    python -m tests.bench.bench_accounting [--users 100 1000] [--rounds 10]

Each round every user has carried something. What counts is the processor time of what the server does about it: every
5 s a look at each session and one transaction, with a webhook the reports in it too; every 2 s a look whose quota is
used up; and telling the reports, to a webhook that answers at once. Counting itself is one addition for each run of
packets, in the data plane.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar, cast

from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock

from morphnet.config.accounting import AccountingConfig
from morphnet.config.roles import Tuning
from morphnet.roles.server.accounting import WRITE_EVERY, Accounting, month_of
from morphnet.roles.server.process import EXPIRE_EVERY
from morphnet.roles.server.reporting import LOOK_EVERY, Reporter
from morphnet.store.base import Accounts, Store
from morphnet.store.ledger import Ledger
from morphnet.tunnel.tunnel import Tunnel
from tests.bench.measured import Measured, middle, tell

T = TypeVar("T")
AT = 1_790_000_000.0  # Unix seconds
CARRIED = 1_000_000  # bytes, each way, of each user in each round


class AtOnce:
    """A store without a thread, so that all of it is the time of this one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def account(self, work: Callable[[Accounts], T]) -> Deferred[T]:
        """Done when it returns."""
        return execute(self._ledger.account, work)


class Taking:
    """A webhook that has everything at once."""

    def __init__(self) -> None:
        self.taken = 0

    async def post(self, path: str, body: bytes, key: str) -> int:
        """It is in order."""
        self.taken += 1
        return 200


class Accounted:
    """A server with so many sessions."""

    def __init__(self, users: int, *, webhook: bool, place: Path) -> None:
        ledger = Ledger(place / "morphnet.db")
        store = cast(Store, AtOnce(ledger))
        self.clock, self.door = Clock(), Taking()
        self.reporter = Reporter(store, self.door, {"name": "gw"}, self.clock.seconds) if webhook else None
        self.tunnel = Tunnel(server=True, entropy=bytes)
        standing = ledger.account(lambda book: book.standing(month_of(AT)))
        self.accounting = Accounting(self.tunnel, store, lambda: AT, standing, self.reporter)
        self.accounting.configure(AccountingConfig(quota="1T"))
        for number in range(users):
            self.tunnel.add_session(f"user{number}", number.to_bytes(16, "big"), Tuning(), [])

    def carry(self) -> None:
        """Everybody has something."""
        for session in self.tunnel.sessions.values():
            session.outbound.payload += CARRIED
            session.inbound.payload += CARRIED

    def tell_all(self) -> None:
        """To the webhook."""
        self.accounting.report()
        before = -1
        while self.door.taken != before:
            before = self.door.taken
            self.clock.advance(LOOK_EVERY)
            self.accounting.look()

    def judge(self) -> None:
        """Whether anybody's quota is used up."""
        assert not any(self.accounting.refusal(name) for name in self.tunnel.sessions)


def took(what: Callable[[], object]) -> float:
    """Milliseconds of processor."""
    begun = time.process_time()
    what()
    return (time.process_time() - begun) * 1e3


def measure(users: int, rounds: int) -> Iterator[Measured]:
    """With a webhook, and without."""
    for webhook in (False, True):
        with tempfile.TemporaryDirectory() as place:
            server = Accounted(users, webhook=webhook, place=Path(place))
            writing, judging, telling = list[float](), list[float](), list[float]()
            for _ in range(rounds):
                server.carry()
                writing.append(took(server.accounting.write))
                judging.append(took(server.judge))
                telling.append(took(server.tell_all) if webhook else 0.0)
            name = f"{users} users{', with a webhook' if webhook else ''}"
            yield Measured("accounting", f"{name}: a write", middle(writing, 2), "ms")
            share = (middle(writing, 3) / WRITE_EVERY + middle(judging, 3) / EXPIRE_EVERY) / 10
            yield Measured("accounting", f"{name}: of a processor, with quotas", round(share, 3), "%", 1.0, "less")
            if webhook:
                yield Measured("accounting", f"{name}: telling one report", round(middle(telling, 3) / users, 3), "ms")


def main(words: Sequence[str] | None = None) -> int:
    """Run it; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="bench_accounting")
    parser.add_argument("--users", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args(words)
    broken = 0
    for users in options.users:
        for line in measure(users, options.rounds):
            tell(line)
            broken += line.kept is False
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
