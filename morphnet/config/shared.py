"""The settings of several upload servers that are one."""

from __future__ import annotations

from dataclasses import dataclass, field

from morphnet.config import checks

PATIENCE = 0.1  # seconds


@dataclass(frozen=True, slots=True)
class SharedConfig:
    """Several `twistd morph-upload` with one directory of files, and one Redis."""

    redis_url: str = field(
        default="",
        repr=False,  # there may be a password in it
        metadata={
            "check": checks.redis,
            "help": "Redis that knows of all uploads, like redis://HOST; '' for one alone",
        },
    )
    files: str = field(default="", metadata={"help": "directory that all of them have; empty: `files` in `state_dir`"})
    patience_s: float = field(
        default=PATIENCE,
        metadata={"least": 0, "help": "seconds that one waits for another that stands still within a write"},
    )
