"""
What one run of trial printed, as counts.

Source: `twisted.trial.reporter`, `TreeReporter` and `Reporter._printSummary`: one section for each reason, then
"Ran N tests in S s", then "PASSED (skips=1, successes=2)" or "FAILED (failures=1, errors=1, successes=2)".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_RAN = re.compile(r"^Ran (\d+) tests? in ", re.MULTILINE)
_RESULT = re.compile(r"^(?:PASSED|FAILED)(?: \((.*)\))?$", re.MULTILINE)
_SECTION = re.compile(r"^={70,}$", re.MULTILINE)
_TEST = re.compile(r"tests\.[\w.]+\.[A-Z]\w*\.test_\w+")
_BAD = ("failures", "errors", "unexpectedSuccesses")
_SKIPS, _FAILURES = ("[SKIPPED]", "[TODO]"), ("[FAIL]", "[ERROR]", "[SUCCESS!?!]")
_PUT_OFF = ("skips", "expectedFailures")  # an expected failure is a promise put off, as a skip is


@dataclass(frozen=True, slots=True)
class Tally:
    """The result of one or several runs."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    skips: tuple[str, ...] = ()  # "test: reason", one for each
    failures: tuple[str, ...] = ()  # the same
    unsteady: tuple[str, ...] = ()  # the same, of tests that passed when they ran once more by themselves

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.skips + other.skips,
            self.failures + other.failures,
            self.unsteady + other.unsteady,
        )

    @property
    def failed_tests(self) -> tuple[str, ...]:
        """Names of what failed; none if something failed that is no test: a module, a whole run."""
        names = tuple(each.partition(": ")[0] for each in self.failures)
        return names if len(names) == self.failed and all(_TEST.fullmatch(each) for each in names) else ()

    def once_more(self, again: Tally) -> Tally:
        """What this run comes to when its failed tests ran again, by themselves, to that end."""
        if again.failed or again.passed != self.failed:
            return self
        return replace(self, passed=self.passed + self.failed, failed=0, failures=(), unsteady=self.failures)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def read_tally(printed: str, exit_code: int) -> Tally:
    """
    Count what trial printed.

    A run that ended without a result, or with a bad exit code and no failure to show for it, counts as one failure.
    """
    ran, results = _RAN.search(printed), list(_RESULT.finditer(printed))
    if ran is None or not results:
        last = (printed.strip().splitlines() or ["it said nothing"])[-1]
        return Tally(failed=1, failures=(f"a run that came to no result: {last}",))
    counts = {"successes": 0}
    for item in filter(None, (results[-1].group(1) or "").split(", ")):
        name, _, number = item.partition("=")
        counts[name] = int(number)
    failed = sum(counts.get(name, 0) for name in _BAD)
    if exit_code != 0 and failed == 0:
        failed = 1
    skipped = sum(counts.get(name, 0) for name in _PUT_OFF)
    skips, failures = _read_sections(printed, _SKIPS, first=True), _read_sections(printed, _FAILURES, first=False)
    return Tally(counts["successes"], failed, skipped, skips, failures)


def _read_sections(printed: str, heads: tuple[str, ...], *, first: bool) -> tuple[str, ...]:
    """
    Each test of these sections, and why: "test: reason".

    :param first: the reason is the first line of a section; else its last one, as a traceback has it.
    """
    told: list[str] = []
    for section in _SECTION.split(printed):
        lines = section.strip().splitlines()
        if not lines or lines[0] not in heads:
            continue
        # The names come last, after an empty line; the summary of the run may follow them after a line of dashes.
        body = [line for line in lines[1:] if not line.startswith(("Ran ", "PASSED", "FAILED"))]
        names = [line for line in body if re.fullmatch(r"[\w.]+\.\w+", line)]
        reasons = [line for line in body if line.strip("- ") and line not in names] or ["no reason given"]
        told.extend(f"{name}: {reasons[0] if first else reasons[-1]}" for name in names)
    return tuple(told)
