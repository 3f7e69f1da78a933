"""
Becomes another program that ends when its parent does, however that ends: it is run as a plain file, by its path.

    python -I -S wireguard_child.py PARENT PROGRAM [ARGUMENT ...]

A server that is killed can tell nobody. So the kernel is asked to kill the child then; the number of the parent says
whether that came too late. What it becomes must not be of another user, or the kernel forgets what it was asked.

Source: prctl(2), PR_SET_PDEATHSIG.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, argv: list[str]) -> None:
    """
    :param parent: the process that must be there.
    :raises OSError: there is no such program.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() == parent:
        os.execvp(argv[0], argv)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
