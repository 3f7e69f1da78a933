"""
Uploads in numbered chunks, as clients of hmac-file-server send them: `chunked-upload`, `upload-status` below the base.

Each request shows its slot, a JWT: what that server takes besides (one signature for all files and for ever) is refused
here. Chunks come in their order; one that was cut is sent again whole, and one that is there is answered as such.
"""

from __future__ import annotations

from collections.abc import Sequence

from morphnet.net.http import Exchange
from morphnet.roles.upload.pen import Overrun
from morphnet.roles.upload.sessions import QUERY, check_session, session_id
from morphnet.roles.upload.shelf import Shelf
from morphnet.roles.upload.visit import CORS, Visit
from morphnet.store.base import UploadRecord
from morphnet.wire.messages.upload import drafts
from morphnet.wire.messages.upload.slots import SlotRefused

CHUNKED, STATUS = "chunked-upload", "upload-status"  # paths
SESSION, NUMBER = "x-upload-session-id", "x-chunk-number"
NAME, SIZE = "x-filename", "x-total-size"
CHUNK = 5 << 20  # bytes of each but the last


def is_chunked(headers: dict[str, str]) -> bool:
    """Whether the length of the body is not that of the file."""
    return SESSION in headers or SIZE in headers


class Chunking:
    """Answers what comes to these two paths."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def answer(self, visit: Visit, secrets: Sequence[bytes], *, status: bool) -> None:
        """
        Answer one request.

        :param secrets: by which the ids of sessions are made, the one in use first.
        :param status: it asks for the status.
        :raises SlotRefused: it cannot be done.
        :raises ValueError: a header is wrong.
        """
        headers, exchange = visit.headers, visit.exchange
        said = exchange.query.get(QUERY, "") if status else headers.get(SESSION, "")
        if not said and not status and exchange.verb in ("POST", "PUT"):
            await self._begin(visit, secrets[0])
            return
        record = visit.there()
        try:
            check_session(said, secrets, record)
        except SlotRefused:
            raise SlotRefused(404, "there is no such session") from None
        if status:
            self._tell(exchange, record, said)
        elif exchange.verb in ("POST", "PUT"):
            await self._take(exchange, record, drafts.number(headers, NUMBER))
        else:
            raise SlotRefused(405, "this is not done here")

    @staticmethod
    def _said(exchange: Exchange, status: int, told: dict[str, object]) -> None:
        exchange.answer_json(status, {**CORS, "Cache-Control": "no-store"}, told, "application/json")

    async def _begin(self, visit: Visit, secret: bytes) -> None:
        name, size = visit.headers.get(NAME, ""), drafts.number(visit.headers, SIZE)
        if name != visit.begins.path.rpartition("/")[2] or size != visit.begins.size:
            raise SlotRefused(400, "the slot is for another name or size: see X-Filename, X-Total-Size")
        record = await visit.begun(self._shelf)
        if record.completed_at:
            raise SlotRefused(409, "the file is here already")
        told = {"session_id": session_id(secret, record), "chunk_size": CHUNK, "total_chunks": -(-record.size // CHUNK)}
        self._said(visit.exchange, 201, told)

    def _progress(self, record: UploadRecord) -> dict[str, object]:
        there = record.size if record.completed_at else self._shelf.vault.length(record.path)
        share = round(there / record.size, 4) if record.size else 1.0
        return {"uploaded_bytes": there, "total_size": record.size, "progress": share}

    def _tell(self, exchange: Exchange, record: UploadRecord, said: str) -> None:
        told = self._progress(record)
        whole, active = bool(record.completed_at), record.completed_at or int(self._shelf.vault.touched(record.path))
        chunks = -(-record.size // CHUNK) if whole else self._shelf.vault.length(record.path) // CHUNK
        told |= {"session_id": said, "filename": record.path.rpartition("/")[2], "completed": whole, "chunks": chunks}
        self._said(exchange, 200, told | {"last_activity": active or record.created_at})

    async def _take(self, exchange: Exchange, record: UploadRecord, number: int | None) -> None:
        if number is None:
            raise SlotRefused(400, "X-Chunk-Number is missing")
        at, there = number * CHUNK, await self._shelf.offset(record, exchange.place)
        end = min(at + CHUNK, record.size)
        if at >= end and record.size:
            raise SlotRefused(400, "there is no such chunk")
        if there < record.size and end <= there:
            self._said(exchange, 200, {"message": "Chunk already uploaded", "chunk": number})
            return
        if there < record.size or not record.completed_at:
            await self._write(exchange, record, at, end, there)
        fresh = await self._shelf.find(record.path)
        if fresh is not None and fresh.completed_at:
            name, took = record.path.rpartition("/")[2], fresh.completed_at - record.created_at
            told = {"success": True, "filename": name, "size": record.size, "duration": f"{took}s", "completed": True}
        else:
            told = {"success": True, "chunk": number, **self._progress(record), "completed": False}
        self._said(exchange, 200, told)

    async def _write(self, exchange: Exchange, record: UploadRecord, at: int, end: int, there: int) -> None:
        if at > there:
            raise SlotRefused(409, f"chunk {there // CHUNK} is next")
        if exchange.length != end - at:
            raise SlotRefused(400, f"this chunk has {end - at} bytes")
        try:
            await self._shelf.write(exchange, record, at)
        except Overrun:
            raise SlotRefused(400, f"this chunk has {end - at} bytes") from None
