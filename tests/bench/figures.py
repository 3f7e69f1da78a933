"""
Puts what benchmarks measured into docs/figures.md and docs/performance.md, so that no value in there is typed by hand.

    python -m tests.bench.figures                     run every benchmark first
    python -m tests.bench.figures run NAME [ARG ...]  run tests/bench/bench_NAME.py first
    python -m tests.bench.figures read FILE...        take what benchmarks printed earlier ("-" is stdin)
    python -m tests.bench.figures check               say which figures fall short in the page; 1 when one does

Rows are found by their first column; the others stay as they are. What is not between the markers is text for people.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench import curves
from tests.bench.measured import read_lines
from tests.bench.plots import draw

ROOT = Path(__file__).resolve().parents[2]
PAGE, SPEED = ROOT / "docs" / "figures.md", ROOT / "docs" / "performance.md"
PICTURES = ROOT / "docs" / "figures"
_MACHINE = re.compile(r"(<!-- begin machine -->\n).*?(<!-- end machine -->)", re.DOTALL)
SHORT = "**short**"  # stands behind a value that does not keep the promise
_BLOCK = re.compile(r"(<!-- begin (?P<name>[^>]+?) -->\n).*?(<!-- end (?P=name) -->)", re.DOTALL)
ROW = re.compile(r"^\| (?P<figure>[A-H]\d+|item \d+) \|(?P<middle>.*)\| (?P<measured>[^|]*) \|$")

Lines = Sequence[Mapping[str, Any]]


def _number(value: float) -> str:
    whole = abs(value) >= 1000 or float(value).is_integer()
    return f"{value:,.0f}".replace(",", " ") if whole else f"{value:g}"


def told(line: Mapping[str, Any]) -> str:
    """One measured value, as in a cell: "1 TCP down 88.1 % (MPTCP 99.3)"."""
    text = f"{line['case']} {_number(line['value'])} {line['unit']}".strip()
    if line.get("rival_value") is not None:
        text += f" ({line['rival']} {_number(line['rival_value'])})"
    if line.get("kept") is False:
        sign = "≥" if line.get("better", "more") == "more" else "≤"
        text += f" {SHORT} of {sign} {_number(line['wanted'])}"
    return text


def rewritten(page: str, lines: Lines) -> str:
    """The page with these values in it; the last value of a figure's case counts. One that has none of them stays."""
    latest: dict[str, dict[str, Mapping[str, Any]]] = {}
    for line in lines:
        latest.setdefault(str(line["figure"]), {})[str(line["case"])] = line
    text = _BLOCK.sub(lambda found: _block(found, lines), page)
    text = "\n".join(_row(row, latest) for row in text.split("\n"))
    return text if text == page else _MACHINE.sub(lambda found: f"{found[1]}{machine()}\n{found[2]}", text)


def _block(found: re.Match[str], lines: Lines) -> str:
    name = found["name"]
    ours = {str(line["case"]): line for line in lines if line["figure"] == name}
    if not ours:
        return found[0]
    beside = {(str(line["case"]), str(line["rival"])): line for line in lines if line["figure"] == name}
    rivals = list(dict.fromkeys(rival for _, rival in beside if rival))
    rows = [f"| {' | '.join(['case', 'measured', *rivals])} |", "|---" * (2 + len(rivals)) + "|"]
    for case, line in ours.items():
        cells = [case, f"{_number(line['value'])} {line['unit']}{_broken(beside, case)}"]
        for rival in rivals:
            theirs = beside.get((case, rival))
            ratio = f" ({theirs['ratio']:.3g} x)" if theirs and theirs.get("ratio") else ""
            cells.append(f"{_number(theirs['rival_value'])}{ratio}" if theirs else "")
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([f"{found[1]}{rows[0]}", *rows[1:], found[3]])


def _broken(beside: Mapping[tuple[str, str], Mapping[str, Any]], case: str) -> str:
    """What this case promises and does not keep."""
    broken = [line for (name, _), line in beside.items() if name == case and line.get("kept") is False]
    if not broken:
        return ""
    more = broken[0].get("better", "more") == "more"
    return f" {SHORT} of {'≥' if more else '≤'} {_number((max if more else min)(line['wanted'] for line in broken))}"


def _row(row: str, latest: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    found = ROW.match(row)
    if not found or found["figure"] not in latest:
        return row
    values = "; ".join(told(line) for line in latest[found["figure"]].values())
    return f"| {found['figure']} |{found['middle']}| {values} |"


def machine() -> str:
    """Where and when, in one line."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    parts = [
        time.strftime("%Y-%m-%d"),
        f"commit {commit.stdout.strip() or 'unknown'}",
        f"{os.cpu_count()} processors ({cpu[1].strip() if cpu else platform.machine()})",
        f"Linux {platform.release().split('-')[0]}",
        f"Python {platform.python_version()}",
    ]
    return ", ".join(parts) + "."


def run(names: Iterable[str], arguments: Sequence[str]) -> str:
    """What these benchmarks print; a broken promise does not stop the others."""
    printed = []
    for name in names:
        command = [sys.executable, "-m", f"tests.bench.{name}", *arguments]
        print(f"figures: {name}", file=sys.stderr, flush=True)
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                sys.stdout.write(line)
                sys.stdout.flush()
                printed.append(line)
    return "".join(printed)


def main(arguments: list[str]) -> int:
    """Do what the arguments ask for, as the top of this file has it; return the exit status."""
    if arguments == ["check"]:
        rows = [row for page in (PAGE, SPEED) for row in page.read_text().splitlines()]
        short = [row for row in rows if row.startswith("|") and SHORT in row]
        print("\n".join(short) or "every figure in the page is kept")
        return 1 if short else 0
    match arguments:
        case []:
            text = run(sorted(file.stem for file in Path(__file__).parent.glob("bench_*.py")), [])
        case ["run", name, *more]:
            text = run([f"bench_{name.removeprefix('bench_')}"], more)
        case ["read", *files] if files:
            text = "\n".join(sys.stdin.read() if file == "-" else Path(file).read_text() for file in files)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    lines = list(read_lines(text))
    for page in (PAGE, SPEED):
        page.write_text(rewritten(page.read_text(), lines))
    pictures = [*draw(lines, PICTURES), *curves.draw(list(curves.read_curves(text)), PICTURES)]
    print(f"figures: {len(lines)} values into docs, {len(pictures)} pictures", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
