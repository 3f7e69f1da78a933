"""Uploads by the IETF draft, in each version that is in use, on the address of the slot itself."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from morphnet.net.http import LONGEST_BODY, Exchange
from morphnet.roles.upload.checking import Unfit
from morphnet.roles.upload.pen import Overrun
from morphnet.roles.upload.shelf import Shelf
from morphnet.roles.upload.visit import CORS, Visit
from morphnet.store.base import OPEN, UploadRecord
from morphnet.wire.messages.upload import drafts
from morphnet.wire.messages.upload.drafts import Appends, Dialect
from morphnet.wire.messages.upload.slots import SlotRefused

_PROBLEM = "application/problem+json"


class Drafting:
    """Answers who says Upload-Complete, or names a version."""

    def __init__(self, shelf: Shelf, max_size: int, kept_for: int, appends: Appends) -> None:
        self._shelf, self._max_size, self._kept_for, self._appends = shelf, max_size, kept_for, appends

    def _limit(self, tongue: Dialect) -> str:
        return tongue.limit(self._max_size, self._kept_for, self._appends)

    def offers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """What OPTIONS tells."""
        return {**CORS, "Accept-Patch": drafts.PARTIAL, "Upload-Limit": self._limit(drafts.dialect(headers))}

    def _state(self, tongue: Dialect, offset: int, *, complete: bool) -> dict[str, str]:
        return {**CORS, **dict([tongue.flag(complete)]), "Upload-Offset": str(offset), "Cache-Control": "no-store"}

    async def answer(self, visit: Visit, verb: str) -> None:
        """
        Answer one request.

        :raises SlotRefused: it cannot be done.
        :raises ValueError: a header is wrong.
        """
        tongue = drafts.dialect(visit.headers)
        if verb in ("HEAD", "GET"):
            await self._tell(visit, tongue)
        elif verb == "PATCH":
            await self._append(visit, tongue)
        else:
            await self._create(visit, tongue)

    async def _tell(self, visit: Visit, tongue: Dialect) -> None:
        if any(name in visit.headers for name in ("upload-offset", "upload-complete", "upload-incomplete")):
            raise SlotRefused(400, "a HEAD asks for the offset: it has none")
        record = visit.there()
        offset = await self._shelf.offset(record, visit.exchange.place)
        said = self._state(tongue, offset, complete=bool(record.completed_at) or offset == record.size)
        said["Upload-Limit"] = self._limit(tongue)
        if record.size != OPEN:
            said["Upload-Length"] = str(record.size)
        visit.exchange.answer(204, said)

    async def _create(self, visit: Visit, tongue: Dialect) -> None:
        """An upload begins; when it has begun already it is what a plain PUT is, sent once more from its start."""
        complete = tongue.complete(visit.headers)
        if "upload-offset" in visit.headers:
            raise SlotRefused(400, "an upload begins without Upload-Offset")
        record = await visit.begun(self._shelf)
        if record.size == OPEN and (told := drafts.number(visit.headers, "upload-length")) is not None:
            try:
                record = await self._shelf.told_size(visit.exchange, record, told)
            except Overrun:
                await self._refuse_length(visit.exchange, tongue, record, forget=False)
                return
        if record.completed_at:
            raise SlotRefused(409, "the file is here already")
        exchange = visit.exchange
        if await self._inconsistent(visit, tongue, record, 0, complete is not False):
            return
        await self._shelf.uploads.announce(record.path)
        if tongue.named:
            promise = {drafts.VERSION: str(tongue.version), "Location": exchange.target}
            if tongue.version >= 8:
                promise["Upload-Limit"] = self._limit(tongue)
            exchange.interim(promise)
        await self._body(visit, tongue, record, 0, complete is not False)

    async def _append(self, visit: Visit, tongue: Dialect) -> None:
        record, exchange = visit.there(), visit.exchange
        if tongue.version >= 6 and visit.headers.get("content-type", "").lower() != drafts.PARTIAL:
            exchange.answer(415, {**CORS, "Accept-Patch": drafts.PARTIAL})
            return
        at, complete = drafts.number(visit.headers, "upload-offset"), tongue.complete(visit.headers)
        if at is None:
            raise SlotRefused(400, "Upload-Offset is missing")
        if complete is None:
            if tongue.version >= 7:
                raise SlotRefused(400, "Upload-Complete is missing")
            complete = tongue.version == 3 or at + (exchange.length or 0) == record.size
        if record.completed_at:
            said = self._state(tongue, record.size, complete=True)
            exchange.answer_json(400, said, drafts.problem("completed-upload"), _PROBLEM)
            return
        offset = await self._shelf.offset(record, visit.exchange.place)
        if at != offset:
            said = self._state(tongue, offset, complete=False)
            told = drafts.problem("mismatching-upload-offset", expected_offset=offset, provided_offset=at)
            exchange.answer_json(409, said, told, _PROBLEM)
        elif not self._fits(visit, tongue, complete=complete):
            return
        elif not await self._inconsistent(visit, tongue, record, at, complete):
            await self._body(visit, tongue, record, at, complete)

    def _fits(self, visit: Visit, tongue: Dialect, *, complete: bool) -> bool:
        """Whether one request may add so much; it was answered if it may not."""
        length, limits = visit.exchange.length, self._appends
        if length is None or not length:
            return True
        if (not limits.most or length <= limits.most) and (length >= limits.least or complete):
            return True
        said = {**CORS, **dict([tongue.flag(False)]), "Upload-Limit": self._limit(tongue)}
        visit.exchange.answer(413, said, b"one request may not add so many bytes, or so few\n")
        return False

    async def _inconsistent(self, visit: Visit, tongue: Dialect, record: UploadRecord, at: int, complete: bool) -> bool:
        """Whether the lengths that are told contradict each other; it was answered then."""
        length, told = visit.exchange.length, drafts.number(visit.headers, "upload-length")
        end = record.size if length is None else at + length
        if record.size == OPEN:
            return False
        if told in (None, record.size) and end <= record.size and (end == record.size or not complete):
            return False
        await self._refuse_length(visit.exchange, tongue, record, forget=end > record.size)
        return True

    async def _refuse_length(self, exchange: Exchange, tongue: Dialect, record: UploadRecord, *, forget: bool) -> None:
        if forget and tongue.version >= 8:  # such an upload cannot become right any more
            await self._shelf.let_go(record)
            offset = 0
        else:
            offset = await self._shelf.offset(record, exchange.place)
        said = self._state(tongue, offset, complete=False)
        exchange.answer_json(400, said, drafts.problem("inconsistent-upload-length"), _PROBLEM)

    async def _body(self, visit: Visit, tongue: Dialect, record: UploadRecord, at: int, complete: bool) -> None:
        exchange, creates, headers = visit.exchange, visit.exchange.verb != "PATCH", visit.headers
        short = exchange.length is not None and exchange.length <= LONGEST_BODY
        looked_at = "content-digest" in headers and short
        try:
            offset = await self._shelf.write(
                exchange, record, at, partial(drafts.agrees, headers) if looked_at else None, ends=complete
            )
        except Unfit:
            said = self._state(tongue, await self._shelf.offset(record, exchange.place), complete=False)
            exchange.answer(400, said, b"the body is not what its Content-Digest says\n")
            return
        except Overrun:
            await self._refuse_length(exchange, tongue, record, forget=True)
            return
        whole = complete if record.size == OPEN else offset == record.size
        if complete and offset < record.size:
            await self._refuse_length(exchange, tongue, record, forget=False)
            return
        said = self._state(tongue, offset, complete=whole)
        if creates:
            said["Location"] = exchange.target
            said["Upload-Limit"] = self._limit(tongue)
        if whole:
            exchange.answer(201 if creates else 200, said)
        else:
            exchange.answer(201 if creates or tongue.offsets_everywhere else 204, said)
