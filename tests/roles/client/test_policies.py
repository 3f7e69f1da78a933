"""How an uplink may be used: what the settings say, what the operator says, and what it has carried."""

from __future__ import annotations

import datetime
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.uplinks import policy
from morphnet.errors import ConfigError
from morphnet.roles.client.policies import Policies, begins_on, ends_on
from morphnet.store.uplinks import UplinkRecords
from morphnet.tunnel.terms import BACKUP, ENDLESS, FREE, LAST, METERED, Terms

DAY = 86400.0


def unix(text: str) -> float:
    """Unix seconds of a day."""
    return datetime.datetime.fromisoformat(f"{text}T00:00:00+00:00").timestamp()


class PolicyCase(SynchronousTestCase):
    """Some uplinks, on a day that the test chooses."""

    def setUp(self) -> None:
        self.path, self.now, self.told = Path(self.mktemp()), unix("2026-11-20"), list[tuple[str, str]]()

    def made(self, *texts: str) -> Policies:
        """As a process that starts has them."""
        records = UplinkRecords(self.path)
        return Policies(
            [policy(each) for each in texts], records, lambda *told: self.told.append(told), lambda: self.now
        )

    def kinds(self) -> list[str]:
        """Of what was told."""
        return [kind for kind, _ in self.told]


class UseTests(PolicyCase):
    def test_levels(self) -> None:
        """Normal ones carry first, then metered ones, backups, metered backups; within each the least priority."""
        found = self.made("b backup priority=99", "m metered", "mb metered backup priority=0", "first priority=0")
        of_mb = Terms(BACKUP + METERED, True)
        self.assertEqual(
            [found.terms(name) for name in ("first", "other", "m", "b", "mb")],
            [Terms(0), Terms(10), Terms(METERED + 10, True), Terms(BACKUP + 99), of_mb],
        )
        self.assertTrue(found.any)
        self.assertFalse(self.made().any)
        self.assertLess(FREE.level, METERED)
        found.say("b", "last")
        self.assertEqual(found.terms("b"), Terms(LAST + 99))
        self.assertGreater(found.terms("b"), of_mb)
        found.say("mb", "last")
        self.assertGreater(found.terms("mb"), found.terms("b"))

    def test_rates(self) -> None:
        """Our bound is for what we send, the other one is told to the server."""
        found = self.made("a rate_up=8Mbit/s rate_down=16Mbit/s")
        self.assertEqual((found.terms("a").rate, found.told(3, "a").text), (1e6, "3 10 0 2000000"))
        self.assertEqual((found.terms("b").rate, found.told(4, "b").rate), (ENDLESS, 0))

    def test_operator(self) -> None:
        """What the operator says holds, through a restart, until he says `default`."""
        found = self.made("a backup metered")
        self.assertIn("uplink a is normal now", found.say("a", "normal"))
        self.assertEqual(found.terms("a"), Terms(10))
        self.assertEqual(self.made("a backup metered").use("a").why, "by the operator")
        for word, terms in (("metered", Terms(METERED + 10, True)), ("backup", Terms(BACKUP + METERED + 10, True))):
            found.say("a", word)
            self.assertEqual(found.terms("a"), terms)
        found.say("a", "never")
        self.assertTrue(self.made("a backup").is_never("a"))
        found.say("a", "default")
        self.assertEqual(self.made("a backup").terms("a"), Terms(BACKUP + 10))
        with self.assertRaisesRegex(ConfigError, "say one of normal, metered"):
            found.say("a", "fast")
        with self.assertRaisesRegex(ConfigError, "must be the name of an interface"):
            found.say("a/b", "never")


