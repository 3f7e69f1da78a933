"""Quotas, and what is noted for a webhook."""

from __future__ import annotations

from datetime import UTC, datetime

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.accounting import AccountingConfig
from morphnet.config.roles import Tuning
from morphnet.roles.server.accounting import Accounting, month_after, month_of, shown
from morphnet.roles.server.reporting import Reporter
from morphnet.store.memory import MemoryStore
from morphnet.tunnel.tunnel import Tunnel
from tests.roles.server.test_reporting import FakeDoor

NOVEMBER = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC).timestamp()


class AccountingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.wall, self.store, self.clock = NOVEMBER, MemoryStore(), Clock()
        self.tunnel = Tunnel(server=True, entropy=bytes)
        self.door = FakeDoor()
        reporter = Reporter(self.store, self.door, {"name": "gw"}, self.clock.seconds)
        standing = self.store.accounts.standing(month_of(self.wall))
        self.accounting = Accounting(self.tunnel, self.store, lambda: self.wall, standing, reporter)

    def test_quota(self) -> None:
        """It is one for all, or a user's own, or none; both ways count; and it begins anew with the month."""
        quotas = ("phone=500", "server=", "old:anna=2k")
        self.accounting.configure(AccountingConfig(quota="1k", quotas=quotas))
        for name in ("laptop", "phone", "server", "old:anna"):
            self.accounting.add(name, 400, 99)
        spent = {name for name in ("laptop", "phone", "server", "old:anna") if self.accounting.refusal(name)}
        self.assertEqual(spent, set())
        for name in ("laptop", "phone", "server", "old:anna"):
            self.accounting.add(name, 1, 500)
        spent = {name for name in ("laptop", "phone", "server", "old:anna") if self.accounting.refusal(name)}
        self.assertEqual(spent, {"laptop", "phone"})
        said = "the quota of this month, 1 kB, is used up; the next one begins on 2026-12-01 (UTC)"
        self.assertEqual(self.accounting.refusal("laptop"), said)
        self.accounting.write()
        self.wall += 2
        self.assertEqual(self.accounting.refusal("laptop"), "")
        self.accounting.configure(AccountingConfig())
        self.wall -= 2
        self.assertEqual(self.accounting.refusal("phone"), "")

    def test_clock_ahead(self) -> None:
        """When the clock says an earlier month than the records, the operator is told what to do."""
        self.wall += 2
        self.accounting.add("laptop", 1, 1)
        self.accounting.write()
        self.assertEqual(self.accounting.warnings(), ())
        self.wall -= 2
        (warning,) = self.accounting.warnings()
        self.assertIn("2026-12", warning)

    def test_webhook(self) -> None:
        """It is told of the server, of sessions as they come and go, and of the rest at the end."""
        self.accounting.announce("gw")
        self.tunnel.add_session("laptop", bytes(16), Tuning(), [])
        self.accounting.came("laptop")
        self.accounting.came("laptop")
        self.accounting.look()
        self.tunnel.sessions["laptop"].outbound.payload = 70
        self.tunnel.drop_session("laptop")
        self.successResultOf(Deferred.fromCoroutine(self.accounting.close()))
        self.accounting.came("late")
        self.accounting.look()
        paths = ["/server", "/client/add", "/client/subtract", "/traffic"]
        self.assertEqual([path for path, _, _ in self.door.got], paths)
        self.assertIn(b'"traffic": 70', self.door.got[-1][1])

    def test_months(self) -> None:
        """Months follow one another, whatever a clock says."""
        self.assertEqual([month_after(each) for each in ("2026-11", "2026-12", "2027-01")],
                         ["2026-12", "2027-01", "2027-02"])  # fmt: skip
        told = [month_of(each) for each in (NOVEMBER, NOVEMBER + 1, -5.0, 1e18)]
        self.assertEqual(told, ["2026-11", "2026-12", "1970-01", "9999-12"])
        self.assertEqual([shown(each) for each in (5, 1500, 10**11, 25 * 10**11)],
                         ["5 B", "1.5 kB", "100 GB", "2.5 TB"])  # fmt: skip
