"""Whether there are several users here: root of a user namespace often is the only one in it."""

from __future__ import annotations

import os


def only_one() -> str | None:
    """One line when we cannot be two users."""
    if os.geteuid() != 0:
        return "only root can be somebody else"
    with open("/proc/self/uid_map", encoding="ascii") as numbers:
        if int(numbers.readline().split()[2]) < 1 << 16:
            return "this user namespace has one user"
    return None
