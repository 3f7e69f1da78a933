"""What a process that was killed has left on this machine, as far as an operator has to know before the next start."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from morphnet.host.host import KINDS, this_world
from morphnet.host.journal import Change, decode_journal
from morphnet.host.strict import StrictTable

LONGEST = 16 << 20  # bytes of a journal that are read: one of 512 lines has a hundredth of that


def _content(journal: Path) -> bytes:
    """The directory may be another user's: a pipe there must not keep us waiting, nor a device feed us without end."""
    with open(os.open(journal, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "no file", str(journal))
        return file.read(LONGEST)


def _standing(journal: Path, world: Callable[[], str]) -> list[Change]:
    """The changes by that journal that are on this machine still: of another boot those that outlive one."""
    written_in, standing = decode_journal(_content(journal), KINDS)
    return [each.change for each in standing if each.change.lasting or written_in == world()]


def left_behind(journal: Path, world: Callable[[], str] = this_world) -> list[str]:
    """
    What still stands by that journal, by its names for a person; the next start, or `morphnet down`, undoes it.

    :raises OSError: it cannot be read. None at all is no error.
    """
    try:
        here = _standing(journal, world)
    except FileNotFoundError:
        return []
    return list(dict.fromkeys(change.label for change in here))


def holds_back(journal: Path, world: Callable[[], str] = this_world) -> bool:
    """Whether a kill switch stands here by that journal, which says nothing to who may not read it."""
    try:
        return any(isinstance(change, StrictTable) for change in _standing(journal, world))
    except OSError:
        return False