class CapTests(PolicyCase):
    def test_reached(self) -> None:
        """At 80 % there is a warning, at the cap it is demoted; both are told once, and hold in the next process."""
        found = self.made("a cap=1MB cap_day=5")
        self.assertFalse(found.carried({"a": 799_999}))
        self.assertEqual(self.told, [])
        self.assertFalse(found.carried({"a": 1}))
        self.assertEqual(self.kinds(), ["uplink-warning"])
        self.assertTrue(found.carried({"a": 200_000}))
        self.assertEqual(self.kinds(), ["uplink-warning", "uplink-cap"])
        self.assertIn("1.00 MB, is reached: it is used only when nothing else works until 2026-12-05", self.told[1][1])
        self.assertEqual((found.use("a").kind, found.terms("a")), ("last", Terms(LAST + METERED + 10, True)))
        again = self.made("a cap=1MB cap_day=5")
        self.assertEqual((again.use("a").kind, again.carried({"a": 5})), ("last", False))
        self.assertEqual(len(self.told), 2)
        self.assertIn("100 % of its cap", again.warnings()[0])

    def test_over_what_the_operator_says(self) -> None:
        """A cap that is reached holds whatever the operator says; only `never` is more. He may count anew."""
        found = self.made("a cap=1MB", "b cap=1MB at_cap=never")
        found.carried({"a": 2_000_000, "b": 2_000_000})
        self.assertIn("is last now (its cap", found.say("a", "normal"))
        self.assertTrue(found.is_never("b"))
        found.say("a", "never")
        self.assertTrue(found.is_never("a"))
        found.say("a", "default")
        found.say("a", "recount")
        self.assertEqual(found.use("a").kind, "normal")

    def test_next_month(self) -> None:
        """When the next month begins it is used as before, and that is told; a clock that goes back changes nothing."""
        found = self.made("a cap=1MB cap_day=1")
        found.carried({"a": 2_000_000})
        self.now = unix("1970-01-02")
        self.assertEqual((found.carried({}), found.use("a").kind), (False, "last"))
        self.now = unix("2026-11-30")
        self.assertFalse(found.carried({}))
        self.now = unix("2026-12-01")
        found.terms("a")  # somebody asks before it is counted
        self.assertTrue(found.carried({}))
        self.assertEqual((found.use("a").kind, found.warnings()), ("normal", ()))
        self.assertIn("does not hold it back", self.told[-1][1])

    def test_clock_ahead(self) -> None:
        """When a clock was years ahead for a moment, months end as ever all the same."""
        found = self.made("a cap=1MB")
        self.now = unix("2036-01-02")
        found.carried({"a": 2_000_000})
        self.now = unix("2026-11-20")
        self.assertEqual((found.carried({}), found.use("a").kind), (False, "last"))
        self.assertIn("until 2026-12-01", found.warnings()[0])
        self.now = unix("2026-12-01")
        self.assertEqual((found.carried({}), found.use("a").kind), (True, "normal"))

    def test_many(self) -> None:
        """However many devices come and go that a pattern is about, one that carries is not forgotten."""
        found = self.made("* cap=1GB")
        found.carried({"a": 900_000_000})
        for number in range(200):
            found.use(f"usb{number}")
            found.carried({"a": 0, f"usb{number}": 1})
        self.assertEqual(found.records.counts["a"].octets, 900_000_000)

    def test_settings(self) -> None:
        """Another cap holds at once."""
        found = self.made("a cap=1MB")
        found.carried({"a": 2_000_000})
        found.configure([policy("a cap=1GB")])
        self.assertEqual((found.carried({}), found.use("a").kind), (True, "normal"))

    def test_days(self) -> None:
        """A month begins on its day, or on its last one."""
        date = datetime.date.fromisoformat
        for today, day, begins, ends in (
            ("2026-11-20", 1, "2026-11-01", "2026-12-01"),
            ("2026-11-20", 25, "2026-10-25", "2026-11-25"),
            ("2026-01-03", 31, "2025-12-31", "2026-01-31"),
            ("2028-02-29", 30, "2028-02-29", "2028-03-30"),
            ("2026-12-31", 31, "2026-12-31", "2027-01-31"),
        ):
            self.assertEqual(begins_on(date(today), day).isoformat(), begins)
            self.assertEqual(ends_on(begins, day), ends)
        self.assertEqual(ends_on("nonsense", 1), "")
