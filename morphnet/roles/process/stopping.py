"""A stop that does not come to its end is ended, as soon as the host is as it was."""

from __future__ import annotations

from collections.abc import Callable

LONGEST = 2.5  # seconds that a stop may take: for last words, records, what routers gave us
_AGAIN = 0.05  # seconds between looks whether the host is as it was


def last_resort(restored: Callable[[], bool], sleep: Callable[[float], object], end: Callable[[], object]) -> None:
    """
    Wait, and end the process: to be run in a thread that nobody waits for.

    What holds it up then is the world: a name that nobody resolves (the C library cannot be interrupted), a peer that
    reads nothing. What was written is safe, as it is when we are killed.

    :param restored: whether the host is as it was.
    :param end: ends the process at once.
    """
    sleep(LONGEST)
    while not restored():
        sleep(_AGAIN)
    end()
