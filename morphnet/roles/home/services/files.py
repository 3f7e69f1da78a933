"""
Files of one directory: look, download, upload, rename, delete. Downloads and uploads go on from any byte.

Source: docs/home, Services.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from morphnet.errors import Refused
from morphnet.rendezvous.home.streams import Stream
from morphnet.roles.home.beneath import Beneath, in_words
from morphnet.wire.messages.home.frames import LONGEST

MOST_ENTRIES = 5000  # of a directory
PART = ".morphnet-", ".part"  # how the name of what is not whole yet begins and ends
_PIECE = 4 * LONGEST  # bytes read at once


def is_part(name: str) -> bool:
    """Whether it is of a file that is not whole yet."""
    return name.startswith(PART[0]) and name.endswith(PART[1])


def text(asked: dict[str, Any], name: str) -> str:
    """
    A field of what was asked.

    :raises Refused: it is no text.
    """
    value = asked.get(name)
    if not isinstance(value, str) or len(value) > 4096:
        raise Refused(f"{name} is no text")
    return value


def number(asked: dict[str, Any], name: str) -> int:
    """
    The same of a number that is not negative.

    :raises Refused: it is none.
    """
    value = asked.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
        raise Refused(f"{name} is no number")
    return value


class _Quiet:
    """An outlet to which nothing happens."""

    def received(self, data: bytes) -> None:
        """Not asked for."""

    def said(self, what: dict[str, Any]) -> None:
        """Not asked for."""

    def room(self) -> None:
        """Nothing waits."""

    def ended(self) -> None:
        """That is well."""

    def gone(self) -> None:
        """That is well."""


class _Download(_Quiet):
    """A file on its way to the browser."""

    def __init__(self, stream: Stream, file: int, later: Callable[[Callable[[], None]], None]) -> None:
        self._stream, self._file, self._later = stream, file, later
        self._waits = False  # a turn is coming

    def room(self) -> None:
        if not self._waits and self._file >= 0:
            self._waits = True
            self._later(self._turn)

    def _turn(self) -> None:
        """One piece; others have their turn before the next."""
        self._waits = False
        if self._file < 0 or not self._stream.window:
            return
        try:
            data = os.read(self._file, min(_PIECE, self._stream.window))
        except OSError as trouble:
            self._stream.refuse(in_words(trouble))
            self.gone()
            return
        if data:
            self._stream.write(data)
            self.room()
        else:
            self._stream.end()
            self.gone()

    def gone(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class _Upload(_Quiet):
    """A file on its way from the browser: beside its place until it is whole."""

    def __init__(self, stream: Stream, beneath: Beneath, path: str, size: int, part: tuple[str, int]) -> None:
        self._stream, self._beneath, self._path, self._size = stream, beneath, path, size
        self._part, self._file = part
        self._at = os.lseek(self._file, 0, os.SEEK_END)

    def received(self, data: bytes) -> None:
        if self._file < 0:
            return
        if self._at + len(data) > self._size:
            self._refuse("more bytes than were announced")
            return
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as trouble:
            self._refuse(in_words(trouble))
            return
        self._at += len(data)
        self._stream.took(len(data))

    def ended(self) -> None:
        if self._file < 0:
            return
        if self._at != self._size:
            self._refuse("fewer bytes than were announced")
            return
        try:
            os.fsync(self._file)
            self._beneath.rename(self._part, self._path)
        except OSError as trouble:
            self._refuse(in_words(trouble))
            return
        self._stream.say({"done": self._size})
        self._stream.end()
        self.gone()

    def _refuse(self, why: str) -> None:
        self._stream.refuse(why)
        self.gone()

    def gone(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class Files:
    """
    The service of that name.

    :param later: calls something in the next turn of the reactor.
    """

    name = "files"

    def __init__(self, beneath: Beneath, later: Callable[[Callable[[], None]], None], *, writable: bool) -> None:
        self._beneath, self._later, self._writable = beneath, later, writable
        self._uploads: WeakValueDictionary[str, _Upload] = WeakValueDictionary()  # by their part
        self._words = {"list": self._list, "get": self._get}
        if writable:
            self._words |= {
                "put": self._put,
                "make": self._make,
                "remove": self._remove,
                "rename": self._rename,
            }

    def opened(self, stream: Stream, asked: dict[str, Any]) -> str:
        """
        Do what is asked for; what that is, in words, for the log.

        :raises Refused: it is nothing that we do, or not now.
        """
        word = self._words.get(str(asked.get("do")))
        if word is None:
            raise Refused("files are not written here" if not self._writable else "no such thing is done with files")
        path = text(asked, "path")
        try:
            word(stream, path, asked)
        except OSError as trouble:
            raise Refused(in_words(trouble)) from None
        return f"{asked['do']} {path}"

    def _list(self, stream: Stream, path: str, asked: dict[str, Any]) -> None:
        stream.outlet = _Quiet()
        entries = [each for each in self._beneath.entries(path, MOST_ENTRIES) if not is_part(each.name)]
        for first in range(0, len(entries), 50):  # what is said at once has an end
            names = [[each.name, each.directory, each.size, each.modified] for each in entries[first : first + 50]]
            stream.say({"entries": names})
        stream.say({"writable": self._writable, "whole": len(entries) < MOST_ENTRIES})
        stream.end()

    def _get(self, stream: Stream, path: str, asked: dict[str, Any]) -> None:
        file = self._beneath.open(path, os.O_RDONLY | os.O_NONBLOCK)
        looked = os.fstat(file)
        if not stat.S_ISREG(looked.st_mode):
            os.close(file)
            raise Refused("that is no file")
        mark = f"{looked.st_mtime_ns}-{looked.st_size}"
        at = number(asked, "at")
        if at and asked.get("mark") != mark:
            at = 0  # it is another file by now
        os.lseek(file, at, os.SEEK_SET)
        stream.say({"size": looked.st_size, "mark": mark, "at": at})
        stream.outlet = download = _Download(stream, file, self._later)
        download.room()

    def _put(self, stream: Stream, path: str, asked: dict[str, Any]) -> None:
        size, mark = number(asked, "size"), text(asked, "mark")
        parent, _, name = path.rpartition("/")
        there, _ = self._beneath.directory_of(path)
        try:
            if name in os.listdir(there):
                raise Refused("there is one of that name")
        finally:
            os.close(there)
        # Whoever comes again with the same file goes on with the same part.
        sign = hashlib.sha256(f"{name}\0{size}\0{mark}".encode()).hexdigest()[:16]
        part = f"{parent}/{PART[0]}{sign}{PART[1]}".lstrip("/")
        file = self._beneath.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        if not stat.S_ISREG(os.fstat(file).st_mode) or os.fstat(file).st_size > size:
            os.close(file)
            raise Refused("its part is in use for something else")
        before = self._uploads.get(part)
        if before is not None:
            before.gone()  # of a session that was given up, or of an impatient one
        stream.outlet = self._uploads[part] = _Upload(stream, self._beneath, path, size, (part, file))
        stream.say({"at": os.fstat(file).st_size})

    def _make(self, stream: Stream, path: str, asked: dict[str, Any]) -> None:
        self._beneath.make_directory(path)
        self._done(stream)

    def _remove(self, stream: Stream, path: str, asked: dict[str, Any]) -> None:
        self._beneath.remove(path)
        self._done(stream)

    def _rename(self, stream: Stream, path: str, asked: dict[str, Any]) -> None:
        self._beneath.rename(path, text(asked, "to"))
        self._done(stream)

    def _done(self, stream: Stream) -> None:
        stream.outlet = _Quiet()
        stream.say({"done": True})
        stream.end()

    def close(self) -> None:
        """No more of it."""
        self._beneath.close()
