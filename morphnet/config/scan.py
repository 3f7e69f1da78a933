"""The settings of the scanner that looks at files before they appear."""

from __future__ import annotations

from dataclasses import dataclass, field


def _place(value: str) -> str | None:
    if not value or value.startswith("/"):
        return None
    host, _, port = value.rpartition(":")
    good = host and port.isdigit() and 0 < int(port) < 65536
    return None if good else "must be the path of a socket, as /run/clamav/clamd.ctl, or HOST:PORT"


@dataclass(frozen=True, slots=True)
class ScanConfig:
    """ClamAV by its daemon."""

    clamd: str = field(
        default="",
        metadata={"check": _place, "help": "where clamd listens, as /run/clamav/clamd.ctl; empty: nothing is scanned"},
    )
    required: bool = field(
        default=True, metadata={"help": "no file appears that was not scanned: while clamd is away uploads wait"}
    )
    aside_days: float = field(
        default=30.0, metadata={"least": 0, "help": "what was put aside is deleted after so many days; 0: never"}
    )
    aside_bytes: int = field(
        default=1 << 30, metadata={"least": 0, "help": "bytes of all that was put aside: the oldest is deleted then"}
    )
    within_s: float = field(default=120.0, metadata={"least": 1, "help": "time for clamd to look at one file, seconds"})
