"""Which routing tables and rule preferences are ours: two of us on one machine each have a hundred of their own."""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection, Iterator

from morphnet.errors import HostError

FIRST, STEP, MOST = 7300, 100, 20
NAME = "morphnet-tables"


class Base:
    """
    The first number of a hundred, ours for as long as this process holds it.

    What tells others so is the name of a socket that exists in this network namespace alone, and vanishes with us.

    :param used: tables that have routes of ours, or of another of us that was killed: those are left to it.
    :param mine: those of them that this one has left itself.
    :param name: of the socket, before its number; those with another name are no rivals.
    :raises HostError: all are taken.
    """

    def __init__(self, used: Collection[int] = (), name: str = NAME, mine: Collection[int] = ()) -> None:
        self._holding = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        for base in _free(used, mine):
            try:
                self._holding.bind(f"\0{name}-{base}")
            except OSError as taken:
                if taken.errno == errno.EADDRINUSE:
                    continue
            self.number = base  # where there are no such names nobody else has one either
            return
        self._holding.close()
        raise HostError(f"{MOST} morphnets run on this machine already")

    def let_go(self) -> None:
        """Others may have it."""
        self._holding.close()


def _free(used: Collection[int], mine: Collection[int]) -> Iterator[int]:
    """Our own of before first, then those without routes."""

    def has(base: int, tables: Collection[int]) -> bool:
        return any(base <= table < base + STEP for table in tables)

    bases = range(FIRST, FIRST + STEP * MOST, STEP)
    return iter(sorted(bases, key=lambda base: (not has(base, mine), has(base, used))))
