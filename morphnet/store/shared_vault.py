"""
The bytes of uploads in a directory that several processes write to, on one machine or on several.

What is there of an upload is in a directory of its own, which is called by a number: the fencing token. Who goes on
with it renames that to the next number, which only one of several can do. From then on every step of who had it before
fails: those that name the file, since there is none of that name, and each write, since before it the writer looks
whether the name is there. Look and write are under the file's lock. Who finds that locked after the renaming waits a
moment, and if it stays so (a process may be stopped between its look and its write) goes on with a copy: what the other
one writes, whenever it wakes, goes to a file that has no name.

Who lets go of an upload takes it likewise, and moves what has appeared into the directory with its number before it
erases that: one that wakes late finds no such directory, and leaves alone what has appeared since.

What is known of an upload is noted in its directory, and of a whole file beside that, before it appears: whoever has
lost the records finds them there (`noted`). A note without its bytes is nothing, and goes when they do.

Nobody has to be alive, or to agree about the time, for that; Redis only carries the word to who was ended.

Source: rename(2), flock(2). The directory must be of a file system where both are the same for all who use it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from morphnet.durable import sync_directory
from morphnet.store.vault import Noted, Partial, Taken, Vault

PATIENCE = 0.1  # seconds for who is within a write
_ENDING = ".d"  # of the directories of uploads
_DATA, _GONE = "data", "gone"  # files in them
_TOLD = "told"  # another: there once the length of the first was told
_NOTE, _WHOLE = "note", ".note"  # one more, with what is known of it; ends the name of the same beside a whole file
_DRAFT = "note-"  # begins the name of one that is being written
_COPY = "copy-"  # begins the name of one more, that ends in the number of who makes it
_TRIES = 50  # as many may take an upload at the same time
_PAUSE = 0.002  # seconds between looks at a lock
_LEFT = 86400.0  # seconds after which what was left behind is nobody's


def _content(path: Path) -> bytes:
    """Of a file; nothing where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


class SharedPartial(Partial):
    """One of those that another process may take."""

    def _write(self, data: memoryview) -> int:
        with self._fenced():
            return super()._write(data)

    def cut_to(self, length: int) -> None:
        with self._fenced():
            super().cut_to(length)

    @property
    def told(self) -> bool:
        return self.path.with_name(_TOLD).exists()

    def tell(self) -> None:
        try:
            self.path.with_name(_TOLD).touch(0o600)  # where there is no directory of that number it fails
            sync_directory(self.path.parent)
        except FileNotFoundError:
            raise Taken from None

    def sync(self) -> None:
        super().sync()
        self._look()  # what is answered now is true: nobody else has gone on from less

    def _look(self) -> None:
        if not self.path.exists():
            raise Taken

    @contextmanager
    def _fenced(self) -> Iterator[None]:
        """:raises Taken: it is another's by now."""
        self._look()  # who had it before does not even lock it
        if not self._locked(PATIENCE):
            raise Taken
        try:
            self._look()
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _locked(self, patience: float) -> bool:
        """Whether it is, after so many seconds at most: who had it before may just find that it has not."""
        for _ in range(max(1, round(patience / _PAUSE))):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_PAUSE)
            else:
                return True
        return False

    def alone(self, patience: float) -> bool:
        """Whether nobody is within a write, after so many seconds at most; what is there is what `length` says then."""
        if not self._locked(patience):
            return False
        self.length = os.fstat(self._file).st_size
        fcntl.flock(self._file, fcntl.LOCK_UN)
        return True

    def is_at(self, path: Path) -> bool:
        """Whether that name is this file's."""
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(self._file), path.stat())
        return False


