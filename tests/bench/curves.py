"""
Pictures of rates over time: docs/figures/beside-*.svg, from the curves that bench_fairness tells.

One panel for each that was in the tunnel's place, all with the same axes, one below the other; it and the others in it.
Plain text that a browser draws; nothing but the standard library.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from tests.bench.contest import ALONE, BESIDE_FOR

WIDTH, LEFT, RIGHT, TOP, PANEL, BETWEEN, FOOT = 760, 56, 130, 52, 120, 34, 40  # pixels
MOST = 1.05  # share of the bottleneck at a panel's upper edge
SMOOTH = 4  # values that a point is the mean of: a sawtooth hides what happens
OURS, THEIRS, INK, FAINT = "#1b7f79", "#8b97a1", "#22303a", "#e3e8ec"
NAMES = {"bare cable": "plain TCP"}  # by who was in the tunnel's place


@dataclass(frozen=True)
class Panel:
    """One contest."""

    who: str
    every: float  # seconds of one value
    ours: tuple[float, ...]  # shares of the bottleneck
    theirs: tuple[float, ...]


QUEUE = "with a queue of 100 ms"
PICTURES = {  # file: the case that is shown, and what it is
    "beside-100.svg": ("100M/20ms/q100ms/down/1cubic", f"Beside one other download: 100 Mbit/s, 20 ms, {QUEUE}"),
    "beside-20.svg": ("20M/40ms/q100ms/down/1cubic", f"Beside one other download: 20 Mbit/s, 40 ms, {QUEUE}"),
    "beside-four.svg": ("100M/20ms/q100ms/down/4cubic", f"Beside four other downloads: 100 Mbit/s, 20 ms, {QUEUE}"),
    "beside-bbr.svg": ("100M/20ms/q100ms/down/1bbr", f"Beside a download with BBR: 100 Mbit/s, 20 ms, {QUEUE}"),
}


def read_curves(text: str) -> Iterator[dict[str, Any]]:
    """The curves among what benchmarks printed."""
    for line in text.splitlines():
        if line.startswith('{"curves"'):
            yield json.loads(line)


def panels(case: str, curves: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """The latest of everybody in that case, in the order in which they were told first."""
    latest = {str(each["who"]): each for each in curves if each["curves"] == case}
    return [Panel(who, each["every"], tuple(each["ours"]), tuple(each["theirs"])) for who, each in latest.items()]


def smoothed(values: Sequence[float]) -> list[float]:
    """Each with those just before it."""
    parts = [values[max(0, place - SMOOTH + 1) : place + 1] for place in range(len(values))]
    return [sum(part) / len(part) for part in parts]


def drawn(title: str, shown: Sequence[Panel]) -> str:
    """As SVG."""
    height = TOP + len(shown) * (PANEL + BETWEEN) - BETWEEN + FOOT
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="24" font-size="14" font-weight="bold" fill="{INK}">{escape(title)}</text>',
    ]
    seconds = max(len(panel.ours) * panel.every for panel in shown)
    for place, panel in enumerate(shown):
        out += _panel(panel, TOP + place * (PANEL + BETWEEN), seconds)
    foot = height - FOOT + 16
    out += [
        f'<text x="{_x(at, seconds):.0f}" y="{foot}" text-anchor="middle" fill="{INK}">{at:g} s</text>'
        for at in (0.0, ALONE, ALONE + BESIDE_FOR, seconds)
    ]
    return "\n".join([*out, "</svg>", ""])


def _x(at: float, seconds: float) -> float:
    return LEFT + at / seconds * (WIDTH - LEFT - RIGHT)


def _panel(panel: Panel, top: int, seconds: float) -> list[str]:
    """One contest: who, a grid, the time of the others shaded, two lines with their names."""
    name = NAMES.get(panel.who, panel.who)
    begin, end, right = _x(ALONE, seconds), _x(ALONE + BESIDE_FOR, seconds), WIDTH - RIGHT
    out = [
        f'<text x="{LEFT}" y="{top - 8}" font-weight="bold" fill="{INK}">{escape(name)}</text>',
        f'<rect x="{begin:.1f}" y="{top}" width="{end - begin:.1f}" height="{PANEL}" fill="#f4f6f8"/>',
    ]
    for share in (0.0, 0.5, 1.0):
        y = _y(share, top)
        out.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="{FAINT}"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="{INK}">{share:.0%}</text>')
    for values, colour, width in ((panel.theirs, THEIRS, 1.5), (panel.ours, OURS, 2.0)):
        points = " ".join(
            f"{_x((place + 1) * panel.every, seconds):.1f},{_y(min(share, MOST), top):.1f}"
            for place, share in enumerate(smoothed(values))
        )
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}"/>')
    for text, colour, y in ((name, OURS, top + 16), ("the others", THEIRS, top + 34)):
        out.append(f'<text x="{right + 10}" y="{y}" fill="{colour}">{escape(text)}</text>')
    return out


def _y(share: float, top: int) -> float:
    return top + PANEL * (1 - share / MOST)


def draw(curves: Sequence[Mapping[str, Any]], directory: Path) -> list[Path]:
    """Every picture of which there are curves, written to `directory`."""
    made = []
    for file, (case, title) in PICTURES.items():
        shown = panels(case, curves)
        if shown:
            directory.mkdir(exist_ok=True)
            (directory / file).write_text(drawn(title, shown))
            made.append(directory / file)
    return made
