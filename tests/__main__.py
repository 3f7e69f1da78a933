"""
Every test, in four runs, and their sum as the last line: `N passed, N failed, N skipped`.

pure        all that touches no network, on two processes
source      of those the data plane's again, on the source of what was compiled
lab         `tests.lab`, one at a time (what they time must not compete), inside the lab's own namespaces
rootless    `tests.lab` again as nobody, when root started us: what works for root must work for everyone
            (a test class that says `rootless = False` is left out of this run)

In CI (`CI` is set) a test may not skip.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import TestCase, TestSuite

from twisted.trial.runner import TestLoader

from morphnet import compiled
from tests.runs import Tally, read_tally

ROOT = Path(__file__).resolve().parent.parent
RUNS = ("pure", "source", "lab", "rootless")
OF_SOURCE = ("tests.tunnel.", "tests.wire.")
ENTER = (sys.executable, "-m", "morphnet.lab.enter", "--")
AS_NOBODY = (str(ROOT / "tests/lab/as_nobody.sh"),)


def main() -> int:
    """Run what was asked for; the exit code is 0 when all is well."""
    options = argparse.ArgumentParser(prog="python -m tests", description=__doc__)
    options.add_argument("--only", choices=RUNS, help="one of the runs")
    options.add_argument("--jobs", type=int, default=2, help="processes for the pure run")
    options.add_argument("tests", nargs="*", help="modules, classes or tests; all when none is named")
    asked = options.parse_args()
    total = Tally()
    for run in [asked.only] if asked.only else RUNS:
        if run == "rootless" and os.geteuid() != 0 and not asked.only:
            continue  # the lab run was rootless already
        if run == "source" and not compiled.IN_USE and not asked.only:
            continue  # the pure run was that already
        total += _run(run, asked.tests, asked.jobs)
    for skip in total.skips:
        print(f"skipped {skip}")
    if total.skipped and os.environ.get("CI"):
        print("in CI no test may skip")
    if not total.passed and not total.failed and not total.skipped:
        print("no test was found")
        total += Tally(failed=1)
    print(total, flush=True)
    return 1 if total.failed or (total.skipped and os.environ.get("CI")) else 0


def _run(run: str, asked: list[str], jobs: int) -> Tally:
    names = sorted(set(_names(run, asked)))
    if not names:
        return Tally()
    print(f"tests: {run}, {len(names)} classes", flush=True)
    with tempfile.TemporaryDirectory(prefix="morphnet-tests-") as workdir:
        os.chmod(workdir, 0o777)  # the rootless run writes here too
        trial = [sys.executable, "-m", "twisted.trial", f"--temp-directory={workdir}/trial", "--rterrors"]
        if run in ("pure", "source"):
            trial.append(f"--jobs={jobs}")
            before: tuple[str, ...] = ()
        else:
            before = ENTER if run == "lab" or os.geteuid() != 0 else (*AS_NOBODY, *ENTER)
        tally = _watch([*before, *trial, *names], {"MORPHNET_CORE": "c"} if run == "source" else {})
    print(f"tests: {run}: {tally}", flush=True)
    return tally


def _watch(command: list[str], environment: dict[str, str]) -> Tally:
    """Run trial, let its words pass, and count them."""
    printed, pipe = [], subprocess.PIPE
    whole = {**os.environ, **environment}
    with subprocess.Popen(command, cwd=ROOT, env=whole, stdout=pipe, stderr=subprocess.STDOUT, text=True) as trial:
        assert trial.stdout is not None  # asked for above
        for line in trial.stdout:
            printed.append(line)
            sys.stdout.write(line)
            sys.stdout.flush()
    return read_tally("".join(printed), trial.returncode)


def _names(run: str, asked: list[str]) -> Iterator[str]:
    """The test classes of one run; what could not be imported comes back under its own name, for trial to complain."""
    loader = TestLoader()
    for name in asked or _everything():
        in_lab = name.startswith("tests.lab")
        if in_lab != (run in ("lab", "rootless")) or (run == "source" and not name.startswith(OF_SOURCE)):
            continue
        if name.count(".") > 2 and name.rpartition(".")[2].startswith("test_"):
            yield name
            continue
        for test in _cases(loader.loadByName(name, recurse=True)):
            if not isinstance(test, TestCase):  # trial's stand-in for a module that does not load
                yield name
            elif run != "rootless" or getattr(test, "rootless", True):
                yield test.id().rpartition(".")[0]


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
