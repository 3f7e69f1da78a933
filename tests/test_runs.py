"""What is read off a run of trial."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.__main__ import LONGEST, ROOT, Found, modules_of
from tests.runs import Tally, read_tally

LINE = "=" * 79
FAILED = f"""
tests.a.test_b
  B
    test_c ...                                                        [SKIPPED]

{LINE}
[SKIPPED]
no ssh here

tests.a.test_b.B.test_c
tests.a.test_b.B.test_d
{LINE}
[FAIL]
Traceback (most recent call last):
  File "b.py", line 3, in test_e
twisted.trial.unittest.FailTest: 1 != 2

tests.a.test_b.B.test_e
-------------------------------------------------------------------------------
Ran 7 tests in 0.123s

FAILED (skips=2, failures=1, errors=1, successes=3)
"""


class ReadTallyTests(SynchronousTestCase):
    def test_failed_run(self) -> None:
        """Failures and errors both failed; each skip and each failure has its name and its reason."""
        skips = ("tests.a.test_b.B.test_c: no ssh here", "tests.a.test_b.B.test_d: no ssh here")
        failures = ("tests.a.test_b.B.test_e: twisted.trial.unittest.FailTest: 1 != 2",)
        self.assertEqual(read_tally(FAILED, 1), Tally(3, 2, 2, skips, failures))

    def test_passed_run(self) -> None:
        """A run in which all is well has successes and nothing else."""
        self.assertEqual(read_tally("Ran 3 tests in 0.1s\n\nPASSED (successes=3)\n", 0), Tally(3, 0, 0))

    def test_crash(self) -> None:
        """A run that never came to its result failed, whatever it exits with."""
        failures = ("a run that came to no result: Segmentation fault",)
        self.assertEqual(read_tally("Segmentation fault\n", 0), Tally(failed=1, failures=failures))

    def test_bad_exit_code(self) -> None:
        """A bad exit code is never all well."""
        self.assertEqual(read_tally("Ran 3 tests in 0.1s\n\nPASSED (successes=3)\n", 1), Tally(3, 1, 0))

    def test_sum(self) -> None:
        """The closing line sums the runs."""
        self.assertEqual(str(Tally(3, 2, 2, ("a",)) + Tally(1, 0, 0)), "4 passed, 2 failed, 2 skipped")

    def test_unsteady(self) -> None:
        """Who passes by itself is counted as passed and named apart; who fails again, or is no test, has failed."""
        why = "tests.a.test_b.B.test_c: late"
        once = Tally(passed=5, failed=1, failures=(why,))
        self.assertEqual(once.failed_tests, ("tests.a.test_b.B.test_c",))
        self.assertEqual(once.once_more(Tally(passed=1)), Tally(passed=6, unsteady=(why,)))
        for again in (Tally(failed=1), Tally(), Tally(skipped=1), Tally(passed=1, failed=1)):
            self.assertEqual(once.once_more(again), once)
        for failures in ((), ("tests.a.test_b: no such module",), ("a run that came to no result: x",)):
            self.assertEqual(Tally(failed=1, failures=failures).failed_tests, ())
        self.assertEqual((once.once_more(Tally(passed=1)) + Tally(passed=1)).unsteady, (why,))


class OrderTests(SynchronousTestCase):
    def test_longest_first(self) -> None:
        """Modules that take longest begin first, then those with many tests; classes of one stay together."""
        found = [Found("tests.lab.test_a.A", 9), Found("tests.lab.test_b.B", 5), Found("tests.lab.test_b.C", 5)]
        found.append(Found(f"tests.lab.test_{LONGEST[0]}.D", 1))
        names = [[each.name[-1] for each in module] for module in modules_of(found)]
        self.assertEqual(names, [["D"], ["B", "C"], ["A"]])

    def test_there(self) -> None:
        """None of them has gone."""
        self.assertEqual([each for each in LONGEST if not (ROOT / f"tests/lab/test_{each}.py").exists()], [])
