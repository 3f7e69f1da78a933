"""Uploads by tus 1.0.0, on the address of the slot itself."""

from __future__ import annotations

from morphnet.net.http import LONGEST_BODY, http_date
from morphnet.roles.upload.checking import Unfit
from morphnet.roles.upload.pen import Overrun
from morphnet.roles.upload.shelf import Shelf
from morphnet.roles.upload.visit import CORS, Visit
from morphnet.store.base import OPEN, UploadRecord
from morphnet.wire.messages.upload import drafts, tus
from morphnet.wire.messages.upload.slots import SlotRefused


class Tussing:
    """Answers who says Tus-Resumable."""

    def __init__(self, shelf: Shelf, max_size: int, kept_for: int) -> None:
        self._shelf, self._max_size, self._kept_for = shelf, max_size, kept_for

    def offers(self) -> dict[str, str]:
        """What OPTIONS tells."""
        return {
            **CORS,
            "Tus-Resumable": tus.VERSION,
            "Tus-Version": tus.VERSION,
            "Tus-Extension": tus.EXTENSIONS,
            "Tus-Checksum-Algorithm": ",".join(tus.ALGORITHMS),
            "Tus-Max-Size": str(self._max_size),
        }

    def _said(self, record: UploadRecord, offset: int) -> dict[str, str]:
        said = {**CORS, "Tus-Resumable": tus.VERSION, "Upload-Offset": str(offset), "Cache-Control": "no-store"}
        if offset < record.size:
            said["Upload-Expires"] = http_date(self._shelf.wall() + self._kept_for)
        return said

    async def answer(self, visit: Visit, verb: str) -> None:
        """
        Answer one request.

        :raises SlotRefused: it cannot be done.
        :raises ValueError: a header is wrong.
        """
        if visit.record is not None and visit.record.size == OPEN:
            raise SlotRefused(409, "the size of this one was not told: it goes on by the other protocol")
        if visit.headers["tus-resumable"] != tus.VERSION:
            visit.exchange.answer(412, {**CORS, "Tus-Version": tus.VERSION})
        elif verb == "POST":
            await self._create(visit)
        elif verb == "HEAD":
            record = visit.there()
            offset = await self._shelf.offset(record, visit.exchange.place)
            visit.exchange.answer(200, {**self._said(record, offset), "Upload-Length": str(record.size)})
        elif verb == "PATCH":
            await self._append(visit)
        else:
            raise SlotRefused(405, "this is not done here")

    async def _create(self, visit: Visit) -> None:
        if "upload-defer-length" in visit.headers:
            raise SlotRefused(400, "a slot is for a file of one size: tell its Upload-Length")
        length, record = drafts.number(visit.headers, "upload-length"), await visit.begun(self._shelf)
        if record.completed_at:
            raise SlotRefused(409, "the file is here already")
        if length != record.size:
            raise SlotRefused(413, f"the slot is for a file of {record.size} bytes")
        offset = await self._shelf.offset(record, visit.exchange.place)
        if visit.exchange.length != 0 or not record.size:
            if visit.headers.get("content-type") != tus.OCTETS and record.size:
                raise SlotRefused(415, f"the body must be {tus.OCTETS}")
            offset = await self._write(visit, record, 0)
        visit.exchange.answer(201, {**self._said(record, offset), "Location": visit.location})

    async def _append(self, visit: Visit) -> None:
        if visit.headers.get("content-type") != tus.OCTETS:
            raise SlotRefused(415, f"the body must be {tus.OCTETS}")
        record, at = visit.there(), drafts.number(visit.headers, "upload-offset")
        if at is None:
            raise SlotRefused(400, "Upload-Offset is missing")
        offset = await self._shelf.offset(record, visit.exchange.place)
        if at != offset:
            visit.exchange.answer(409, self._said(record, offset))
            return
        if not record.completed_at:
            offset = await self._write(visit, record, at)
        visit.exchange.answer(204, self._said(record, offset))

    async def _write(self, visit: Visit, record: UploadRecord, at: int) -> int:
        exchange = visit.exchange
        if exchange.length is not None and at + exchange.length > record.size:
            raise SlotRefused(413, f"the upload has {record.size} bytes")
        fits = None
        if "upload-checksum" in visit.headers:
            fits = tus.checksum(visit.headers["upload-checksum"]).fits
            if exchange.length is None or exchange.length > LONGEST_BODY:
                raise SlotRefused(413, f"a body with a checksum may have {LONGEST_BODY} bytes")
        try:
            return await self._shelf.write(exchange, record, at, fits)
        except Unfit:
            raise SlotRefused(tus.MISMATCH, "the checksum is of other bytes") from None
        except Overrun:
            raise SlotRefused(413, f"the upload has {record.size} bytes") from None
