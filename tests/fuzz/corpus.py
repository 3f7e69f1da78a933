"""
The inputs that were kept: one text file a target, one input a line, in base64, sorted.

Small on purpose (MOST inputs of at most LONGEST bytes): they are what `make test` reads again, and where the next
`make fuzz` begins.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"
MOST = 64  # inputs of one target
LONGEST = 1024  # bytes of one input


def _file(name: str) -> Path:
    return FOLDER / f"{name}.txt"


def kept(name: str) -> list[bytes]:
    """What is kept for that target."""
    file = _file(name)
    return [base64.b64decode(line) for line in file.read_text("ascii").splitlines()] if file.exists() else []


def keep(name: str, inputs: Iterable[bytes]) -> int:
    """Put these in the place of what was kept, the shortest first as far as there is room; answers how many were."""
    chosen = sorted({each for each in inputs if len(each) <= LONGEST}, key=lambda each: (len(each), each))[:MOST]
    lines = sorted(base64.b64encode(each).decode("ascii") for each in chosen)
    FOLDER.mkdir(exist_ok=True)
    _file(name).write_text("".join(f"{line}\n" for line in lines), "ascii")
    return len(chosen)
