"""A store that forgets: for tests, and as the plainest reading of what a store promises."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from twisted.internet.defer import Deferred, execute

from morphnet.store.accounts import AccountBook
from morphnet.store.base import Accounts, Approval, CertificateRecord, Lease, PhoneRecord, Store
from morphnet.store.ledger import SCHEMA
from morphnet.store.pool import Pool

_T = TypeVar("_T")


def accounts_in_memory() -> AccountBook:
    """Accounts that are forgotten with it: the same SQL, upon a database that is no file."""
    sql = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    for script in SCHEMA.scripts:
        sql.executescript(script)
    return AccountBook(sql)


class MemoryStore(Store):
    """A Store that forgets everything with the process. Every Deferred has fired already."""

    def __init__(self) -> None:
        self._leases: dict[str, Lease] = {}
        self._certificates: dict[str, CertificateRecord] = {}
        self.accounts = accounts_in_memory()
        self.approvals: set[Approval] = set()
        self.all_phones: dict[str, PhoneRecord] = {}

    def lease(self, name: str, pool4: str, pool6: str, fresh_session: bytes) -> Deferred[Lease]:
        def grant() -> Lease:
            held = self._leases.get(name, Lease(name, "", "", fresh_session))
            others = [each for each in self._leases.values() if each.name != name]
            inner4 = _address(Pool(pool4, 4) if pool4 else None, held.inner4, [each.inner4 for each in others])
            inner6 = _address(Pool(pool6, 6) if pool6 else None, held.inner6, [each.inner6 for each in others])
            self._leases[name] = replace(held, inner4=inner4, inner6=inner6)
            return self._leases[name]

        return _done(grant)

    def leases(self) -> Deferred[list[Lease]]:
        return _done(lambda: list(self._leases.values()))

    def release(self, name: str) -> Deferred[None]:
        def forget() -> None:
            self._leases.pop(name, None)
            self.approvals = {each for each in self.approvals if each[0] != name}

        return _done(forget)

    def add_certificate(self, record: CertificateRecord) -> Deferred[None]:
        def add() -> None:
            self._certificates[record.serial] = record

        return _done(add)

    def certificates(self) -> Deferred[list[CertificateRecord]]:
        return _done(lambda: list(self._certificates.values()))

    def revoke(self, name: str, now: int) -> Deferred[list[str]]:
        def strike() -> list[str]:
            good = [each for each in self._certificates.values() if each.name == name and not each.revoked_at]
            self._certificates |= {each.serial: replace(each, revoked_at=now) for each in good}
            return [each.serial for each in good]

        return _done(strike)

    def use_invite(self, serial: str, now: int) -> Deferred[bool]:
        def use() -> bool:
            found = self._certificates.get(serial)
            if found is None or found.kind != "invite" or found.revoked_at or found.used_at or found.not_after <= now:
                return False
            self._certificates[serial] = replace(found, used_at=now)
            return True

        return _done(use)

    def approved(self) -> Deferred[list[Approval]]:
        return _done(lambda: sorted(self.approvals))

    def phones(self) -> Deferred[list[PhoneRecord]]:
        return _done(lambda: [self.all_phones[name] for name in sorted(self.all_phones)])

    def account(self, work: Callable[[Accounts], _T]) -> Deferred[_T]:
        return _done(lambda: work(self.accounts))

    def close(self) -> Deferred[None]:
        return _done(lambda: None)


def _done(work: Callable[[], _T]) -> Deferred[_T]:
    """What `work` answers or raises, as a Deferred."""
    return execute(work)


def _address(pool: Pool | None, held: str, taken: list[str]) -> str:
    if pool is None:
        return ""
    return held if pool.holds(held) else pool.lowest_free([each for each in taken if each])
