"""The journal's file."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from morphnet.durable import sync_directory
from morphnet.errors import HostError
from morphnet.host.lock import Lock


class SyncedFile:
    """
    A file of mode 0600 that is on disk after every write; only one process at a time may have it.

    Its directory may be another user's as well, where a server runs beside us: no link there is followed.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock(path)

    def read(self) -> bytes:
        """
        All of it, and the lock.

        :raises HostError: another process has it, or it cannot be read.
        """
        try:
            self._lock.hold()
            return self._content()
        except OSError as error:
            raise HostError(f"cannot read {self._path}: {error.strerror}") from error

    def _content(self) -> bytes:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise HostError(f"{self._path} is no file: remove it")
            return file.read()

    def append(self, data: bytes) -> None:
        self._write(self._path, os.O_APPEND, data)

    def replace(self, data: bytes) -> None:
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            with contextlib.suppress(OSError):  # what an earlier run, or somebody else, left there
                fresh.unlink()
            self._write(fresh, os.O_EXCL, data)
        except HostError:
            with contextlib.suppress(OSError):  # what there is of it would only fill the disk
                fresh.unlink()
            raise
        try:
            os.rename(fresh, self._path)
            sync_directory(self._path.parent)
        except OSError as error:
            raise HostError(f"cannot write {self._path}: {error.strerror}") from error

    def close(self) -> None:
        """Let go of the lock."""
        self._lock.release()

    def _write(self, path: Path, flags: int, data: bytes) -> None:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise HostError(f"cannot write {path}: {error.strerror}") from error
