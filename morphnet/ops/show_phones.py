"""Those who come by WireGuard, as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from morphnet.ops.page import Line, shortened
from morphnet.ops.units import amount, span
from morphnet.status import PhoneStatus

_STYLES = {"connected": "good", "refused": "bad", "away": "calm"}


def phones_lines(phones: Sequence[PhoneStatus], now: float) -> list[Line]:
    """
    A line for each, and more below it where there is more to say.

    :param now: Unix seconds.
    """
    if not phones:
        return []
    lines: list[Line] = [[(f"{'phone':<18}{'state':<11}{'handshake':<15}{'to it':>10}{'from it':>10}", "dim")]]
    for each in phones:
        state = (f"{each.state:<11}", _STYLES.get(each.state, "dim"))
        last = f"{span(now - each.handshake_at)} ago" if each.handshake_at else "never"
        data = f"{last:<15}{amount(each.sent_bytes):>10}{amount(each.received_bytes):>10}"
        lines.append([(f"{shortened(each.name, 17):<18}", "head"), state, (data, "")])
        about = ", ".join(each.inner) + (f" at {each.endpoint}" if each.endpoint else "")
        lines += [[("  ", ""), (text, "dim")] for text in (about, each.why) if text]
    return lines
