"""The uploads there are: their records, their bytes, and whose turn it is to write."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from morphnet.net.http import BodyCut, Exchange
from morphnet.rendezvous.transfer import Turn, Turns
from morphnet.roles.upload.ahead import Ahead
from morphnet.roles.upload.checking import Body, Checking, Fits
from morphnet.roles.upload.expiry import Patience, over
from morphnet.roles.upload.growing import Growing, no_room
from morphnet.roles.upload.holding import Holding
from morphnet.roles.upload.letting import Beside, same, seized
from morphnet.roles.upload.networks import note_move
from morphnet.roles.upload.parts import joined, parts_of, whole_of
from morphnet.roles.upload.pen import Differs, Overrun, Pen
from morphnet.roles.upload.scanning import Scanning
from morphnet.roles.upload.underway import UnderWay
from morphnet.store.base import OPEN, OverQuota, StoreAway, UploadRecord, Uploads
from morphnet.store.upload_notes import note_of
from morphnet.store.vault import Partial, Taken, Vault
from morphnet.wire.messages.upload.slots import SlotRefused


class Shelf:
    """
    All uploads.

    :param beside: does work of a slow disk where it holds up nobody.
    :param wall: tells Unix seconds.
    :param steady: tells seconds that nobody can set; None: the wall clock is never set.
    """

    def __init__(
        self,
        uploads: Uploads,
        vault: Vault,
        beside: Beside,
        wall: Callable[[], float],
        steady: Callable[[], float] | None = None,
    ) -> None:
        self.uploads, self.vault, self.turns, self.wall = uploads, vault, Turns(), wall
        self.counts = Counter[str]()
        self.under_way = UnderWay(vault.length, wall)
        self.taken: Callable[[str], None] = lambda path: None  # tells other processes that we go on with it
        self.scanning: Scanning | None = None  # looks at files before they appear
        self.max_size = self.quota = 0  # bytes of a file whose size nobody has told, and of all of its user's
        self._beside, self._patience = beside, Patience(wall, steady or wall)
        self._checking = Checking(self.counts, steady or wall)
        self._appearing = Holding()  # paths whose files appear or go, or whose records change: nobody looks meanwhile
        self._pieces = Holding()  # paths to which a thread writes one more piece
        self._ahead = Ahead(beside, self._pieces)

    async def find(self, path: str) -> UploadRecord | None:
        """The record of an upload as it is when this returns: complete as soon as its file has appeared."""
        while True:
            await self._appearing.free(path)
            with self._appearing.look(path) as look:
                record = await self.uploads.find(path)
            if look.stale:
                continue
            if record is not None and record.size == OPEN and (size := self.vault.size(path)) is not None:
                await self.uploads.sized(path, size)  # it was told, and lost: no file appears without
                continue
            if record is None or record.completed_at or not self.vault.is_whole(path, record.size):
                return record
            await self.uploads.complete(path, int(self.wall()))  # we were ended between the two

    async def offset(self, record: UploadRecord, place: int | None = None) -> int:
        """
        How many bytes are there, for good: whoever writes is ended, and what is told is on the disk.

        :param place: of the request that asks, among all that have come: who came before it writes nothing more.
        :raises SlotRefused: it is gone.
        """
        if record.completed_at:
            return record.size
        path = record.path
        await self._appearing.free(path)
        self.turns.end(path, place)
        self.taken(path)
        with self._appearing.held(path):  # or who takes the turn now would find that nobody was told
            await self.uploads.announce(path)
        fresh = await self.find(path)
        if fresh is None:
            raise SlotRefused(404, "no upload has begun here")
        return fresh.size if fresh.completed_at else await self._settled(fresh, place)

    async def _settled(self, record: UploadRecord, place: int | None) -> int:
        path = record.path
        await self._pieces.free(path)
        if not self.vault.shared and not self.vault.length(path):
            return 0
        partial = await self._take(record, tell=True)
        try:
            length = partial.length
            if length != record.size:
                await self._beside(partial.sync)
                return length
            turn = self.turns.take(path, lambda: None, place)  # whoever wrote its last byte was ended then
            try:
                fresh = await self.find(path)
                if fresh is None or not fresh.completed_at:
                    await self._finish(record, partial, turn)
            except BodyCut:
                raise SlotRefused(503, "another request goes on with it: come again") from None
            finally:
                turn.leave()
            return length
        finally:
            partial.close()

    async def _take(self, record: UploadRecord, *, tell: bool) -> Partial:
        """
        To write to; from now on no other process does.

        :param tell: its length is told, or was.
        :raises Taken: one was quicker.
        """
        path, note = record.path, note_of(record)
        if not self.vault.shared:
            await self._pieces.free(path)  # of one whose turn has ended
            return self.vault.partial(path)
        took: list[Partial] = []
        await self._beside(lambda: took.append(self.vault.take(path, tell=tell, note=note)))
        return took[0]

    async def write(
        self, exchange: Exchange, record: UploadRecord, at: int, fits: Fits | None = None, *, ends: bool = False
    ) -> int:
        """
        Write the body of a request, from byte `at` of the file on; those up to the present length are compared.

        :param ends: where its size is not known, it has no more bytes than these.
        :param fits: looks at the whole body before a byte of it is written; the body is not long then.
        :returns: bytes that are there now; all of them: the file has appeared.
        :raises BodyCut: it ended too early; what came is kept.
        :raises Overrun: there is more of it than the file has.
        :raises Unfit: it is not what it should be.
        :raises SlotRefused: there is no room in memory, or the bytes contradict those that are there.
        :raises OSError: there is no room on the disk.
        """
        turn = self.turns.take(record.path, exchange.hang_up, exchange.place, exchange.last_bytes)
        self.taken(record.path)
        if self.under_way.begins(record, exchange.caller):
            note_move(self.uploads, record.path, exchange, int(self.wall()), self.counts)
        try:
            if fits is None:
                return await self._written(turn, record.path, at, exchange.stream, exchange.length, ends=ends)
            with self._checking.in_memory(exchange) as kept:
                body = await kept.looked_at(fits)
                return await self._written(turn, record.path, at, body, exchange.length, ends=ends)
        except Differs:
            raise SlotRefused(409, "these are not the bytes that are there already") from None
        except BodyCut:
            self.counts["uploads_cut"] += 1
            raise
        except Taken:
            turn.end()
            raise
        finally:
            self.under_way.ends(record.path)
            await self._leave(turn, record)

    async def _leave(self, turn: Turn, record: UploadRecord) -> None:
        """Who took over, here or elsewhere, has room of its own by now: only the last one settles what it counts as."""
        mine = turn.current or not self.vault.shared
        turn.leave()
        if record.size == OPEN and mine and record.path not in self.turns:
            await Growing(self.uploads, self.quota, self.counts).settle(record, self.vault.length(record.path))

    async def told_size(self, exchange: Exchange, record: UploadRecord, size: int) -> UploadRecord:
        """
        The size of an upload that began without one is told; nobody writes to it meanwhile.

        :raises Overrun: there are more bytes than that.
        :raises SlotRefused: no file may have so many, or its user has no room for it.
        """
        if size > self.max_size:
            raise SlotRefused(413, f"files may have {self.max_size} bytes")
        turn = self.turns.take(record.path, exchange.hang_up, exchange.place)
        self.taken(record.path)
        try:
            there = await self._writable(turn, record.path)
            partial = await self._take(there, tell=there.announced)
            partial.close()
            if not turn.current:
                raise BodyCut
            if size < partial.length:
                raise Overrun
            return await self._sized(there, size, turn)
        finally:
            await self._leave(turn, record)

    async def _sized(self, record: UploadRecord, size: int, turn: Turn) -> UploadRecord:
        """Its record, with its size, if there is room for that."""
        quota = self.quota if record.user else 0
        await self._appearing.free(record.path)
        if not turn.current:
            raise BodyCut
        try:
            with self._appearing.held(record.path):
                await self.uploads.sized(record.path, size, quota)
        except OverQuota as over:
            raise no_room(over, quota, self.counts) from None
        return await self._writable(turn, record.path)

    async def join(self, exchange: Exchange, record: UploadRecord, parts: Sequence[str]) -> None:
        """
        Write the whole files of these paths, one behind the other; the upload is whole when this returns.

        :raises SlotRefused: they contradict the bytes that are there, are too many or too few, or there is no room.
        """

        async def written(work: Callable[[], None]) -> None:
            with self._pieces.held(record.path):
                await self._beside(work)

        turn = self.turns.take(record.path, exchange.hang_up, exchange.place)
        self.taken(record.path)
        try:
            length = await self._written(turn, record.path, 0, joined(self.vault, parts, turn, written))
        except Differs:
            raise SlotRefused(409, "these are not the bytes that are there already") from None
        except Overrun:
            raise SlotRefused(409, "the parts have more bytes than the file") from None
        finally:
            turn.leave()
        if length != record.size:
            raise SlotRefused(409, f"the file has {record.size} bytes, and its parts {length}")

    async def _writable(self, turn: Turn, path: str) -> UploadRecord:
        """Its record as it is now: what was known before the turn came may be over."""
        record = await self.find(path)
        if not turn.current:
            raise BodyCut
        if record is None:
            raise SlotRefused(404, "no upload has begun here")
        if record.completed_at:
            raise SlotRefused(409, "the file is here already")
        return record

    async def _written(
        self, turn: Turn, path: str, at: int, body: Body, length: int | None = None, *, ends: bool = False
    ) -> int:
        record = await self._writable(turn, path)
        partial = await self._take(record, tell=record.announced)
        try:
            if not turn.current:
                raise BodyCut
            if at > partial.length:
                raise SlotRefused(409, "there are fewer bytes than that")
            record = replace(record, announced=record.announced or partial.told)
            pen = Pen(partial, turn, record, at, self.counts, self._ahead.wrote)
            if record.size == OPEN:
                pen.most = self.max_size
                await Growing(self.uploads, self.quota, self.counts).write(record, pen, body, length)
            else:
                await body(pen.take)
            if not turn.current:
                raise BodyCut
            if record.size == OPEN and ends:
                if pen.at < partial.length:
                    raise SlotRefused(409, "there are more bytes than that already")
                record = await self._sized(record, partial.length, turn)
            if OPEN != record.size < partial.length:
                raise SlotRefused(409, "there are more bytes than the file has")
            if record.size == partial.length:
                await self._finish(record, partial, turn)
            else:
                await self._beside(partial.sync)
            return partial.length
        finally:
            partial.close()

    async def _finish(self, record: UploadRecord, partial: Partial, turn: Turn) -> None:
        if self.scanning is not None and whole_of(record.path) == record.path:  # parts are looked at when joined
            await self.scanning.look(record, partial, turn)
        await self._writable(turn, record.path)  # and nobody else has it appear, or go, when this returns
        with self._appearing.held(record.path):
            done = replace(record, completed_at=int(self.wall()))
            await self._beside(lambda: self.vault.finish(record.path, partial, note_of(done)))
            await self.uploads.complete(record.path, done.completed_at)
            self.counts["uploads_complete"] += 1
            self.under_way.over(record.path)

    async def forget(self, record: UploadRecord) -> bool:
        """
        Have it, and all its bytes, go.

        :returns: False when it is another one by now, complete or begun anew: it stays.
        :raises Taken: another process has it.
        """
        if not same(await self.find(record.path), record):
            return False
        with self._appearing.held(record.path):
            self.turns.end(record.path)
            self.under_way.over(record.path)
            mine: Path | None = None
            if self.vault.shared and (mine := await seized(self.uploads, self.vault, self._beside, record)) is None:
                return False
            await self._beside(lambda: self.vault.remove(record.path, mine))
            await self.uploads.forget(record.path, record)  # after its bytes: without it they would be nobody's
        return True

    async def let_go(self, record: UploadRecord) -> bool:
        """The same, and of one that is not whole all its parts as well."""
        parts = {} if record.completed_at else await parts_of(self.uploads, record.path)
        gone = await self.forget(record)
        for each in parts.values() if gone else ():
            await self.forget(each)
        return gone

    async def sweep(self, partial_seconds: float, keep_seconds: float) -> None:
        """Let go of what nobody went on with, and of files that are old enough; 0 keeps them for ever."""
        now = self._patience.now()
        with suppress(StoreAway):  # all stays then until another look
            async for record in over(self.uploads, self.vault, now, partial_seconds, keep_seconds):
                with suppress(Taken):
                    if record.path not in self.turns and await self.let_go(record):
                        self.counts["uploads_expired"] += 1
            await self._beside(self.vault.forget_unused)
        if self.scanning is not None:
            await self._beside(functools.partial(self.scanning.forget_old, now))
