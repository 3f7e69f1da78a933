"""What a process asks of the kernel and of the C library for itself: files, its turn, and memory that stays."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
from collections.abc import Callable

FILES = 1 << 16  # open files that we want to be allowed, most of them sockets of callers
FIRST = -15  # the nice value of who serves many: a server beside a hundred busy clients still runs half of the time
KEPT = 64 << 20  # bytes that were freed and need not go back to the kernel


def allow_files() -> int:
    """
    Lift our limit of open files as far as we may: a shell gives 1024, which callers alone could use up.

    :returns: how many there may be.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def come_first(
    get: Callable[[int, int], int] = os.getpriority, set_to: Callable[[int, int, int], None] = os.setpriority
) -> int:
    """
    Have our turn before others on this machine, if we may and whoever started us did not choose another nice value.

    All wait for who serves them. Beside forty clients on the same two processors a server without it ran a quarter of
    the time, and had four megabytes of datagrams before it; each client then sent, and was answered, packet by packet,
    and burnt the processors with that: 0.06 Gbit/s together, and 3.1 with it (docs/performance, "A busy machine").

    :returns: the nice value that counts.
    """
    chosen = get(os.PRIO_PROCESS, 0)
    if chosen:
        return chosen
    try:
        set_to(os.PRIO_PROCESS, 0, FIRST)
    except OSError:
        return chosen
    return FIRST


def settle_memory() -> None:
    """
    Give back what loading left over, then have the C library keep what is freed for the next time.

    Super packets of 64 KB come and go: with glibc's defaults each costs 16 page faults, 15 microseconds, a third of all
    that receiving it takes. Source: mallopt(3), malloc_trim(3); other C libraries have no such calls, or need none.
    """
    gc.collect()
    gc.freeze()  # what is there now stays: no later collection looks at it again
    trim_threshold, mmap_threshold = -1, -3
    try:
        library = ctypes.CDLL(None)
        mallopt, malloc_trim = library.mallopt, library.malloc_trim
    except (OSError, AttributeError):
        return
    malloc_trim(0)
    mallopt(trim_threshold, KEPT)
    mallopt(mmap_threshold, KEPT // 2)
