"""What a benchmark says: one JSON line per measured value, which `tests.bench.figures` puts into docs/figures."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import median
from typing import Literal

CANNOT = 77  # exit code: not on this machine
_ENTERED = "MORPHNET_BENCH_ENTERED"


@dataclass(frozen=True)
class Measured:
    """One value of one figure."""

    figure: str  # id, as "B1"
    case: str  # which of its cases, as "1 TCP down"
    value: float
    unit: str  # as "%", "ms", "packets/s"
    wanted: float | None = None  # what it must reach; None: for information only
    better: Literal["more", "less"] = "more"
    rival: str = ""  # what was measured beside it, in the same run
    rival_value: float | None = None
    rounds: tuple[float, ...] = ()  # when measured more than once: `value` is their median

    @property
    def kept(self) -> bool | None:
        """Whether the promise holds; None when there is none."""
        if self.wanted is None:
            return None
        return self.value >= self.wanted if self.better == "more" else self.value <= self.wanted

    def line(self) -> str:
        """As JSON."""
        ratio = round(self.value / self.rival_value, 3) if self.rival_value else None
        return json.dumps({**asdict(self), "ratio": ratio, "kept": self.kept})


def tell(measured: Measured) -> None:
    """Print it, at once."""
    print(measured.line(), flush=True)


def middle(rounds: list[float], digits: int = 1) -> float:
    """Their median, rounded."""
    return round(median(rounds), digits)


def read_lines(text: str) -> Iterator[dict[str, object]]:
    """The measured values among what benchmarks printed."""
    for line in text.splitlines():
        if line.startswith("{"):
            told = json.loads(line)
            if "figure" in told and "value" in told:
                yield told


def enter_lab(module: str) -> None:
    """Go on inside the lab's namespaces: this program is replaced by itself in there, unless it is there already."""
    if os.environ.get(_ENTERED):
        return
    os.environ[_ENTERED] = "1"
    command = [sys.executable, "-m", "morphnet.lab.enter", "--", sys.executable, "-m", module, *sys.argv[1:]]
    os.execv(sys.executable, command)
