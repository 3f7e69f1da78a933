"""The nodes at a relay, as text."""

from __future__ import annotations

from collections.abc import Sequence

from morphnet.ops.page import WIDTH, Line, labelled, shortened
from morphnet.ops.units import amount
from morphnet.status import GuestStatus


def guest_lines(guest: GuestStatus, width: int = WIDTH) -> list[Line]:
    """One node, as a relay sees it."""
    data = f"{amount(guest.sent_bytes)} from it, {amount(guest.received_bytes)} to it"
    lines: list[Line] = [[("guest ", ""), (guest.name, "head")]]
    return lines + labelled("address", guest.address, "", width) + labelled("data", data, "", width)


def guests_lines(guests: Sequence[GuestStatus]) -> list[Line]:
    """One line for each guest."""
    if not guests:
        return [[("no guest", "dim")]]
    lines: list[Line] = [[(f"{'guest':<18}{'from it':>10}{'to it':>10}  address", "dim")]]
    for each in guests:
        data = f"{amount(each.sent_bytes):>10}{amount(each.received_bytes):>10}  "
        lines.append(
            [(f"{shortened(each.name, 17):<18}", "head"), (data, ""), (shortened(each.address, WIDTH - 40), "")]
        )
    return lines
