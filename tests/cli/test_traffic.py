"""`morphnet traffic`: from the records, while a server runs or not."""

from __future__ import annotations

import json

from morphnet.cli.layout import now
from morphnet.roles.server.accounting import month_of
from tests.cli.case import CommandCase


class TrafficTests(CommandCase):
    def setUp(self) -> None:
        super().setUp()
        self.init()
        self.month = month_of(now())

    def add(self, month: str, **amounts: tuple[int, int]) -> None:
        """Somebody has carried so much."""
        with self.ledger() as ledger:
            ledger.account(lambda book: book.add(month, amounts, report=False))

    def test_nobody(self) -> None:
        """Before anybody has carried anything."""
        self.assertIn("nobody has carried anything", self.good("traffic").stdout)
        self.assertEqual(json.loads(self.good("traffic", "--json").stdout), {"month": self.month, "users": []})

    def test_lines(self) -> None:
        """This month and before, who has carried most first."""
        self.add("2020-01", phone=(10**6, 5))
        self.add(self.month, phone=(10, 1), laptop=(3 * 10**9, 10**9))
        head, *rows = self.good("traffic").stdout.splitlines()
        self.assertTrue(head.startswith(self.month), head)
        told = [row.split() for row in rows]
        self.assertEqual(told[0], ["laptop", "3", "GB", "1", "GB", "0", "B", "0", "B", "-"])
        self.assertEqual(told[1], ["phone", "10", "B", "1", "B", "1", "MB", "5", "B", "-"])
        self.assertTrue(all(len(row) <= 80 for row in (head, *rows)))

    def test_json(self) -> None:
        """Every month, and the quota."""
        self.add("2020-01", phone=(1, 2))
        self.add(self.month, phone=(3, 4))
        self.good("set", "accounting.quota", "1G")
        found = json.loads(self.good("traffic", "--json").stdout)
        months = [
            {"month": self.month, "sent_bytes": 3, "received_bytes": 4},
            {"month": "2020-01", "sent_bytes": 1, "received_bytes": 2},
        ]
        self.assertEqual(found["users"], [{"name": "phone", "quota_bytes": 10**9, "months": months}])

    def test_clock(self) -> None:
        """What a clock that was wrong has put into later months comes back to this one."""
        self.add("9000-01", phone=(3, 4))
        self.add(self.month, phone=(1, 1))
        self.assertEqual(json.loads(self.good("traffic", "--json").stdout)["month"], "9000-01")
        self.assertIn("1 records", self.good("traffic", "--clock-is-right").stdout)
        found = json.loads(self.good("traffic", "--json").stdout)
        self.assertEqual((found["month"], found["users"][0]["months"][0]["sent_bytes"]), (self.month, 4))

    def test_no_server(self) -> None:
        """One sentence where no server was made."""
        self.place.server_toml.unlink()
        self.assertIn("no", self.bad("traffic"))
