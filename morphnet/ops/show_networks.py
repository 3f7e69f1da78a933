"""Networks behind clients, and ports of the server that lead to them, as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from morphnet.ops.page import Line, fit, shortened
from morphnet.status import NetworkStatus

_STYLES = {"used": "good", "forwarded": "good", "refused": "bad", "asked": "warn", "standby": "calm"}


def networks_lines(networks: Sequence[NetworkStatus]) -> list[Line]:
    """One line for each, and one more where there is something to say of it."""
    if not networks:
        return []
    lines: list[Line] = [[(f"{'behind':<14}{'network':<26}state", "dim")]]
    for each in networks:
        name = (f"{shortened(each.client or 'another', 13):<14}", "head")
        lines.append([name, (f"{shortened(each.network, 25):<26}", ""), (each.state, _STYLES.get(each.state, "dim"))])
        if each.why:
            lines += fit([[(" " * 14, ""), (each.why, "dim")]])
    return lines
