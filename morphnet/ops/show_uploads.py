"""Uploads under way, as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from morphnet.ops.page import WIDTH, Line, shortened
from morphnet.ops.units import amount, span
from morphnet.status import UploadStatus


def uploads_lines(uploads: Sequence[UploadStatus], now: float) -> list[Line]:
    """One line for each: who, how far, for how long, and from where it comes, or that nobody sends just now."""
    if not uploads:
        return []
    lines: list[Line] = [[(f"{'upload of':<22}{'is here':>10}{'of':>10}{'for':>7}{'moves':>6}  from", "dim")]]
    for each in uploads:
        bytes_ = f"{amount(each.stored_bytes):>10}{amount(each.size_bytes):>10}"
        figures = f"{bytes_}{span(now - each.since):>7}{each.moves:>6}  "
        name = (f"{shortened(each.user or each.path, 21):<22}", "head")
        where = (shortened(each.address, WIDTH - 57), "") if each.running else ("waits", "warn")
        lines.append([name, (figures, ""), where])
    return lines
