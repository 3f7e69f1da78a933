"""
The bytes of uploads: one file each, that grows in one place and appears in another, at once, when it is whole.

A byte that was written outlives the process, whatever ends it. What must outlive a power cut as well is brought to the
disk by `Partial.sync` before anybody is told of it, and by `Vault.finish` before the file appears.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from morphnet.durable import sync_directory
from morphnet.store.room import Room

PARTIAL, DONE, CONTENT, ASIDE = "partial", "done", "content", "aside"  # directories below the vault's
_SAME = ".same"  # ends the name of another file's content, while it takes a partial one's place
_WHY = ".why"  # ends the name of a text beside what was put aside
_PIECE = 1 << 16  # bytes compared at once
_BLOCK = 1 << 20  # bytes hashed, or compared with another file's, at once: no other thread waits for that
_SAMPLES, _SAMPLE = 32, 1 << 14  # places of a long file by which it is known, and bytes at each


_T = TypeVar("_T")


class Taken(Exception):
    """Another process goes on with this upload: nothing more is written to it by this one."""


def _write_out(file: int, at: int, size: int) -> None:
    """Have the kernel begin to write so many bytes from there on, and close the descriptor."""
    try:
        if sys.platform == "linux":  # what waits to be written is written, before any of it is let go of
            os.posix_fadvise(file, at, size, os.POSIX_FADV_DONTNEED)
    except OSError:  # it is written later then, by `sync`
        pass
    finally:
        os.close(file)


@dataclass(frozen=True, slots=True)
class Noted:
    """What was noted beside the bytes of an upload."""

    note: bytes
    told: bool  # its length was told to somebody
    size: int | None  # bytes of the file that has appeared; None while it is not whole


class Partial:
    """
    The file of an upload that is not whole.

    :param room: of its disk, which leaves some to others, the records among them.
    :raises OSError: the file cannot be opened or made.
    """

    def __init__(self, path: Path, room: Room) -> None:
        self._room, self.path = room, path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        about = os.fstat(self._file)
        self.length = self.begun = about.st_size  # bytes that are there, and whose way to the disk has begun
        if about.st_nlink > 1:
            self.close()
            raise OSError(errno.EMLINK, os.strerror(errno.EMLINK))

    @property
    def told(self) -> bool:
        """Whether `tell` was called, by another process perhaps."""
        return False

    def tell(self) -> None:
        """
        Its length is told to somebody from now on, who may rely on it: what is there is only added to.

        :raises Taken: it is another's by now.
        """

    def append(self, data: bytes | memoryview) -> None:
        """
        Add bytes behind the last one: all of them, or as many as there is room for.

        :raises OSError: the disk is full, or broken.
        """
        rest = memoryview(data)
        self._room.take(self._file, len(rest))
        while rest:
            written = self._write(rest)
            self.length += written
            rest = rest[written:]

    def _write(self, data: memoryview) -> int:
        return os.pwrite(self._file, data, self.length)

    def agrees(self, data: bytes | memoryview, at: int) -> int:
        """How many of these bytes, which are said to be at that place, are the same there."""
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            held = os.pread(self._file, len(piece), at + start)
            if held != piece:
                same = next((i for i, (a, b) in enumerate(zip(held, piece, strict=False)) if a != b), len(held))
                return start + same
        return len(data)

    def cut_to(self, length: int) -> None:
        """Forget what is behind that; nobody may have been told of it."""
        os.ftruncate(self._file, length)
        self.length, self.begun = length, min(length, self.begun)

    def digest(self) -> str:
        """SHA-256 of all that is there, hex."""
        found, at = hashlib.sha256(), 0
        while data := os.pread(self._file, _BLOCK, at):
            found.update(data)
            at += len(data)
        return found.hexdigest()

    def mark(self) -> str:
        """
        What of two files that are not the same is hardly the same, hex: length, and what is at places all over it.

        SHA-256 of all of a long file took longer than to receive it.
        """
        if self.length <= _SAMPLES * _SAMPLE:
            return self.digest()
        found, last = hashlib.sha256(b"%d" % self.length), self.length - _SAMPLE
        for number in range(_SAMPLES):
            found.update(os.pread(self._file, _SAMPLE, last * number // (_SAMPLES - 1)))
        return found.hexdigest()

    def is_same(self, other: Path) -> bool:
        """Whether each byte of another file is the same."""
        with other.open("rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size != self.length:
                return False
            at = 0
            while data := os.pread(self._file, _BLOCK, at):
                if os.pread(file.fileno(), _BLOCK, at) != data:
                    return False
                at += len(data)
        return True

    async def seen_by(self, look: Callable[[int], Coroutine[Any, Any, _T]]) -> _T:
        """What somebody says of it, who is given its descriptor."""
        return await look(self._file)

    def write_out(self) -> Callable[[], None]:
        """
        What has all of it be on its way to the disk, in a thread of its own, and also when this is closed meanwhile.

        It does not say whether it came there, so that `sync` does: an error of a disk is told once.
        """
        file, at, self.begun = os.dup(self._file), self.begun, self.length
        return partial(_write_out, file, at, self.length - at)

    def sync(self) -> None:
        """Bring all of it to the disk."""
        os.fsync(self._file)
        self.begun = self.length

    def close(self) -> None:
        """Once; the bytes stay."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class Vault:
    """
    The files of all uploads. A path of a slot never becomes a name of a file: its hash does.

    Files of one content are one file with several names (hard links), one of them in `content`, by what it is known by.

    :param directory: made when it is not there.
    :param keep_free: bytes of its disk that no upload takes.
    :param once: keep what has the same content once.
    """

    shared = False  # with other processes

    def __init__(self, directory: Path, keep_free: int = 0, *, once: bool = True) -> None:
        self._room, self._once = Room(keep_free), once
        self.saved = 0  # bytes that did not have to be kept twice, since we began
        self.copied = 0  # bytes that were copied, as somebody who stands still might write to them
        self._partial, self._done, self._content, self._aside = (
            directory / each for each in (PARTIAL, DONE, CONTENT, ASIDE)
        )
        for each in (directory, self._partial, self._done, self._content, self._aside):
            each.mkdir(mode=0o700, exist_ok=True)

    @staticmethod
    def name(path: str) -> str:
        """What the files of a slot's path are called, hex."""
        return hashlib.sha256(path.encode("utf-8", "replace")).hexdigest()

    def partial(self, path: str) -> Partial:
        """
        Open what there is of an upload, or begin it.

        :raises OSError: it cannot be opened, or has other names: what was written to it would be written to others.
        """
        return Partial(self._partial / self.name(path), self._room)

    def take(self, path: str, *, tell: bool = False, note: bytes = b"") -> Partial:
        """
        The same, and from now on nobody else writes to it. It may take a while, in a thread of its own.

        :param tell: its length is told to somebody; other processes learn it here, also while the records are away.
        :param note: what is known of it, to be found beside it when the records are lost.
        :raises Taken: another process is quicker.
        """
        return self.partial(path)

    def noted(self, path: str) -> Noted | None:
        """What `take`, or `finish`, was given to note of the one that is there, if it keeps notes."""
        return None

    def all_noted(self) -> Iterator[Noted]:
        """That of each."""
        return iter(())

    def _here(self, path: str) -> Path:
        """Where an upload is that is not whole."""
        return self._partial / self.name(path)

    def _about(self, path: str) -> os.stat_result | None:
        """Of the file of an upload that is not whole; None when there is none."""
        try:
            return self._here(path).stat()
        except FileNotFoundError:
            return None

    def length(self, path: str) -> int:
        """Bytes that are there of an upload that is not whole."""
        about = self._about(path)
        return 0 if about is None else about.st_size

    def touched(self, path: str) -> float:
        """Unix seconds at which its last byte came; 0 when there is none."""
        about = self._about(path)
        return 0.0 if about is None else about.st_mtime

    def size(self, path: str) -> int | None:
        """Bytes of a file that has appeared."""
        try:
            return (self._done / self.name(path)).stat().st_size
        except FileNotFoundError:
            return None

    def is_whole(self, path: str, size: int) -> bool:
        """Whether the file of that size has appeared; one that `finish` was about to rename does so now."""
        here, there = self._here(path), self._done / self.name(path)
        if (found := self.size(path)) is not None:
            return found == size
        try:
            about = here.stat()
        except FileNotFoundError:
            return False
        if about.st_nlink == 1 or about.st_size != size:
            return False
        try:
            self._appear(here, there)  # its content has a second name: it was on the disk
        except FileNotFoundError:  # another process has done the same
            return self.size(path) == size
        return True

    def _appear(self, here: Path, there: Path) -> None:
        os.rename(here, there)
        sync_directory(self._done)
        sync_directory(self._partial)

    def finish(self, path: str, partial: Partial, note: bytes = b"") -> None:
        """
        Let the file appear: on the disk, under its name, both when this returns.

        :param note: what is known of the whole file, to be found beside it when the records are lost.
        :raises Taken: another process goes on with it.
        """
        partial.sync()
        here, there = partial.path, self._done / self.name(path)
        if self._once and partial.length:
            self._keep_once(here, partial)
        self._appear(here, there)

    def _keep_once(self, here: Path, partial: Partial) -> None:
        """
        Make it the file that has its content already, or the first that has it.

        A content is called by its mark, or by its digest if another one that is not the same has that mark.
        """
        other = here.with_name(f"{here.name}{_SAME}")
        for called in (partial.mark, partial.digest):
            content = self._content / called()
            other.unlink(missing_ok=True)  # of one that was killed
            try:
                os.link(content, other)
            except FileNotFoundError:
                with suppress(OSError):  # too many names, or a disk that knows of none: it is kept by itself
                    os.link(here, content)
                return
            except OSError:
                return
            if partial.is_same(other):
                os.rename(other, here)
                self.saved += partial.length
                return
        other.unlink()

    def put_aside(self, path: str, partial: Partial, why: str) -> None:
        """
        Keep it from everybody, for who looks after the server: the file, and beside it a text that says why.

        :raises Taken: another process goes on with it.
        """
        aside = self._aside / self.name(path)
        try:
            os.rename(partial.path, aside)
        except FileNotFoundError:
            raise Taken from None
        os.utime(aside)  # from now on its time counts
        aside.with_suffix(_WHY).write_text(why, "utf-8")
        sync_directory(self._aside)

    def put_aside_for(self, path: str) -> str | None:
        """Why what came for that path was put aside, if it was."""
        aside = self._aside / self.name(path)
        try:
            return aside.with_suffix(_WHY).read_text("utf-8", "replace")
        except FileNotFoundError:
            return "something" if aside.exists() else None

    def forget_aside(self, before: float, most: int) -> None:
        """
        Let go of what was put aside before that, Unix seconds; of what is younger stays why, and the youngest bytes.

        :param most: bytes of all that stays.
        """
        found = []
        for each in self._aside.iterdir():
            with suppress(FileNotFoundError):  # another process does the same
                found.append((each.stat().st_mtime, each.stat().st_size, each))
        total = 0
        for at, size, each in sorted(found, reverse=True):
            total += size
            if at < before or (total > most and each.suffix != _WHY):
                each.unlink(missing_ok=True)

    def forget_unused(self) -> None:
        """Let go of contents that no file has any more."""
        for each in self._content.iterdir():
            with suppress(FileNotFoundError):  # another process does the same
                if each.stat().st_nlink == 1:
                    each.unlink()

    def open(self, path: str) -> BinaryIO | None:
        """A file that has appeared, to be read."""
        try:
            return (self._done / self.name(path)).open("rb")
        except FileNotFoundError:
            return None

    def seize(self, path: str) -> Path | None:
        """
        Have it, to remove it: whoever writes to it, or lets it appear or go, does nothing more. None where none can.

        :raises Taken: another process is quicker.
        """
        return None

    def let_go(self, seized: Path | None) -> None:
        """It stays."""

    def remove(self, path: str, seized: Path | None = None) -> None:
        """
        Whatever there is of it.

        :param seized: what `seize` said, if it was asked.
        :raises Taken: another process has it by now; nothing of what that one does is touched.
        """
        for place in (self._partial, self._done):
            (place / self.name(path)).unlink(missing_ok=True)
        (self._partial / f"{self.name(path)}{_SAME}").unlink(missing_ok=True)
