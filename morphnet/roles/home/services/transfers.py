"""
Files on their way to a browser and from one: read and written by threads, and never more of them in memory than the
window of the stream.

Source: docs/home, Services.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from morphnet.rendezvous.home.streams import WINDOW, Stream
from morphnet.roles.home.beneath import in_words
from morphnet.wire.messages.home.frames import LONGEST

PIECE = 4 * LONGEST  # bytes that a thread reads at once
ENOUGH = WINDOW // 4  # bytes that a thread writes at once; with fewer on the way the browser goes on by itself
Work = Callable[[Callable[[], Any]], "Deferred[Any]"]  # has a thread do something, and tells what came of it


class Quiet:
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


class _Transfer(Quiet):
    """
    A file that is open, and at most one thread at work on it.

    :param file: a descriptor, which is closed when all is over.
    """

    def __init__(self, stream: Stream, file: int, work: Work) -> None:
        self._stream, self._file, self._work = stream, file, work
        self._busy = self._over = False

    def _do(self, what: Callable[[], Any], then: Callable[[Any], None]) -> None:
        self._busy = True
        self._work(what).addCallbacks(partial(self._done, then), self._failed)

    def _done(self, then: Callable[[Any], None], result: Any) -> None:
        self._busy = False
        if self._over:
            os.close(self._file)
        else:
            then(result)

    def _failed(self, failure: Failure) -> None:
        self._busy = False
        if self._over:  # meanwhile, and it was left to us to close it
            os.close(self._file)
        else:
            self.gone()
        failure.trap(OSError)
        assert isinstance(failure.value, OSError)  # or it would have been raised again
        self._stream.refuse(in_words(failure.value))

    def gone(self) -> None:
        if not self._over:
            self._over = True
            if not self._busy:
                os.close(self._file)


class Download(_Transfer):
    """A file on its way to the browser."""

    def room(self) -> None:
        if not self._busy and not self._over and self._stream.window:
            self._do(partial(os.read, self._file, min(PIECE, self._stream.window)), self._read)

    def _read(self, data: bytes) -> None:
        if data:
            self._stream.write(data)
            self.room()
        else:
            self._stream.end()
            self.gone()


class Upload(_Transfer):
    """
    A file on its way from the browser: beside its place until it is whole.

    :param sizes: bytes of it that are there, and of the whole.
    :param whole: gives it its name.
    """

    def __init__(
        self, stream: Stream, file: int, work: Work, sizes: tuple[int, int], whole: Callable[[], None]
    ) -> None:
        super().__init__(stream, file, work)
        self._came, self._size = sizes
        self._whole = whole
        self._waiting: list[bytes] = []
        self._waits = 0  # bytes of it
        self._ended = False

    def received(self, data: bytes) -> None:
        if self._over:
            return
        self._came += len(data)
        if self._came > self._size:
            self._refuse("more bytes than were announced")
            return
        self._waiting.append(data)
        self._waits += len(data)
        self._go_on()

    def ended(self) -> None:
        if not self._over:
            self._ended = True
            self._go_on()

    def _go_on(self) -> None:
        if self._busy:
            return
        if self._waits >= ENOUGH or (self._waits and self._ended):
            waiting, self._waiting, self._waits = self._waiting, [], 0
            self._do(partial(_write, self._file, waiting), self._wrote)
        elif self._ended and self._came < self._size:
            self._refuse("fewer bytes than were announced")
        elif self._ended:
            self._do(self._finish, self._finished)

    def _failed(self, failure: Failure) -> None:
        self._waiting, self._waits = [], 0  # it would be written where something else belongs
        super()._failed(failure)

    def gone(self) -> None:
        if self._waits and not self._busy and not self._over:
            with suppress(OSError):  # then it comes again
                _write(self._file, self._waiting)
        super().gone()

    def _wrote(self, size: int) -> None:
        self._stream.took(size)
        self._go_on()

    def _finish(self) -> None:
        os.fsync(self._file)
        self._whole()

    def _finished(self, _: None) -> None:
        self._stream.say({"done": self._size})
        self._stream.end()
        self.gone()

    def _refuse(self, why: str) -> None:
        self._stream.refuse(why)
        self.gone()


def _write(file: int, pieces: list[bytes]) -> int:
    left = memoryview(b"".join(pieces))
    size = len(left)
    while left:
        left = left[os.write(file, left) :]
    return size
