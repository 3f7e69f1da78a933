"""A lock that one process at a time holds, and that ends with it, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from morphnet.errors import HostError


class Lock:
    """
    Beside a file, or a directory, of that name: a file of its own, because what it stands for may be replaced.

    Its directory may be another user's as well, where a server runs beside us: no link there is followed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def hold(self) -> None:
        """
        Take it, if we do not hold it already.

        :raises HostError: another process has it, or it cannot be made.
        """
        if self._descriptor >= 0:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self._path.with_name(self._path.name + ".lock")
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise HostError(f"cannot read {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                raise HostError(f"{self._path} is in use by another morphnet; stop that one first") from error
            raise HostError(f"cannot read {self._path}: {error.strerror}") from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go of it; harmless when we do not hold it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
