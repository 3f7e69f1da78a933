"""
tus's concatenation: a file that comes in parts, each an upload of its own, at the same time or one after the other.

A part is at its slot's address with `part=NUMBER` behind it, and the slot is shown for each. Where the slot does not
say the size of the file (v1, v2), the client does, by `size=BYTES`. All parts together are not longer than the file.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from urllib.parse import parse_qs, unquote, urlsplit

from morphnet.net.http import Exchange
from morphnet.roles.upload.parts import MOST, part_path, parts_of
from morphnet.roles.upload.shelf import Shelf
from morphnet.roles.upload.tussing import Tussing
from morphnet.roles.upload.visit import CORS, Visit
from morphnet.store.base import UploadRecord
from morphnet.wire.messages.upload import drafts, tus
from morphnet.wire.messages.upload.slots import SlotRefused

PART, SIZE = "part", "size"  # in a query


class Parting:
    """
    Answers what is asked of parts, and puts them together.

    :param kept_for: seconds that a whole part waits for the others.
    """

    def __init__(self, shelf: Shelf, tussing: Tussing, kept_for: int) -> None:
        self._shelf, self._tus, self._kept_for = shelf, tussing, kept_for

    async def answer(self, visit: Visit, verb: str) -> None:
        """
        Answer one request; its record is that of the file.

        :raises SlotRefused: it cannot be done.
        :raises ValueError: a header is wrong.
        """
        said = visit.headers.get("upload-concat", "")
        addresses = tus.concatenated(said) if said and verb == "POST" else None
        if addresses is not None:
            await self._join(visit, addresses)
        elif verb == "POST":
            await self._begin(visit)
        else:
            await self._go_on(visit, verb)

    async def _begin(self, visit: Visit) -> None:
        length = drafts.number(visit.headers, "upload-length")
        if length is None:
            raise SlotRefused(400, "a part needs its Upload-Length")
        whole = await visit.begun(self._shelf)
        if whole.completed_at:
            raise SlotRefused(409, "the file is here already")
        number, part = await self._new(whole, length)
        visit.exchange.tell("Upload-Concat", "partial")
        address = f"{visit.exchange.target}{'&' if '?' in visit.exchange.target else '?'}{PART}={number}"
        await self._tus.answer(replace(visit, record=part, address=address), "POST")

    async def _new(self, whole: UploadRecord, length: int) -> tuple[int, UploadRecord]:
        """:raises SlotRefused: there are too many, or they would be longer than the file."""
        uploads, now = self._shelf.uploads, int(self._shelf.wall())
        own = f"part/{secrets.token_hex(8)}"  # tells it from one that was begun at the same moment
        there = await parts_of(uploads, whole.path)
        fresh = max(there, default=-1) + 1
        await self._make_room(whole, there, length)
        for number in chain(range(fresh, MOST), range(fresh)):  # that of one which just goes, if no other is free
            if number in there:
                continue
            self._check(whole, there, length)
            mine = UploadRecord(part_path(whole.path, number), length, own, "", now, lasts_until=now + self._kept_for)
            begun = await uploads.begin(mine)
            if begun.kind == own:
                await self._check_again(whole, begun)
                return number, begun
            there[number] = begun
        raise SlotRefused(413, f"a file may have {MOST} parts")

    async def _make_room(self, whole: UploadRecord, there: dict[int, UploadRecord], length: int) -> None:
        """
        Let go of parts that nobody writes to, if there is no room without: those of that length with the fewest bytes.

        A client whose answer was lost does not know the part that it has begun, and begins another. It may have sent
        all of it: of whole parts the last one of that length goes, when nothing else makes room.
        """
        if self._sum(there) + length <= whole.size:
            return
        for number in list(there):  # one whose file has appeared is whole, though its record may not say so yet
            if (fresh := await self._shelf.find(there[number].path)) is not None:
                there[number] = fresh
        idle = {
            number: (bool(each.completed_at), each.size != length, self._stored(each), -each.completed_at)
            for number, each in there.items()
            if each.path not in self._shelf.turns and (each.size == length or not each.completed_at)
        }
        if self._sum(there) - sum(there[each].size for each in idle) + length > whole.size:
            return  # it would help nobody
        for number in sorted(idle, key=idle.__getitem__):
            if self._sum(there) + length <= whole.size:
                return
            if await self._shelf.forget(there[number]):
                del there[number]

    def _stored(self, part: UploadRecord) -> int:
        return part.size if part.completed_at else self._shelf.vault.length(part.path)

    @staticmethod
    def _sum(there: Mapping[int, UploadRecord]) -> int:
        return sum(each.size for each in there.values())

    @staticmethod
    def _check(whole: UploadRecord, there: Mapping[int, UploadRecord], more: int = 0) -> None:
        if Parting._sum(there) + more > whole.size:
            raise SlotRefused(413, f"all parts together may have {whole.size} bytes")

    async def _check_again(self, whole: UploadRecord, begun: UploadRecord) -> None:
        """What began at the same moment counts too: of those that are too many none stays."""
        try:
            fresh = await self._shelf.find(whole.path)
            if fresh is None or fresh.created_at != whole.created_at or fresh.completed_at:
                raise SlotRefused(409, "the file is here already, or was let go of")
            self._check(whole, await parts_of(self._shelf.uploads, whole.path))
        except SlotRefused:
            await self._shelf.forget(begun)
            raise

    @staticmethod
    def _number(said: str) -> int:
        if not (said.isascii() and said.isdigit() and int(said[:9]) < MOST):
            raise SlotRefused(404, "there is no such part")
        return int(said)

    async def _go_on(self, visit: Visit, verb: str) -> None:
        number = self._number(visit.exchange.query.get(PART, ""))
        part = await self._shelf.find(part_path(visit.begins.path, number))
        if part is None:
            raise SlotRefused(404, "there is no such part")
        visit.exchange.tell("Upload-Concat", "partial")
        if verb == "DELETE":
            await self._shelf.forget(part)
            visit.exchange.answer(204, {**CORS, "Tus-Resumable": tus.VERSION})
        else:
            await self._tus.answer(replace(visit, record=part), verb)

    async def _join(self, visit: Visit, addresses: tuple[str, ...]) -> None:
        if "upload-length" in visit.headers:
            raise SlotRefused(400, "a final upload has the length of its parts")
        whole, exchange = await visit.begun(self._shelf), visit.exchange
        exchange.tell("Upload-Concat", visit.headers["upload-concat"])
        if not whole.completed_at:
            parts = [await self._part(exchange, whole, each) for each in addresses]
            if sum(each.size for each in parts) != whole.size:
                raise SlotRefused(413, f"the slot is for a file of {whole.size} bytes")
            await self._shelf.join(exchange, whole, [each.path for each in parts])
            for part in (await parts_of(self._shelf.uploads, whole.path)).values():
                await self._shelf.forget(part)
        exchange.answer(201, {**CORS, "Tus-Resumable": tus.VERSION, "Location": exchange.target})

    async def _part(self, exchange: Exchange, whole: UploadRecord, address: str) -> UploadRecord:
        parts = urlsplit(address)
        if unquote(parts.path) != exchange.location:
            raise SlotRefused(400, "a part is of another file")
        number = self._number(parse_qs(parts.query).get(PART, [""])[0])
        part = await self._shelf.find(part_path(whole.path, number))
        if part is None:
            raise SlotRefused(404, "there is no such part")
        if not part.completed_at:
            raise SlotRefused(409, f"part {number} is not whole")
        return part
