"""
Every parser for some minutes under a fuzzer that is led by coverage (`make fuzz`).

Each target (tests/fuzz/targets.py) starts from its good examples and from what was kept (tests/fuzz/corpus). What makes
one raise anything that it has not declared, hang for 5 s or grow beyond 1 GiB is a fault: its input is left in
build/fuzz/TARGET, and the exit code is 1. With --keep the smallest inputs that reach all that was reached are kept.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from morphnet.errors import ConfigError
from tests.fuzz.corpus import LONGEST, keep, kept
from tests.fuzz.target import Target
from tests.fuzz.targets import named

WORK = Path("build/fuzz")
HANG, MEMORY = 5, 1024  # seconds of one input, MiB of the process
STARTING = 60  # seconds that a process may take besides


def main() -> int:
    """Fuzz; the exit code is 0 when nothing was found."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    options.add_argument("--minutes", type=float, default=1.0, help="for each target")
    options.add_argument("--jobs", type=int, default=2, help="targets at a time")
    options.add_argument("--keep", action="store_true", help="keep what was found to be of use in tests/fuzz/corpus")
    options.add_argument("targets", nargs="*", help="all when none is named")
    asked = options.parse_args()
    try:
        chosen = named(asked.targets)
    except ConfigError as problem:
        options.error(str(problem))
    good = True
    with ThreadPoolExecutor(asked.jobs) as pool:
        for under_way in as_completed([pool.submit(_fuzz, each, asked.minutes * 60, asked.keep) for each in chosen]):
            sentence, sound = under_way.result()
            print(sentence, flush=True)
            good &= sound
    return 0 if good else 1


def _fuzz(target: Target, seconds: float, keeping: bool) -> tuple[str, bool]:
    """One target; answers with a sentence, and whether all was well."""
    inputs, crashes = WORK / target.name / "inputs", WORK / target.name
    inputs.mkdir(parents=True, exist_ok=True)
    for each in (*target.seeds, *kept(target.name)):
        (inputs / hashlib.sha256(each).hexdigest()).write_bytes(each)
    known, begun = {each.name for each in crashes.iterdir()}, time.monotonic()
    code, said = _libfuzzer(target, crashes, seconds + STARTING, f"-max_total_time={seconds:.0f}", str(inputs))
    runs = next((line.split()[1] for line in reversed(said) if line.startswith("Done ")), "?")
    if code:
        found = sorted(each.name for each in crashes.iterdir() if each.name not in known)
        why = next((line for line in said if line.startswith(("===", "ERROR", "==")) or "Error" in line), said[-1:])
        return f"fuzz: {target.name}: FOUND {', '.join(found) or 'a fault'} in {crashes}: {why}", False
    more = f", {_minimised(target, inputs, crashes)} inputs kept" if keeping else ""
    return f"fuzz: {target.name}: {runs} inputs in {time.monotonic() - begun:.0f} s, nothing found{more}", True


def _minimised(target: Target, inputs: Path, crashes: Path) -> int:
    smallest = WORK / target.name / "smallest"
    smallest.mkdir(exist_ok=True)
    _libfuzzer(target, crashes, 600, "-merge=1", str(smallest), str(inputs))
    count = keep(target.name, (each.read_bytes() for each in smallest.iterdir()))
    for each in smallest.iterdir():
        each.unlink()
    return count


def _libfuzzer(target: Target, crashes: Path, patience: float, *options: str) -> tuple[int, list[str]]:
    """Its exit code, and what it said."""
    command = [sys.executable, "-m", "tests.fuzz.one", target.name, f"-artifact_prefix={crashes}/", f"-timeout={HANG}"]
    command += [f"-rss_limit_mb={MEMORY}", f"-max_len={LONGEST * 4}", "-print_final_stats=0", *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=patience, check=False)
    except subprocess.TimeoutExpired:
        return 1, [f"ERROR: {target.name} did not end by itself"]
    return done.returncode, done.stderr.splitlines() + done.stdout.splitlines()


if __name__ == "__main__":
    sys.exit(main())
