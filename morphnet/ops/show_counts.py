"""What a process or a session has counted that says more than that there is traffic: each name with its meaning."""

from __future__ import annotations

from collections.abc import Mapping

from morphnet.ops.counted import OF_PROCESS, OF_SESSION, Counted
from morphnet.ops.page import WIDTH, Line, fit, label
from morphnet.ops.units import amount

# Counters that only say that there is traffic, or that all is as it should be; --json has them.
_ORDINARY = frozenset(
    {f"{way}_{what}" for way in ("read", "written", "send", "receive") for what in ("bytes", "calls", "packets")}
    | {f"{way}{what}" for way in ("sent", "received") for what in ("", "_bytes", "_packets")}
    | {f"{by}_{way}" for by in ("relayed", "stream") for way in ("sent", "sent_bytes", "received", "received_bytes")}
    | {"control_links", "legacy_sessions", "payload_received", "payload_sent", "rekeys", "webhook_taken"}
    | {"passages", "passages_joined", "passages_met", "web_callers"}
    | {"lines", "lines_half_open", "forwarded", "forwarded_bytes", "echoes"}
)
_OF_ERRORS = {"dropped_E": "dropped_EIO", "error_E": "error_ENETUNREACH", "frames_E": "frames_EIO"}  # beginning -> name


def of_process(counted: Mapping[str, int], width: int = WIDTH) -> list[Line]:
    """Counters and levels of a process, in so many columns; no line where all is as it should be."""
    return _lines(counted, OF_PROCESS, width)


def of_session(counted: Mapping[str, int], width: int = WIDTH) -> list[Line]:
    """The same of a session."""
    return _lines(counted, OF_SESSION, width)


def meaning(name: str, known: Counted) -> str:
    """What is counted by that name, as "packets that came twice"; "" if nobody here knows, for another version does."""
    stem = next((stem for beginning, stem in _OF_ERRORS.items() if name.startswith(beginning)), name)
    return " ".join(known.get(stem, ()))


def _lines(counted: Mapping[str, int], known: Counted, width: int) -> list[Line]:
    lines: list[Line] = []
    for name, count in counted.items():
        if not count or name in _ORDINARY:
            continue
        words = meaning(name, known)
        much = amount(count) if words.startswith("bytes ") else str(count)
        line: Line = [label("" if lines else "counts"), (f"{name} {much}", "")]
        lines.append([*line, (f": {words}", "dim")] if words else line)
    return fit(lines, width, further=2)
