"""How much of a disk may be written, without asking the kernel before each piece."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

MOST = 1 << 24  # bytes that are written before the disk is looked at again; others may fill it meanwhile
_PART = 16  # of what is free; so the less there is, the closer it is looked at


class Room:
    """
    The room on one disk, for all that write there.

    :param keep_free: bytes of it that they leave to others.
    :param look: what the disk of an open file is like.
    """

    def __init__(self, keep_free: int, look: Callable[[int], os.statvfs_result] = os.fstatvfs) -> None:
        self._keep_free, self._look = keep_free, look
        self._left = 0  # bytes, until the next look

    def take(self, file: int, size: int) -> None:
        """
        Bytes are about to be written.

        :param file: a descriptor of a file there.
        :raises OSError: there is no room for them.
        """
        if size > self._left:
            about = self._look(file)
            free = about.f_bavail * about.f_frsize - self._keep_free
            if free < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._left = min(free // _PART, MOST)
        self._left -= size
