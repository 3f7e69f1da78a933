"""What is remembered of uplinks."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from morphnet.store.uplinks import MOST, Count, UplinkRecords


class RecordTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def test_again(self) -> None:
        """Words and counts are there for the next process; nobody else reads them."""
        records = UplinkRecords(self.path)
        records.wish("wwan0", "backup")
        records.add("wwan0", "2026-11-01", 17).told = 80
        records.save()
        again = UplinkRecords(self.path)
        self.assertEqual((again.words, again.counts), ({"wwan0": "backup"}, {"wwan0": Count("2026-11-01", 17, 80)}))
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        again.wish("wwan0", "")
        self.assertEqual(UplinkRecords(self.path).words, {})

    def test_months(self) -> None:
        """A later month begins at 0; an earlier one is a clock that is wrong, and changes nothing."""
        records = UplinkRecords()
        records.add("a", "2026-11-01", 5)
        for begins in ("2026-10-01", "1970-01-01", "2026-11-01"):
            self.assertEqual(records.count("a", begins).octets, 5)
        self.assertEqual(records.count("a", "2026-12-01"), Count("2026-12-01"))

    def test_wrong_once(self) -> None:
        """A clock that was far ahead once keeps no month from ending; what was counted since goes on meanwhile."""
        records = UplinkRecords(self.path)
        records.add("a", "2026-11-01", 5)
        records.add("a", "2036-01-01", 7)
        self.assertEqual(records.count("a", "2026-11-01"), Count("2026-11-01", 7, ahead="2036-01-01"))
        records.save()
        records = UplinkRecords(self.path)
        self.assertEqual(records.count("a", "2027-03-01").octets, 7)  # no month that follows: it may be wrong as well
        for begins in ("2027-04-01", "2027-05-01"):
            self.assertEqual(records.count("a", begins).octets, 0)
            records.add("a", begins, 3)
        self.assertEqual(records.count("a", "2036-02-01"), Count("2036-02-01"))

    def test_looked_at(self) -> None:
        """To look at what an uplink has carried keeps nothing, and takes no room from others."""
        records = UplinkRecords()
        records.add("a", "2026-11-01", 1)
        for number in range(2 * MOST):
            self.assertEqual(records.count(f"w{number}", "2026-11-01"), Count("2026-11-01"))
        self.assertEqual(list(records.counts), ["a"])

    def test_bounded(self) -> None:
        """Of too many uplinks the one that has carried least is forgotten, those of a month that has ended first."""
        records = UplinkRecords()
        records.add("ended", "2026-10-01", 10**9)
        records.add("first", "2026-11-01", 900)
        for number in range(2 * MOST):
            records.add(f"w{number}", "2026-11-01", 1)
        self.assertEqual((records.counts["first"].octets, len(records.counts)), (900, MOST))
        self.assertNotIn("ended", records.counts)
        self.assertIn(f"w{2 * MOST - 1}", records.counts)

    def test_nonsense(self) -> None:
        """What cannot be read was never known; what else is in the file is."""
        for text in ("", "[]", '{"words": 3, "counts": [1]}', "{" * 100_000):
            self.path.write_text(text)
            records = UplinkRecords(self.path)
            self.assertEqual((records.words, records.counts), ({}, {}), text[:20])
        counts = {"a": {"begins": "2026-11-01", "octets": 3, "told": 0}, "b": {"begins": "x" * 999}, "c": 5}
        counts |= {
            "d": {"begins": "2026-11-01", "octets": -3, "told": 0},
            "e": {"begins": "2026-11-01", "octets": True},
        }
        counts["f"] = {"begins": "someday", "octets": 3, "told": 0}
        self.path.write_text(json.dumps({"words": {"a": 5, "b": "never", "x" * 99: "never"}, "counts": counts}))
        records = UplinkRecords(self.path)
        self.assertEqual((records.words, list(records.counts)), ({"b": "never"}, ["a"]))

    def test_unreadable(self) -> None:
        """A file that is there and cannot be read is told of in the log; none, or a sound one, is not."""
        texts: tuple[str | None, ...] = (None, '{"words": {}}', '{"words": {"a": "nev', "[]")
        for text, said in zip(texts, (0, 0, 1, 1), strict=True):
            if text is not None:
                self.path.write_text(text)
            with capturedLogs() as lines:
                UplinkRecords(self.path)
            self.assertEqual([line["path"] for line in lines], [str(self.path)] * said, text)
        self.path.unlink()
        self.path.symlink_to("elsewhere")
        with capturedLogs() as lines:
            UplinkRecords(self.path)
        self.assertIn("symbolic links: what was said of uplinks", str(formatEvent(lines[0])))

    def test_unwritable(self) -> None:
        """A disk that takes nothing is told of, and no more."""
        records = UplinkRecords(self.path / "nowhere" / "file")
        records.wish("a", "never")
        self.assertEqual(records.words, {"a": "never"})
