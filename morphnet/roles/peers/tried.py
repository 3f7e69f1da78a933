"""What a search for direct ways has tried, in words."""

from __future__ import annotations

from collections.abc import Iterable

from morphnet.ops.units import delay
from morphnet.roles.process.statuses import shown_address
from morphnet.traversal.checks import Pair
from morphnet.wire.batch import Endpoint

MOST_TOLD = 12  # addresses of one search


def tried(ways: Iterable[Pair]) -> str:
    """The peer's addresses that were asked, those that answered first; "" when none was."""
    found: dict[Endpoint, tuple[float, str]] = {}  # address -> RTT in seconds, kind
    for way in ways:
        if way.tries or way.rtt is not None:
            rtt = way.rtt if way.rtt is not None else float("inf")
            found[way.remote] = min((rtt, way.kind), found.get(way.remote, (rtt, way.kind)))
    told = [_told(remote, *found[remote]) for remote in sorted(found, key=lambda remote: found[remote][0])]
    if not told:
        return ""
    rest = f"; and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
    return f"tried {'; '.join(told[:MOST_TOLD])}{rest}"


def _told(remote: Endpoint, rtt: float, kind: str) -> str:
    answer = f"answered in {delay(rtt)}" if rtt < float("inf") else "no answer"
    return f"{shown_address(remote)} ({kind}): {answer}"
