"""Files are given out to whoever knows their address."""

from __future__ import annotations

from morphnet.net.http import Exchange, http_date
from morphnet.roles.upload.kinds import Kinds
from morphnet.roles.upload.shelf import Shelf
from morphnet.roles.upload.visit import CORS
from morphnet.store.base import UploadRecord
from morphnet.wire.messages.upload import serving
from morphnet.wire.messages.upload.slots import SlotRefused

# Seconds in which a proxy takes something of a file. One that has enough of it on its own disk takes nothing more until
# its client has had that (nginx: 1 GB), which a slow one has in hours; of clients it is the judge itself.
PROXYS_PATIENCE = 6 * 3600.0


class Giving:
    """Answers GET and HEAD."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf, self._kinds = shelf, Kinds()

    def give(self, exchange: Exchange, record: UploadRecord | None) -> None:
        """
        The file, a part of it, or that nothing has changed.

        :raises SlotRefused: there is none, or no such part.
        """
        file = self._shelf.vault.open(record.path) if record is not None and record.completed_at else None
        if record is None or file is None:
            raise SlotRefused(404, "nothing is here")
        headers, etag = exchange.headers, f'"{self._shelf.vault.name(record.path)[:24]}-{record.completed_at:x}"'
        said = {
            **CORS,
            **serving.shown_as(self._kinds.of(etag, record.kind, file), record.path.rpartition("/")[2]),
            "ETag": etag,
            "Last-Modified": http_date(record.completed_at),
            "Cache-Control": "public, max-age=31536000, immutable",
            "Accept-Ranges": "bytes",
        }
        if "if-none-match" in headers and serving.same(headers["if-none-match"], etag):
            file.close()
            exchange.answer(304, said)
            return
        status, start, length = 200, 0, record.size
        if "range" in headers and headers.get("if-range", etag) in (etag, said["Last-Modified"]):
            try:
                part = serving.wanted(headers["range"], record.size)
            except ValueError:
                file.close()
                exchange.answer(416, {**CORS, "Content-Range": f"bytes */{record.size}"})
                return
            if part is not None:
                status, start, length = 206, part.start, part.length
                said["Content-Range"] = f"bytes {start}-{start + length - 1}/{record.size}"
        file.seek(start)
        if exchange.verb == "GET":
            self._shelf.counts["downloads"] += 1
            self._shelf.counts["downloaded_bytes"] += length
        exchange.answer_file(status, said, file, length)
