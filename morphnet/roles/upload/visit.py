"""One request that holds a slot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from morphnet.net.http import Exchange
from morphnet.roles.upload.growing import no_room
from morphnet.roles.upload.shelf import Shelf
from morphnet.store.base import OverQuota, UploadRecord
from morphnet.wire.messages.upload.slots import UNKNOWN, SlotRefused

CORS: Mapping[str, str] = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, PUT, POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Type, Content-Disposition, Content-Digest, Range, If-Range, If-None-Match,"
        " Tus-Resumable, Upload-Length, Upload-Offset, Upload-Metadata, X-Upload-Session-ID, X-Chunk-Number,"
        " X-Filename, X-Total-Size,"
        " Upload-Checksum, Upload-Concat, Upload-Complete, Upload-Incomplete, Upload-Draft-Interop-Version,"
        " X-HTTP-Method-Override"
    ),
    "Access-Control-Expose-Headers": (
        "Location, ETag, Content-Range, Content-Disposition, Accept-Ranges, Accept-Patch, Retry-After,"
        " Tus-Checksum-Algorithm, Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Upload-Offset,"
        " Upload-Length, Upload-Expires, Upload-Complete, Upload-Incomplete, Upload-Limit, Upload-Concat, X-Session-ID"
    ),
    "Access-Control-Max-Age": "86400",
}


@dataclass(frozen=True, slots=True)
class Visit:
    """A request, its slot, and what there is of the upload."""

    exchange: Exchange
    headers: Mapping[str, str]  # names in lower case
    begins: UploadRecord  # as the slot would have it begin
    record: UploadRecord | None  # as it stands; None before it has begun
    quota: int = 0  # bytes of all files of its user; 0: no limit
    may_be_open: bool = False  # it may begin before anybody has told its size
    address: str = ""  # of the upload; "": that of the request
    once: str = ""  # what its slot is known by, if that is good for the first path alone that it is used at
    once_until: int = 0  # Unix seconds for which that is remembered: it is over then

    @property
    def location(self) -> str:
        """Where the upload is gone on with."""
        return self.address or self.exchange.target

    async def begun(self, shelf: Shelf) -> UploadRecord:
        """
        The upload's record, made now if there is none.

        :raises SlotRefused: nobody has told its size, or its user has no room for it.
        """
        if self.record is not None:
            return self.record
        if self.begins.size == UNKNOWN and not self.may_be_open:
            raise SlotRefused(411, "the length of the file must be told: Content-Length or Upload-Length")
        quota = self.quota if self.begins.user else 0
        await self._only_here(shelf)
        try:
            record = await shelf.uploads.begin(self.begins, quota)
        except OverQuota as over:
            raise no_room(over, quota, shelf.counts) from None
        shelf.counts["uploads_begun"] += 1
        return record

    async def _only_here(self, shelf: Shelf) -> None:
        """:raises SlotRefused: the slot, which covers no more than a name, was used at another path."""
        if self.once:
            path = self.begins.path
            about = UploadRecord(f"\0{self.once}", 0, path, "", self.begins.created_at)  # nobody can ask for that path
            mark = replace(about, completed_at=1, lasts_until=self.once_until)  # as a whole file it stays until then
            if (await shelf.uploads.begin(mark)).kind != path:
                raise SlotRefused(403, "the slot was used at another address")

    def there(self) -> UploadRecord:
        """
        The record of an upload that has begun.

        :raises SlotRefused: it has not.
        """
        if self.record is None:
            raise SlotRefused(404, "no upload has begun here")
        return self.record
