"""
Every test, in four runs, and their sum as the last line: `N passed, N failed, N skipped`.

pure        all that touches no network, on two processes
source      of those the data plane's again, on the source of what was compiled
lab         `tests.lab`, inside the lab's own namespaces: on two processes, each with its own networks, those that take
            longest first; then, one at a time, classes that say `alone = True`: they load the whole machine, or
            what they time must not compete
rootless    `tests.lab` again as nobody, when root started us: what works for root must work for everyone
            (a test class that says `rootless = False` is left out of this run)

In CI (`CI` is set) a test may not skip. There up to three tests of a run that fail run once more by themselves: what
passes then is told in the last lines as unsteady, which is a fault to find, and refuses nobody's work.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple, TextIO
from unittest import TestCase, TestSuite

from twisted.trial.runner import TestLoader

from morphnet import compiled
from tests.runs import Tally, read_tally

ROOT = Path(__file__).resolve().parent.parent
RUNS = ("pure", "source", "lab", "rootless")
# Modules that take longest, and so begin first.
LONGEST = ("home", "restart", "forgetful", "mesh", "switch", "balance", "upload_doctor", "revocation", "years")
OF_SOURCE = ("tests.tunnel.", "tests.wire.")
ENTER = (sys.executable, "-m", "morphnet.lab.enter", "--")
UNSTEADY = 3  # tests of a run
AS_NOBODY = (str(ROOT / "tests/lab/as_nobody.sh"),)


def main() -> int:
    """Run what was asked for; the exit code is 0 when all is well."""
    options = argparse.ArgumentParser(prog="python -m tests", description=__doc__)
    options.add_argument("--only", choices=RUNS, help="one of the runs")
    options.add_argument("--jobs", type=int, default=2, help="processes at a time; 1: one test after the other")
    options.add_argument("tests", nargs="*", help="modules, classes or tests; all when none is named")
    asked = options.parse_args()
    total = Tally()
    for run in [asked.only] if asked.only else RUNS:
        if run == "rootless" and os.geteuid() != 0 and not asked.only:
            continue  # the lab run was rootless already
        if run == "source" and not compiled.IN_USE and not asked.only:
            continue  # the pure run was that already
        total += _run(run, _found(run, asked.tests), asked.jobs)
    for skip in total.skips:
        print(f"skipped {skip}")
    for failure in total.unsteady:
        print(f"unsteady, passed by itself after {failure}")
    for failure in total.failures:
        print(f"failed {failure}")
    if total.skipped and os.environ.get("CI"):
        print("in CI no test may skip")
    if not total.passed and not total.failed and not total.skipped:
        print("no test was found")
        total += Tally(failed=1)
    print(total, flush=True)
    return 1 if total.failed or (total.skipped and os.environ.get("CI")) else 0


class Found(NamedTuple):
    """A class of tests, or what else trial was asked for by name."""

    name: str
    tests: int = 1
    alone: bool = False

    @property
    def module(self) -> str:
        """Where it is."""
        return ".".join(self.name.split(".")[:3])


def _run(run: str, found: list[Found], jobs: int) -> Tally:
    if not found:
        return Tally()
    print(f"tests: {run}, {len(found)} classes", flush=True)
    began = time.monotonic()
    if run in ("pure", "source"):
        names = [each.name for each in found]
        tally = _trial(run, [f"--jobs={jobs}", *names])
    else:
        crowd, alone = [each for each in found if not each.alone], [each for each in found if each.alone]
        tally = _side_by_side(run, modules_of(crowd), jobs)
        if alone:
            tally += _trial(run, [each.name for each in alone])
    print(f"tests: {run}: {tally}, {time.monotonic() - began:.0f} s", flush=True)
    failed = tally.failed_tests
    if os.environ.get("CI") and 0 < len(failed) <= UNSTEADY:
        print(f"tests: {run}, what failed once more", flush=True)
        tally = tally.once_more(_trial(run, list(failed)))
    return tally


def modules_of(found: list[Found]) -> list[list[Found]]:
    """What is in one module shares networks, and stays together; those that take longest first."""
    modules: dict[str, list[Found]] = {}
    for each in found:
        modules.setdefault(each.module, []).append(each)

    def late(module: list[Found]) -> tuple[int, int]:
        name = module[0].module.rpartition("test_")[2]
        return LONGEST.index(name) if name in LONGEST else len(LONGEST), -sum(each.tests for each in module)

    return sorted(modules.values(), key=late)


def _side_by_side(run: str, parts: list[list[Found]], jobs: int) -> Tally:
    """Each part by a trial of its own, so many at a time; what one says follows when it has ended."""
    total = Tally()
    with ThreadPoolExecutor(jobs) as pool:
        for under_way in as_completed([pool.submit(_said, run, part) for part in parts]):
            said, tally = under_way.result()
            sys.stdout.write(said)
            sys.stdout.flush()
            total += tally
    return total


def _said(run: str, part: list[Found]) -> tuple[str, Tally]:
    to, began = io.StringIO(), time.monotonic()
    tally = _trial(run, [each.name for each in part], to)
    return f"{to.getvalue()}tests: {part[0].module}: {time.monotonic() - began:.0f} s\n", tally


def _trial(run: str, arguments: list[str], to: TextIO = sys.stdout) -> Tally:
    """Run trial, let its words pass, and count them."""
    printed, pipe, environment = [], subprocess.PIPE, dict(os.environ)
    before: tuple[str, ...] = ()
    if run in ("lab", "rootless"):
        before = ENTER if run == "lab" or os.geteuid() != 0 else (*AS_NOBODY, *ENTER)
    if run == "source":
        environment["MORPHNET_CORE"] = "c"
    with tempfile.TemporaryDirectory(prefix="morphnet-tests-") as place:
        os.chmod(place, 0o1777)  # the rootless run writes here too
        command = [*before, sys.executable, "-m", "twisted.trial", f"--temp-directory={place}/trial", "--rterrors"]
        command += arguments
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True
        ) as trial:
            assert trial.stdout is not None  # asked for above
            for line in trial.stdout:
                printed.append(line)
                to.write(line)
                to.flush()
    return read_tally("".join(printed), trial.returncode)


def _found(run: str, asked: list[str]) -> list[Found]:
    """The test classes of one run; what could not be imported comes back under its own name, for trial to complain."""
    loader = TestLoader()
    found: dict[str, Found] = {}
    for name in asked or _everything():
        in_lab = name.startswith("tests.lab")
        if in_lab != (run in ("lab", "rootless")) or (run == "source" and not name.startswith(OF_SOURCE)):
            continue
        if name.count(".") > 2 and name.rpartition(".")[2].startswith("test_"):
            found[name] = Found(name)
            continue
        for test in _cases(loader.loadByName(name, recurse=True)):
            if not isinstance(test, TestCase):  # trial's stand-in for a module that does not load
                found[name] = Found(name)
            elif run != "rootless" or getattr(test, "rootless", True):
                of = test.id().rpartition(".")[0]
                before = found.get(of, Found(of, 0, getattr(test, "alone", False)))
                found[of] = before._replace(tests=before.tests + 1)
    return sorted(found.values())


def _everything() -> list[str]:
    """Every test module, as `tests.wire.test_frames`; benchmarks are no tests."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    modules = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    return [module for module in modules if not module.startswith("tests.bench.")]


def _cases(suite: object) -> Iterator[object]:
    if isinstance(suite, TestSuite):
        for part in suite:
            yield from _cases(part)
    else:
        yield suite


if __name__ == "__main__":
    sys.exit(main())
