"""
Files below one directory: the kernel resolves every name, and refuses what would lead out of it, by whatever path or
symbolic link.

Source: openat2(2), Linux 5.6; RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from morphnet.errors import ConfigError, HostError, Refused

_OPENAT2 = 437  # on every architecture
_BENEATH, _NO_MAGICLINKS = 0x08, 0x02
_HOW = struct.Struct("=QQQ")  # flags, mode, resolve
_libc = ctypes.CDLL(None, use_errno=True)
_WORDS = {
    errno.ENOENT: "there is no such file",
    errno.EXDEV: "that is not below the shared directory",
    errno.ELOOP: "that is not below the shared directory",
    errno.EACCES: "the home may not do that",
    errno.EPERM: "the home may not do that",
    errno.EEXIST: "there is one of that name",
    errno.ENOTDIR: "that is no directory",
    errno.EISDIR: "that is a directory",
    errno.ENOTEMPTY: "the directory is not empty",
    errno.ENOSPC: "the disk is full",
    errno.EROFS: "the home may not do that",
    errno.ENAMETOOLONG: "the name is too long",
}


def in_words(trouble: OSError) -> str:
    """What went wrong, as a browser is told it: nothing of our paths."""
    return _WORDS.get(trouble.errno or 0, "that does not work")


@dataclass(frozen=True, slots=True)
class Entry:
    """What is in a directory."""

    name: str
    directory: bool
    size: int  # bytes
    modified: int  # Unix seconds


class Beneath:
    """
    One shared directory.

    :raises HostError: there is none, which may be mounted later.
    :raises ConfigError: the kernel is too old to keep us in it.
    """

    def __init__(self, root: Path) -> None:
        try:
            self._root = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as trouble:
            raise HostError(f"files: {root}: {os.strerror(trouble.errno or 0)}") from None
        try:
            os.close(self.open("", os.O_PATH | os.O_DIRECTORY))
        except OSError as trouble:
            raise ConfigError(f"files: the kernel has no openat2: {os.strerror(trouble.errno or 0)}") from None

    def close(self) -> None:
        """No more of it."""
        os.close(self._root)

    def open(self, path: str, flags: int, mode: int = 0) -> int:
        """
        A file descriptor.

        :param path: slashes between names; "" is the directory itself.
        :raises OSError: as open(2) does; EXDEV for what would lead out.
        """
        try:
            name = path.encode().lstrip(b"/") or b"."
        except UnicodeEncodeError:
            raise OSError(errno.ENOENT, "no name") from None
        if b"\0" in name:
            raise OSError(errno.ENOENT, "no name")
        how = _HOW.pack(flags | os.O_CLOEXEC, mode, _BENEATH | _NO_MAGICLINKS)
        opened = _libc.syscall(_OPENAT2, self._root, name, how, len(how))
        if opened < 0:
            raise OSError(ctypes.get_errno(), "openat2")
        return int(opened)

    def directory_of(self, path: str) -> tuple[int, str]:
        """
        The directory that a name is in, open, and the name.

        :raises Refused: it has none.
        """
        parent, _, name = path.rstrip("/").rpartition("/")
        if name in ("", ".", "..") or "\0" in name:
            raise Refused("that is no name")
        return self.open(parent, os.O_RDONLY | os.O_DIRECTORY), name

    def entries(self, path: str, most: int) -> list[Entry]:
        """
        What is in a directory, up to `most`; names that are no text, and what is neither file nor directory, are left
        out.
        """
        found: list[Entry] = []
        opened = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for name in sorted(os.listdir(opened)):
                try:
                    name.encode()
                    looked = os.stat(name, dir_fd=opened, follow_symlinks=False)
                except (OSError, UnicodeEncodeError):
                    continue
                if stat.S_ISDIR(looked.st_mode) or stat.S_ISREG(looked.st_mode):
                    directory = stat.S_ISDIR(looked.st_mode)
                    found.append(Entry(name, directory, looked.st_size, int(looked.st_mtime)))
                if len(found) == most:
                    break
        finally:
            os.close(opened)
        return found

    def has(self, path: str) -> bool:
        """
        Whether something is there, a link that leads nowhere too.

        :raises Refused: that is no name.
        """
        parent, name = self.directory_of(path)
        try:
            os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return False
        finally:
            os.close(parent)
        return True

    def make_directory(self, path: str) -> None:
        """A new one."""
        parent, name = self.directory_of(path)
        try:
            os.mkdir(name, 0o755, dir_fd=parent)
        finally:
            os.close(parent)

    def remove(self, path: str) -> None:
        """A file, a link, or an empty directory."""
        parent, name = self.directory_of(path)
        try:
            if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                os.rmdir(name, dir_fd=parent)
            else:
                os.unlink(name, dir_fd=parent)
        finally:
            os.close(parent)

    def rename(self, path: str, to: str) -> None:
        """
        Give it another name, which nothing has yet.

        :raises OSError: EEXIST when something has.
        """
        parent, name = self.directory_of(path)
        try:
            other, new = self.directory_of(to)
            try:
                _rename_new(parent, name, other, new)
            finally:
                os.close(other)
        finally:
            os.close(parent)


def _rename_new(parent: int, name: str, other: int, new: str) -> None:
    """Source: renameat2(2) with RENAME_NOREPLACE."""
    if _libc.renameat2(parent, name.encode(), other, new.encode(), 1) < 0:
        raise OSError(ctypes.get_errno(), "renameat2")
