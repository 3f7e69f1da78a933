"""
How long a datagram waited with the kernel because this process did not run, by the kernel's own timestamps.

What waits at a socket that is read empty again and again waited for us; that is no queue of the network's. At a socket
that is not, a queue stands, and whoever sends must see it: there no wait is excused.

Source: socket(7), SO_TIMESTAMP; include/uapi/asm-generic/socket.h.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable

SO_TIMESTAMPNS = SCM_TIMESTAMPNS = 35  # Python's socket module does not name it
STANDING = 0.25  # seconds without being empty, after which a queue stands at a socket

_TIMESPEC = struct.Struct("@ll")  # seconds and nanoseconds of the wall clock
STAMP_SPACE = socket.CMSG_SPACE(_TIMESPEC.size)  # bytes


def ask_for_stamps(opened: socket.socket) -> None:
    """Have the kernel tell when each datagram arrived; where it does not, none counts as late."""
    try:
        opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return


class Stamps:
    """
    The waits at one socket.

    :param wall: nanoseconds, as the kernel stamps. It may be set while a datagram waits: no wait is longer than `now`
        says that the socket has not been empty, or the process not been there.
    :param now: seconds, never back.
    """

    def __init__(self, wall: Callable[[], int] = time.time_ns, now: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._now = wall, now
        self._empty_at = now()
        self._since: float | None = None  # when that came which ended its being empty, if it has not been since

    def waited(self, stamps: list[bytes], *, empty: bool) -> list[float]:
        """
        Seconds that each datagram of one wake-up waited, as far as that is excused.

        :param stamps: what SCM_TIMESTAMPNS says of each, b"" where there is none.
        :param empty: the socket was read until nothing was left.
        """
        now, wall = self._now(), self._wall()
        most = now - self._empty_at
        waits = [min(most, max(0.0, (wall - _moment(stamp)) * 1e-9)) if stamp else 0.0 for stamp in stamps]
        if self._since is None and waits:
            self._since = now - waits[0]
        stands = not empty and self._since is not None and now - self._since > STANDING
        if empty:
            self._empty_at, self._since = now, None
        return [0.0] * len(waits) if stands else waits


def _moment(stamp: bytes) -> int:
    """Nanoseconds of the wall clock."""
    seconds, nanoseconds = _TIMESPEC.unpack(stamp)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
