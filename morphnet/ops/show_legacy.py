"""Clients of the original, as text."""

from __future__ import annotations

from collections.abc import Sequence

from morphnet.ops.page import WIDTH, Line, labelled, shortened
from morphnet.ops.units import amount, span
from morphnet.status import LegacyStatus


def legacy_lines(each: LegacyStatus, now: float, width: int = WIDTH) -> list[Line]:
    """One of them."""
    data = f"{amount(each.received_bytes)} received, {amount(each.sent_bytes)} sent"
    where = f"{each.address} at port {each.port}" + (f", moved {each.moves} times" if each.moves else "")
    lines: list[Line] = [
        [
            ("old client ", ""),
            (each.name, "head"),
            (f"  up {span(now - each.since)}, heard {span(now - each.heard)} ago", ""),
        ]
    ]
    lines += labelled("user", each.user, "", width)
    lines += labelled("looks", f"like {each.template}, {each.layers} layers", "dim", width)
    return lines + labelled("address", where, "", width) + labelled("data", data, "", width)


def legacies_lines(every: Sequence[LegacyStatus], now: float) -> list[Line]:
    """One line for each."""
    if not every:
        return [[("no old client", "dim")]]
    lines: list[Line] = [[(f"{'old client':<14}{'user':<16}{'heard':>9}{'received':>11}{'sent':>11}  address", "dim")]]
    for each in every:
        data = f"{span(now - each.heard):>9}{amount(each.received_bytes):>11}{amount(each.sent_bytes):>11}  "
        lines.append(
            [
                (f"{shortened(each.name, 13):<14}", "head"),
                (f"{shortened(each.user, 15):<16}{data}", ""),
                (shortened(each.address, WIDTH - 63), ""),
            ]
        )
    return lines
