"""Uploads whose size nobody has told: they count for their user as they grow, and end where there is no more room."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

from morphnet.roles.upload.checking import Body
from morphnet.roles.upload.pen import Brim, Pen
from morphnet.store.base import OverQuota, StoreAway, UploadRecord, Uploads
from morphnet.wire.messages.upload.slots import SlotRefused

STEP = 1 << 24  # bytes for which room is asked at once


def no_room(over: OverQuota, quota: int, counts: Counter[str]) -> SlotRefused:
    """What a user is told who has no room for a file."""
    counts["uploads_over_quota"] += 1
    return SlotRefused(413, f"your files take {over.used} of {quota} bytes: there is no room for this one")


class Growing:
    """
    Room for those of one user.

    :param quota: bytes of all files of a user; 0: no limit.
    """

    def __init__(self, uploads: Uploads, quota: int, counts: Counter[str]) -> None:
        self._uploads, self._quota, self._counts = uploads, quota, counts

    async def write(self, record: UploadRecord, pen: Pen, body: Body, length: int | None) -> None:
        """
        Write a body, in the room that there is for it. It counts as all of that until it is settled.

        :param length: of the body, bytes, if it is known: it is not begun if there is no room for all of it.
        :raises SlotRefused: there is no more room; what had some is kept.
        """
        if not (self._quota and record.user):
            await body(pen.take)
            return
        path = record.path
        await self._ask(path, pen, min(length or 0, pen.most - pen.at))
        rest = await self._taken(pen, body)
        while rest:
            await self._ask(path, pen, 1)
            rest = await self._taken(pen, body, rest)

    async def settle(self, record: UploadRecord, length: int) -> None:
        """
        Nobody writes to it now: it counts as what is there.

        :param length: bytes.
        """
        if self._quota and record.user:
            with suppress(StoreAway):
                await self._uploads.grow(record.path, length, length)

    @staticmethod
    async def _taken(pen: Pen, body: Body, rest: bytes = b"") -> bytes:
        """What of that, or of the body behind it, has no room."""
        try:
            if rest:
                pen.take(rest)
            await body(pen.take)
        except Brim as brim:
            return brim.rest
        return b""

    async def _ask(self, path: str, pen: Pen, least: int) -> None:
        try:
            most = max(pen.at + least + STEP, pen.length)
            pen.room = await self._uploads.grow(path, pen.at + least, most, self._quota)
        except OverQuota as over:
            raise no_room(over, self._quota, self._counts) from None