class SharedVault(Vault):
    """
    A Vault whose directory others use as well.

    :param patience: seconds for who is within a write.
    """

    shared = True

    def __init__(self, directory: Path, keep_free: int = 0, *, once: bool = True, patience: float = PATIENCE) -> None:
        super().__init__(directory, keep_free, once=once)
        self._patience = patience

    def _folder(self, path: str) -> Path:
        return self._partial / f"{self.name(path)}{_ENDING}"

    @staticmethod
    def _held(folder: Path) -> Path | None:
        """The directory in it that has the number of who writes."""
        with suppress(FileNotFoundError):
            return folder / max(os.listdir(folder), default="nobody's")
        return None

    def _here(self, path: str) -> Path:
        return (self._held(self._folder(path)) or self._partial / "nobody's") / _DATA

    def _about(self, path: str) -> os.stat_result | None:
        folder, held = self._folder(path), None
        for _ in range(_TRIES):  # taken by another between two looks: look at what it has
            before, held = held, self._held(folder)
            if held is None or held == before:
                break
            with suppress(FileNotFoundError):
                return (held / _DATA).stat()
        return None

    def partial(self, path: str) -> Partial:
        return self.take(path)

    def take(self, path: str, *, tell: bool = False, note: bytes = b"") -> Partial:
        mine = self._taken(path)
        self._clear(mine)
        partial = self._opened(path, mine)
        try:
            if note and _content(mine / _NOTE) != note:
                self._write_note(mine, note, mine / _NOTE)
            if not partial.alone(self._patience):
                partial.close()
                self._copy(mine)
                partial = self._opened(path, mine)
            if tell and not partial.told:
                partial.tell()
        except BaseException:
            partial.close()
            raise
        return partial

    def _taken(self, path: str) -> Path:
        """Rename its directory, or make it: from now on whoever had it before does nothing more."""
        folder = self._folder(path)
        for _ in range(_TRIES):
            held = self._held(folder)
            if held is None or not held.name[:1].isdigit():
                self._begin(path, folder)
                continue
            number = int(held.name.partition("-")[0]) + 1
            mine = folder / f"{number:010d}-{secrets.token_hex(8)}"
            with suppress(FileNotFoundError):
                os.rename(held, mine)
                return mine
        raise Taken

    def _begin(self, path: str, folder: Path) -> None:
        """Make it, with what there is from when nobody else used this vault."""
        new = folder.with_name(f"{folder.name}{secrets.token_hex(8)}")
        first = new / "0000000000-0"
        first.mkdir(parents=True, mode=0o700)
        try:
            os.rename(new, folder)
        except OSError:  # another one was quicker
            shutil.rmtree(new, ignore_errors=True)
            return
        with suppress(FileNotFoundError):
            os.rename(self._partial / self.name(path), folder / first.name / _DATA)

    def _opened(self, path: str, mine: Path) -> SharedPartial:
        try:
            partial = SharedPartial(mine / _DATA, self._room)
        except OSError as trouble:
            if trouble.errno in (errno.ENOENT, errno.EMLINK):  # taken by another, or about to appear
                raise Taken from None
            raise
        if (self._done / self.name(path)).exists():  # whole, since we looked for its record
            partial.close()
            self._tidy(mine)
            raise Taken
        return partial

    @staticmethod
    def _clear(mine: Path) -> None:
        """Take away what others left there that were within something: what they write goes nowhere then."""
        try:
            for each in os.listdir(mine):
                if each not in (_DATA, _TOLD, _NOTE):
                    (mine / each).unlink(missing_ok=True)
        except FileNotFoundError:
            raise Taken from None

    def _copy(self, mine: Path) -> None:
        here, copy = mine / _DATA, mine / f"{_COPY}{mine.name}"
        try:
            with here.open("rb") as source, copy.open("xb") as target:
                os.fchmod(target.fileno(), 0o600)
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
                self.copied += target.tell()
            os.rename(copy, here)
            sync_directory(mine)
        except FileNotFoundError:
            raise Taken from None

    @staticmethod
    def _write_note(mine: Path, note: bytes, place: Path) -> None:
        """:raises Taken: it is another's by now."""
        draft = mine / f"{_DRAFT}{secrets.token_hex(8)}"
        try:
            with draft.open("xb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(note)
                file.flush()
                os.fsync(file.fileno())
            os.rename(draft, place)
            sync_directory(place.parent)
        except FileNotFoundError:
            raise Taken from None

    def noted(self, path: str) -> Noted | None:
        return self._noted(self.name(path))

    def _noted(self, name: str) -> Noted | None:
        done = self._done / name
        with suppress(FileNotFoundError):
            size = done.stat().st_size
            note = _content(done.with_name(f"{name}{_WHOLE}"))
            return Noted(note, True, size) if note else None
        held = self._held(self._partial / f"{name}{_ENDING}")
        note = _content(held / _NOTE) if held is not None else b""
        return Noted(note, (held / _TOLD).exists(), None) if held is not None and note else None

    def all_noted(self) -> Iterator[Noted]:
        names = [each.name for each in self._done.iterdir() if each.suffix == _WHOLE]
        names += [each.name for each in self._partial.iterdir() if each.suffix == _ENDING]
        for each in names:
            found = self._noted(each.partition(".")[0])
            if found is not None:
                yield found

    def finish(self, path: str, partial: Partial, note: bytes = b"") -> None:
        if note:
            self._write_note(partial.path.parent, note, self._done / f"{self.name(path)}{_WHOLE}")
        try:
            super().finish(path, partial)
        except FileNotFoundError:
            if not isinstance(partial, SharedPartial) or not partial.is_at(self._done / self.name(path)):
                raise Taken from None
        self._tidy(partial.path.parent)

    def put_aside(self, path: str, partial: Partial, why: str) -> None:
        super().put_aside(path, partial, why)
        self._tidy(partial.path.parent)

    def is_whole(self, path: str, size: int) -> bool:
        held = self._held(self._folder(path))
        whole = super().is_whole(path, size)
        if whole and held is not None:
            self._tidy(held)
        return whole

    @staticmethod
    def _tidy(mine: Path) -> None:
        """Let go of a directory whose number is still ours, once its file is elsewhere, or gone."""
        with suppress(FileNotFoundError):
            for each in os.listdir(mine):
                (mine / each).unlink(missing_ok=True)
        with suppress(OSError):  # another has it by now
            mine.rmdir()
            mine.parent.rmdir()

    def seize(self, path: str) -> Path:
        return self._taken(path)

    def let_go(self, seized: Path | None) -> None:
        with suppress(OSError):  # there is something of it, or another has it
            if seized is not None:
                seized.rmdir()
                seized.parent.rmdir()

    def remove(self, path: str, seized: Path | None = None) -> None:
        mine = seized or self._taken(path)
        with suppress(FileNotFoundError):
            os.rename(self._done / self.name(path), mine / _GONE)
        if not mine.exists():
            raise Taken
        with suppress(FileNotFoundError):
            os.rename(self._done / f"{self.name(path)}{_WHOLE}", mine / f"{_DRAFT}{_GONE}")
        self._tidy(mine)

    def forget_unused(self) -> None:
        super().forget_unused()
        before = time.time() - _LEFT
        for each in self._partial.iterdir():
            with suppress(FileNotFoundError):  # it has its name, or another process does the same
                if len(each.name) > len(self.name("")) + len(_ENDING) and each.stat().st_mtime < before:
                    shutil.rmtree(each, ignore_errors=True)  # of who was killed before it had its name
