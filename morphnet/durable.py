"""
Files that are whole and on the disk, or not there at all; directories that only their owner may enter.

A file is written under another name and takes its place when it is complete; its directory is synced then. Nobody sees
a half, and what was said to be written is there after the power has failed.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from pathlib import Path


def make_directory(path: Path) -> list[Path]:
    """
    Make a directory that only its owner may enter. One that is there already stays as it is.

    :returns: what was made, parents first.
    """
    missing = [each for each in (path, *path.parents) if not each.exists()][::-1]
    for each in missing:
        each.mkdir(mode=0o700 if each == path else 0o755)  # whatever the umask: nobody else writes on the way there
    return missing


def write_new(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """
    Make a file, whole and on the disk.

    :raises FileExistsError: there is one; it is left alone.
    """
    draft = _draft(path, content, mode)
    try:
        os.link(draft, path)
    finally:
        draft.unlink()
    sync_directory(path.parent)


def write_over(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Make or replace a file: a reader sees the old or the new one, never a half."""
    draft = _draft(path, content, mode)
    try:
        draft.replace(path)
    except OSError:
        draft.unlink()
        raise
    sync_directory(path.parent)


def rewrite(path: Path, content: bytes) -> None:
    """
    Replace what is in a file, in one step as `write_over`; its mode and owner stay, and a link to it stays a link.

    :raises OSError: as it says; the file is as it was.
    """
    path = path.resolve(strict=True)
    before, draft = path.stat(), _draft(path, content, 0o600)
    try:
        if (before.st_uid, before.st_gid) != (draft.stat().st_uid, draft.stat().st_gid):
            os.chown(draft, before.st_uid, before.st_gid)
        draft.chmod(stat.S_IMODE(before.st_mode))
        draft.replace(path)
    except OSError:
        draft.unlink()
        raise
    sync_directory(path.parent)


def read_json(path: Path, most: int) -> object:
    """
    What a small file of ours says, read past no link.

    :param most: bytes that it may have.
    :raises OSError: it cannot be read.
    :raises ValueError: it is spoilt, or longer.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        said = file.read(most + 1)
    if len(said) > most:
        raise ValueError("longer")
    try:
        return json.loads(said)
    except RecursionError:
        raise ValueError("a bomb of brackets") from None


def _draft(path: Path, content: bytes, mode: int) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except OSError as trouble:
        raise OSError(trouble.errno, trouble.strerror, str(path)) from None  # nobody knows that other name
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        draft.unlink()
        raise
    return draft


def sync_directory(path: Path) -> None:
    """What was made, renamed or removed in it is on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
