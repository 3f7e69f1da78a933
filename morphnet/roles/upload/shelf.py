"""The uploads there are: their records, their bytes, and whose turn it is to write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred

from morphnet.net.http import BodyCut, Exchange
from morphnet.rendezvous.transfer import Turn, Turns
from morphnet.roles.upload.underway import UnderWay
from morphnet.store.base import UploadRecord, Uploads
from morphnet.store.vault import Partial, Vault
from morphnet.wire.messages.upload.slots import SlotRefused

Beside = Callable[[Callable[[], None]], Deferred[None]]


class Overrun(Exception):
    """There are more bytes than the upload has."""


class Differs(Exception):
    """An upload is repeated with other bytes than those that are there, and somebody relies on them."""


class _Pen:
    """Writes what one request brings, while it has the turn."""

    def __init__(self, partial: Partial, turn: Turn, record: UploadRecord, at: int, counts: Counter[str]) -> None:
        self._partial, self._turn, self._record, self._at, self._counts = partial, turn, record, at, counts

    def take(self, data: bytes) -> None:
        """The next bytes; those that are there already are compared."""
        if not self._turn.current:
            raise BodyCut
        if self._at + len(data) > self._record.size:
            raise Overrun
        held = min(len(data), self._partial.length - self._at)
        if held > 0:
            same = self._partial.agrees(data[:held], self._at)
            if same < held:
                if self._record.announced:
                    raise Differs
                self._partial.cut_to(self._at + same)  # a plain PUT that begins anew with another content
            held = same
        before = self._partial.length
        try:
            self._partial.append(data[max(held, 0) :])
        finally:
            self._counts["uploaded_bytes"] += self._partial.length - before
        self._at += len(data)


class Shelf:
    """
    All uploads.

    :param beside: does work of a slow disk where it holds up nobody.
    :param wall: tells Unix seconds.
    """

    def __init__(self, uploads: Uploads, vault: Vault, beside: Beside, wall: Callable[[], float]) -> None:
        self.uploads, self.vault, self.turns, self.wall = uploads, vault, Turns(), wall
        self.counts = Counter[str]()
        self.under_way = UnderWay(vault.length, wall)
        self._beside = beside
        self._finishing: dict[str, list[Deferred[None]]] = {}  # path -> who waits for the end of it

    async def find(self, path: str) -> UploadRecord | None:
        """The record of an upload, complete as soon as its file has appeared."""
        if path in self._finishing:
            waiting: Deferred[None] = Deferred()
            self._finishing[path].append(waiting)
            await waiting
        record = await self.uploads.find(path)
        if record is not None and not record.completed_at and self.vault.is_whole(path):
            await self.uploads.complete(path, int(self.wall()))  # we were ended between the two
            record = await self.uploads.find(path)
        return record

    async def offset(self, record: UploadRecord) -> int:
        """How many bytes are there, for good: whoever writes is ended, and what is told is on the disk."""
        if record.completed_at:
            return record.size
        self.turns.end(record.path)
        await self.uploads.announce(record.path)
        return await self._settled(record.path)

    async def _settled(self, path: str) -> int:
        if not self.vault.length(path):
            return 0
        partial = self.vault.partial(path)
        try:
            length = partial.length
            await self._beside(partial.sync)
            return length
        finally:
            partial.close()

    async def write(self, exchange: Exchange, record: UploadRecord, at: int) -> int:
        """
        Write the body of a request, from byte `at` of the file on; those up to the present length are compared.

        :returns: bytes that are there now; all of them: the file has appeared.
        :raises BodyCut: it ended too early; what came is kept.
        :raises Overrun: there is more of it than the file has.
        :raises SlotRefused: there is no room, or the bytes contradict those that are there.
        """
        return await self._written(exchange, record, at, exchange.body)

    async def write_bytes(self, exchange: Exchange, record: UploadRecord, at: int, body: bytes) -> int:
        """The same with a body that was read, which is right."""

        async def given(take: Callable[[bytes], None]) -> None:
            take(body)

        return await self._written(exchange, record, at, given)

    async def _written(
        self,
        exchange: Exchange,
        record: UploadRecord,
        at: int,
        body: Callable[[Callable[[bytes], None]], Coroutine[Any, Any, None]],
    ) -> int:
        turn = self.turns.take(record.path, exchange.hang_up)
        self.under_way.begins(record, exchange.caller)
        partial = self.vault.partial(record.path)
        try:
            await body(_Pen(partial, turn, record, at, self.counts).take)
            if not turn.current:
                raise BodyCut
            if partial.length >= record.size:
                await self._finish(record, partial)
            else:
                await self._beside(partial.sync)
            return partial.length
        except Differs:
            raise SlotRefused(409, "these are not the bytes that are there already") from None
        except BodyCut:
            self.counts["uploads_cut"] += 1
            raise
        except OSError as trouble:
            self.counts["uploads_without_room"] += 1
            raise SlotRefused(507, f"no room: {(trouble.strerror or 'the disk fails').lower()}") from None
        finally:
            turn.leave()
            self.under_way.ends(record.path)
            partial.close()

    async def _finish(self, record: UploadRecord, partial: Partial) -> None:
        waiting = self._finishing[record.path] = []
        try:
            await self._beside(lambda: self.vault.finish(record.path, partial))
            await self.uploads.complete(record.path, int(self.wall()))
            self.counts["uploads_complete"] += 1
            self.under_way.over(record.path)
        finally:
            del self._finishing[record.path]
            for each in waiting:
                each.callback(None)

    async def forget(self, record: UploadRecord) -> None:
        """Have it, and all its bytes, go."""
        self.turns.end(record.path)
        self.under_way.over(record.path)
        await self.uploads.forget(record.path)
        await self._beside(lambda: self.vault.remove(record.path))

    async def sweep(self, partial_seconds: float, keep_seconds: float) -> None:
        """Let go of what nobody went on with, and of files that are old enough; 0 keeps them for ever."""
        now = self.wall()
        completed = int(now - keep_seconds) if keep_seconds else 0
        for record in await self.uploads.older(int(now - partial_seconds), completed, int(now)):
            recent = not record.completed_at and self.vault.touched(record.path) > now - partial_seconds
            if not recent:
                await self.forget(record)
                self.counts["uploads_expired"] += 1
        await self._beside(self.vault.forget_unused)
