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
    within_s: float = field(default=120.0, metadata={"least": 1, "help": "time for clamd to look at one file, seconds"})
