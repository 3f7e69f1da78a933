"""Where phones were heard last, over a restart."""

from __future__ import annotations

import stat
from pathlib import Path

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from morphnet.store.phones import MOST, NEVER, Heard, Whereabouts

HERE = Heard(1_800_000_000, "198.51.100.6:40123")


class WhereaboutsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def test_over_a_restart(self) -> None:
        """What was known is known to the next one, and is nobody else's to read."""
        Whereabouts(self.path).are({"key": HERE})
        self.assertEqual(Whereabouts(self.path).of("key"), HERE)
        self.assertEqual(Whereabouts(self.path).of("other"), NEVER)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_nothing_new(self) -> None:
        """The file is written when something is new, and not else."""
        known = Whereabouts(self.path)
        known.are({})
        self.assertFalse(self.path.exists())
        known.are({"key": HERE})
        self.path.unlink()
        known.are({"key": HERE})
        self.assertFalse(self.path.exists())
        Whereabouts().are({"key": HERE})

    def test_bounded(self) -> None:
        """Of too many those stay that were heard last."""
        known = Whereabouts(self.path)
        known.are({str(number): Heard(number + 1, "192.0.2.1:1") for number in range(MOST + 1)})
        self.assertEqual((known.of("0"), known.of("1")), (NEVER, Heard(2, "192.0.2.1:1")))

    def test_spoilt(self) -> None:
        """What is no such file, or no such line of it, was never known."""
        wrong = '[1.5, "a:1"]', '[0, "a:1"]', '[5, "a"]', '[5, "a:x"]', '[5, "\\n:1"]', "[5]", "5", '[5, ":1"]'
        lines = ", ".join(f'"{number}": {each}' for number, each in enumerate(wrong))
        for text in ("", "[]", "{", "5", f"{{{lines}}}"):
            self.path.write_text(text)
            known = Whereabouts(self.path)
            self.assertEqual({known.of(str(number)) for number in range(len(wrong))}, {NEVER})

    def test_full_disk(self) -> None:
        """Where it cannot be written all goes on, and that is said once; when it can be again it is."""
        known = Whereabouts(self.path / "file")
        with capturedLogs() as said:
            for _ in range(3):
                known.are({"key": HERE})
        self.assertEqual((known.of("key"), [each["why"] for each in said]), (HERE, ["No such file or directory"]))
        self.path.mkdir()
        known.are({"key": HERE})
        self.assertEqual(Whereabouts(self.path / "file").of("key"), HERE)

    def test_within(self) -> None:
        """What is to come was not heard lately, nor was what never was."""
        self.assertEqual(
            [HERE.within(9, HERE.at + each) for each in (-9, -8, 0, 8, 9)], [False, True, True, True, False]
        )
        self.assertFalse(NEVER.within(9, 5))
