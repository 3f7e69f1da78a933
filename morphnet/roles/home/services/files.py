"""
Files of one directory: look, download, upload, rename, delete. Downloads and uploads go on from any byte.

Whatever touches the disk is done by threads: a disk that sleeps, or a share of another machine that has gone, keeps
nobody waiting but who asked for it.

Source: docs/home, Services.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from morphnet.errors import Refused
from morphnet.rendezvous.home.streams import Stream
from morphnet.roles.home.beneath import Beneath, in_words
from morphnet.roles.home.services.transfers import Download, Quiet, Upload, Work

MOST_ENTRIES = 5000  # of a directory
SAID_AT_ONCE = 32  # of them: in one item also where each character of each name is escaped
PART = ".morphnet-", ".part"  # how the name of what is not whole yet begins and ends
_Word = Callable[[Stream, str, dict[str, Any]], Coroutine[Any, Any, None]]


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
    try:
        value.encode()
    except UnicodeEncodeError:  # half a character, which JSON lets pass
        raise Refused(f"{name} is no text") from None
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


class Files:
    """
    The service of that name.

    :param work: has a thread do something.
    """

    name = "files"
    _log = Logger()

    def __init__(self, beneath: Beneath, work: Work, *, writable: bool) -> None:
        self._beneath, self._work, self._writable = beneath, work, writable
        self._uploads: WeakValueDictionary[str, Upload] = WeakValueDictionary()  # by their part
        self._words: dict[str, _Word] = {"list": self._list, "about": self._about, "get": self._get}
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

        :raises Refused: it is nothing that we do.
        """
        word = self._words.get(str(asked.get("do")))
        if word is None:
            raise Refused("files are not written here" if not self._writable else "no such thing is done with files")
        path = text(asked, "path")
        stream.outlet = Quiet()
        doing = Deferred.fromCoroutine(self._answered(stream, word(stream, path, asked)))
        doing.addErrback(lambda failure: self._log.failure("a browser was not answered", failure))
        return f"{asked['do']} {path}"

    async def _answered(self, stream: Stream, doing: Coroutine[Any, Any, None]) -> None:
        try:
            await doing
        except Refused as no:
            stream.refuse(no.reason)
        except OSError as trouble:
            stream.refuse(in_words(trouble))

    async def _list(self, stream: Stream, path: str, asked: dict[str, Any]) -> None:
        found = await self._work(partial(self._beneath.entries, path, MOST_ENTRIES))
        entries = [each for each in found if not is_part(each.name)]
        for first in range(0, len(entries), SAID_AT_ONCE):
            some = entries[first : first + SAID_AT_ONCE]
            names = [[each.name, each.directory, each.size, each.modified] for each in some]
            stream.say({"entries": names})
        stream.say({"writable": self._writable, "whole": len(entries) < MOST_ENTRIES})
        stream.end()

    def _open(self, path: str, at: int = 0, mark: object = None) -> tuple[int, int, str, int]:
        """
        A file to read, its size, a mark that it loses when it changes, and where to begin.

        :param at: with `mark`, how many bytes of which state the browser has.
        :raises Refused: it is none.
        """
        file = self._beneath.open(path, os.O_RDONLY | os.O_NONBLOCK)
        looked = os.fstat(file)
        if not stat.S_ISREG(looked.st_mode):
            os.close(file)
            raise Refused("that is no file")
        now = f"{looked.st_mtime_ns}-{looked.st_size}"
        begin = at if mark == now and at <= looked.st_size else 0  # else it is another file by now
        os.lseek(file, begin, os.SEEK_SET)
        return file, looked.st_size, now, begin

    async def _about(self, stream: Stream, path: str, asked: dict[str, Any]) -> None:
        file, size, mark, _ = await self._work(partial(self._open, path))
        os.close(file)
        stream.say({"size": size, "mark": mark})
        stream.end()

    async def _get(self, stream: Stream, path: str, asked: dict[str, Any]) -> None:
        opening = partial(self._open, path, number(asked, "at"), asked.get("mark"))
        file, size, mark, at = await self._work(opening)
        stream.outlet = download = Download(stream, file, self._work)
        if not stream.open:  # meanwhile
            download.gone()
            return
        stream.say({"size": size, "mark": mark, "at": at})
        download.room()

    def _open_part(self, part: str, path: str, size: int) -> tuple[int, int]:
        """
        What is not whole yet, and how much of it is there.

        :raises Refused: there is something of that name already.
        """
        if self._beneath.has(path):
            raise Refused("there is one of that name")
        file = self._beneath.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        looked = os.fstat(file)
        if not stat.S_ISREG(looked.st_mode) or looked.st_size > size:
            os.close(file)
            raise Refused("its part is in use for something else")
        return file, os.lseek(file, 0, os.SEEK_END)

    async def _put(self, stream: Stream, path: str, asked: dict[str, Any]) -> None:
        size, mark = number(asked, "size"), text(asked, "mark")
        parent, _, name = path.rpartition("/")
        # Whoever comes again with the same file goes on with the same part.
        sign = hashlib.sha256(f"{name}\0{size}\0{mark}".encode()).hexdigest()[:16]
        part = f"{parent}/{PART[0]}{sign}{PART[1]}".lstrip("/")
        self._give_up(part)
        file, at = await self._work(partial(self._open_part, part, path, size))
        self._give_up(part)
        whole = partial(self._beneath.rename, part, path)
        stream.outlet = self._uploads[part] = upload = Upload(stream, file, self._work, (at, size), whole)
        if not stream.open:
            upload.gone()
            return
        stream.say({"at": at})

    def _give_up(self, part: str) -> None:
        """The upload of a session that was given up, or of an impatient one."""
        before = self._uploads.get(part)
        if before is not None:
            before.gone()

    async def _make(self, stream: Stream, path: str, asked: dict[str, Any]) -> None:
        await self._change(stream, partial(self._beneath.make_directory, path))

    async def _remove(self, stream: Stream, path: str, asked: dict[str, Any]) -> None:
        await self._change(stream, partial(self._beneath.remove, path))

    async def _rename(self, stream: Stream, path: str, asked: dict[str, Any]) -> None:
        await self._change(stream, partial(self._beneath.rename, path, text(asked, "to")))

    async def _change(self, stream: Stream, what: Callable[[], None]) -> None:
        await self._work(what)
        stream.say({"done": True})
        stream.end()

    def close(self) -> None:
        """No more of it."""
        self._beneath.close()
