"""
Pictures of what benchmarks measured: docs/figures/*.svg, from their JSON lines, as tests/bench/figures reads them.

Bars only, as plain text that a browser draws; nothing but the standard library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

WIDTH, LEFT, RIGHT, BAR, GAP, TOP, FOOT = 760, 210, 90, 22, 8, 44, 14  # pixels
OURS, THEIRS = "#1b7f79", "#a9b4bd"

Lines = Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class Bar:
    """One of a picture's bars."""

    label: str
    value: float
    ours: bool


@dataclass(frozen=True)
class Picture:
    """What is drawn: the case that `figure` told, of ours and of every rival."""

    file: str
    title: str
    figure: str
    cases: tuple[tuple[str, str], ...]  # (case as told, label of our bar)
    rival: str = "{rival}"  # label of the bar beside it


PICTURES = (
    Picture(
        "throughput.svg",
        "One TCP stream down, Gbit/s (more is better)",
        "rivals",
        (("morphnet: TCP down", "morphnet"), ("morphnet, pure: TCP down", "morphnet, pure Python")),
    ),
    Picture(
        "processor.svg",
        "Processor time for a gigabyte, both ends and the kernel, seconds (less is better)",
        "rivals",
        (
            ("morphnet: processor, TCP down", "morphnet"),
            ("morphnet, pure: processor, TCP down", "morphnet, pure Python"),
        ),
    ),
    Picture(
        "packets.svg",
        "1200-byte UDP packets a second at under 1 % loss (more is better)",
        "rivals",
        (("morphnet: 1200-byte packets", "morphnet"), ("morphnet, pure: 1200-byte packets", "morphnet, pure Python")),
    ),
    Picture(
        "latency.svg",
        "Echo beside a full TCP stream, 100 Mbit/s and 20 ms, in ms (less is better)",
        "latency",
        (
            ("echo p50, beside TCP down", "tunnel, median"),
            ("echo p95, beside TCP down", "tunnel, p95"),
        ),
        "bare wire, {quantile}",
    ),
)


def bars(picture: Picture, lines: Lines) -> list[Bar]:
    """Ours first, as the picture orders them; a rival once for each of our cases that names it."""
    ours, theirs = list[Bar](), dict[str, Bar]()
    latest: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        if line["figure"] == picture.figure:
            latest.setdefault(str(line["case"]), []).append(line)
    for case, label in picture.cases:
        for line in latest.get(case, []):
            if not any(bar.label == label for bar in ours):
                ours.append(Bar(label, float(line["value"]), True))
            if line.get("rival_value") is not None:
                quantile = label.rpartition(", ")[2]
                name = picture.rival.format(rival=line["rival"], quantile=quantile)
                theirs.setdefault(name, Bar(name, float(line["rival_value"]), False))
    return [*ours, *theirs.values()]


def drawn(title: str, rows: Sequence[Bar]) -> str:
    """As SVG."""
    most = max(bar.value for bar in rows)
    height = TOP + len(rows) * (BAR + GAP) + FOOT
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="14">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="26" font-weight="bold" fill="#22303a">{escape(title)}</text>',
    ]
    for place, bar in enumerate(rows):
        y = TOP + place * (BAR + GAP)
        length = max(1.0, bar.value / most * (WIDTH - LEFT - RIGHT))
        colour, weight = (OURS, "bold") if bar.ours else (THEIRS, "normal")
        label = f'x="{LEFT - 10}" y="{y + 16}" text-anchor="end" font-weight="{weight}" fill="#22303a"'
        out += [
            f"<text {label}>{escape(bar.label)}</text>",
            f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2" fill="{colour}"/>',
            f'<text x="{LEFT + length + 8:.1f}" y="{y + 16}" fill="#22303a">{number(bar.value)}</text>',
        ]
    return "\n".join([*out, "</svg>", ""])


def number(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}".replace(",", " ") if value >= 100 else f"{value:.3g}"


def draw(lines: Sequence[Mapping[str, Any]], directory: Path) -> list[Path]:
    """Every picture of which there are values, written to `directory`."""
    made = []
    for picture in PICTURES:
        rows = bars(picture, lines)
        if rows:
            directory.mkdir(exist_ok=True)
            file = directory / picture.file
            file.write_text(drawn(picture.title, rows))
            made.append(file)
    return made
