"""What was decided about one peer, and how it stands now: `morphnet why`."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import UTC, datetime

from morphnet.errors import ConfigError
from morphnet.ops.page import WIDTH, Line, fit
from morphnet.ops.show import way_of
from morphnet.ops.show_counts import of_session
from morphnet.ops.units import delay, span
from morphnet.status import PeerStatus

_INDENT = 23  # columns in front of what was decided


def peer_named(peers: Sequence[PeerStatus], name: str) -> PeerStatus:
    """
    One of them.

    :raises ConfigError: there is none of that name; the message names those that there are.
    """
    names = {peer.name: peer for peer in peers}
    if name in names:
        return names[name]
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigError(f"there is no peer {name!r}: {hint}known are {', '.join(sorted(names)) or 'none'}")


def why_lines(peer: PeerStatus, now: float, width: int = WIDTH) -> list[Line]:
    """
    The decisions with their times, oldest first, one sentence, what was counted, and the words to compare.

    :param now: Unix seconds.
    :param width: columns that there are.
    """
    lines: list[Line] = [[("peer ", ""), (peer.name, "head"), ("  times are UTC", "dim")]]
    day = datetime.fromtimestamp(now, UTC).date()
    for each in peer.decisions:
        at = datetime.fromtimestamp(each.at, UTC)
        if at.date() != day:
            day = at.date()
            lines.append([(f"  {day}", "dim")])
        first, *more = _wrapped(each.why, width - _INDENT)
        lines.append([(f"  {at:%H:%M:%S}  ", "dim"), (f"{each.state:<11}", "bold"), (first, "")])
        lines += [[(" " * _INDENT + text, "")] for text in more]
    lines += [[], *([(text, "")] for text in _wrapped(sentence(peer, now), width))]
    counts = of_session(peer.counters, width)
    lines += [[], *counts] if counts else []
    if peer.words:
        lines += [[], [("The same words are shown at the other end: compare them aloud.", "dim")]]
        lines.append([(f"  {' '.join(peer.words)}", "bold")])
    return fit(lines, width)


def sentence(peer: PeerStatus, now: float) -> str:
    """How it stands."""
    took = f"; a round trip takes {delay(peer.rtt)}" if peer.rtt is not None else ""
    if peer.way == "direct":
        return f"{peer.name} is reached directly, {way_of(peer)}, for {span(now - peer.since)}{took}."
    if peer.way == "relay":
        search = {"searching": "a direct way is being looked for", "settled": "no direct way was found so far"}
        state = search.get(peer.state, f"it is {peer.state}")
        return f"{peer.name} is reached through the relay {way_of(peer)}: {state}{took}."
    why = peer.decisions[-1].why if peer.decisions else "nothing was tried yet"
    return f"There is no way to {peer.name}, for {span(now - peer.since)}: {why}."


def _wrapped(text: str, width: int) -> list[str]:
    """At least one line; a word that is too long is cut."""
    lines = []
    while len(text) > width:
        cut = text.rfind(" ", 0, width + 1)
        cut = cut if cut > 0 else width
        lines.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return [*lines, text]
