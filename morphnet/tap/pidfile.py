"""
twistd's file with its number, and what a killed process leaves of it.

twistd takes any living process of that number for itself. In a container that is started again it is always so: the
first process there has the number 1, each time. What keeps two of us apart is the lock beside the journal.
"""

from __future__ import annotations

import os
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

DEFAULT = "twistd.pid"  # twistd's own


def command_of(process: int) -> bytes:
    """The command line of a process; nothing if there is no such process, or it may not be seen."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def settle(twistd: MutableMapping[str, Any], command: Callable[[int], bytes] = command_of) -> None:
    """
    See to it that no number of the past keeps us from starting: called when twistd has read its command line.

    In the foreground there is no file, unless one was asked for: whoever started us knows our number.

    :param twistd: its options.
    """
    path = str(twistd["pidfile"] or "")
    if twistd["nodaemon"] and path == DEFAULT:
        twistd["pidfile"] = ""
    elif path and _is_stale(path, command):
        with suppress(OSError):  # then twistd says what is wrong with it
            os.unlink(path)


def _is_stale(path: str, command: Callable[[int], bytes]) -> bool:
    """Whether the file is one of twistd's that names nobody who could be it: ourselves, or another program."""
    try:
        with open(path, "rb") as file:
            text = file.read(32).strip()
    except OSError:
        return False
    if not text:
        return True  # torn
    return text.isdigit() and (int(text) == os.getpid() or b"twistd" not in command(int(text)))
