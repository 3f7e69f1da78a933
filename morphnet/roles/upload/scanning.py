"""No file appears in which a scanner has found something: it is put aside, and its address says so."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from morphnet.net.clamd import ScannerAway
from morphnet.net.http import BodyCut
from morphnet.rendezvous.transfer import Turn
from morphnet.store.base import UploadRecord
from morphnet.store.vault import Partial, Vault
from morphnet.text import printable
from morphnet.wire.messages.upload.slots import SlotRefused

MOST_LOOKS = 100  # files that are looked at, or wait in the scanner's queue, at a time: clamd's own MaxQueue
_LONGEST = 100  # characters of a name


@dataclass(frozen=True, slots=True)
class Aside:
    """What is kept of files in which something was found."""

    seconds: float = 30 * 86400.0  # 0: for ever
    most: int = 1 << 30  # bytes of all of them


class _Look:
    """
    One look at one content, and who waits for what is said of it: the last who came, whose turn has ended the others'.

    :param file: an open one, closed with `over`.
    """

    def __init__(self, file: int) -> None:
        about = os.fstat(file)
        # Whoever writes from now on leaves another time, even within one tick of the kernel's clock.
        os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns - 1))
        self.file, self.content = os.dup(file), _content(file)
        self._waiting: Deferred[str] | None = None

    def said(self) -> Deferred[str]:
        """What will be said."""
        before, self._waiting = self._waiting, Deferred()
        if before is not None:
            before.errback(BodyCut())
        return self._waiting

    def over(self, result: str | Failure) -> None:
        """It was said, or will not be."""
        os.close(self.file)
        if self._waiting is not None:
            self._waiting.callback(result)  # a Failure makes it fail


ASIDE = Aside()


def _content(file: int) -> tuple[int, ...]:
    """What differs as soon as somebody has written to it, or it is another file."""
    about = os.fstat(file)
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns


class Scanning:
    """
    :param scan: looks at an open file: the name of what it has found, "" for nothing; or ScannerAway.
    :param required: what was not looked at does not appear.
    :param tell: hears one sentence, and whose file it is, when something is found, or nobody looks.
    """

    def __init__(
        self,
        scan: Callable[[int], Coroutine[Any, Any, str]],
        vault: Vault,
        counts: Counter[str],
        tell: Callable[[str, str], None],
        *,
        required: bool,
        aside: Aside = ASIDE,
    ) -> None:
        self._scan, self._vault, self._counts, self._tell, self._required = scan, vault, counts, tell, required
        self._aside, self._put = aside, 0  # bytes put aside since somebody looked how many there are
        self._looks: dict[str, _Look] = {}  # by the path of the upload

    def check(self, path: str, verb: str) -> None:
        """:raises SlotRefused: what came for that path was put aside."""
        if (found := self._vault.put_aside_for(path)) is not None:
            if verb in ("GET", "HEAD"):
                raise SlotRefused(410, "the file that was meant to be here was not taken")
            raise _refused(found)

    async def look(self, record: UploadRecord, partial: Partial, turn: Turn) -> None:
        """
        Look at all of it. Who comes while it is looked at, after somebody's turn has ended, waits for the same look.

        :raises SlotRefused: there is something in it, and it was put aside; or nobody has looked.
        :raises BodyCut: the turn is over.
        """
        try:
            try:
                found = printable(await self._found(record.path, partial))[:_LONGEST]
            finally:
                if not turn.current:
                    raise BodyCut
        except ScannerAway as away:
            self._counts["uploads_not_scanned"] += 1
            self._tell(record.user, f"clamd has not looked at a file: {printable(str(away))}")
            if self._required:
                raise SlotRefused(503, "nobody can look at the file now: come again") from None
            return
        if found:
            self._counts["uploads_infected"] += 1
            self._vault.put_aside(record.path, partial, found)
            self._put += partial.length
            if self._put > self._aside.most:
                self.forget_old(0.0)
            self._tell(record.user, f"{found} was in {printable(record.path)}: it was put aside")
            raise _refused(found)

    def forget_old(self, now: float) -> None:
        """Let go of what was put aside long ago, and of the oldest if there is too much."""
        self._put = 0
        self._vault.forget_aside(now - self._aside.seconds if self._aside.seconds else 0.0, self._aside.most)

    async def _found(self, path: str, partial: Partial) -> str:
        look = self._looks.get(path)
        if look is not None:
            if look.content != await partial.seen_by(_content_of):
                raise SlotRefused(503, "what was here before is still being looked at: come again")
            return await look.said()
        if len(self._looks) >= MOST_LOOKS:
            raise SlotRefused(503, "too many files are being looked at: come again")
        look = self._looks[path] = await partial.seen_by(_look_at)
        said = look.said()
        Deferred.fromCoroutine(self._scan(look.file)).addBoth(self._over, path, look)
        return await said

    def _over(self, result: str | Failure, path: str, look: _Look) -> None:
        del self._looks[path]
        look.over(result)


async def _look_at(file: int) -> _Look:
    return _Look(file)


async def _content_of(file: int) -> tuple[int, ...]:
    return _content(file)


def _refused(found: str) -> SlotRefused:
    return SlotRefused(422, f"the file was not taken: {found} is in it")
