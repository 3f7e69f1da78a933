"""What is carried for other programs, as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from morphnet.ops.page import WIDTH, Line, shortened
from morphnet.ops.units import amount
from morphnet.status import CarryStatus


def carries_lines(carries: Sequence[CarryStatus]) -> list[Line]:
    """One line for each entry or service."""
    if not carries:
        return []
    lines: list[Line] = [[(f"{'carried':<18}{'users':>6}{'into it':>10}{'out of it':>10}  at", "dim")]]
    for each in carries:
        figures = f"{each.users:>6}{amount(each.sent_bytes):>10}{amount(each.received_bytes):>10}  "
        name = (f"{shortened(each.service, 17):<18}", "head")
        lines.append([name, (figures, ""), (shortened(each.address, WIDTH - 46), "")])
    return lines
