"""
The files and directories that twistd was told of on its own command line: it would meet one that it cannot use with a
traceback, some of them in the background.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any


def wrong(twistd: Mapping[str, Any]) -> str:
    """
    What it cannot use, in one sentence; "" for nothing.

    :param twistd: its options, with the pid file settled.
    """
    option = "chroot" if twistd.get("chroot") else "rundir"  # what is looked for within another root nobody sees here
    directory = str(twistd.get(option) or ".")
    if not os.path.isdir(directory):
        return f"--{option}: there is no directory {directory}"
    for option in ("logfile", "pidfile"):
        file = str(twistd.get(option) or "")
        if file and file != "-" and (why := _why_not(file)):
            return f"--{option}: {file} cannot be written: {why}"
    return ""


def _why_not(file: str) -> str:
    """Why it cannot be made or written; "" when it can."""
    if os.path.isdir(file):
        return "it is a directory"
    if os.path.lexists(file):
        return "" if os.access(file, os.W_OK) else "permission denied"
    directory = os.path.dirname(file) or "."
    if not os.path.isdir(directory):
        return f"there is no directory {directory}"
    return "" if os.access(directory, os.W_OK | os.X_OK) else "permission denied"
