"""What is known of uploads, forgotten with the process."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import Deferred, execute

from morphnet.store.base import MOST_MOVES, OPEN, Move, OverQuota, UploadRecord, Uploads, UploadSession, room_for
from morphnet.store.uploads import is_that


class MemoryUploads(Uploads):
    """See Uploads; every Deferred has fired already."""

    def __init__(self) -> None:
        self._records: dict[str, UploadRecord] = {}
        self._sessions: dict[str, UploadSession] = {}

    def find(self, path: str) -> Deferred[UploadRecord | None]:
        return execute(self._records.get, path)

    def begin(self, record: UploadRecord, quota: int = 0) -> Deferred[UploadRecord]:
        def begun() -> UploadRecord:
            used = self._used(record.user)
            if quota and record.path not in self._records and used + record.counted > quota:
                raise OverQuota(used)
            return self._records.setdefault(record.path, record)

        return execute(begun)

    def announce(self, path: str) -> Deferred[None]:
        return execute(self._change, path, announced=True)

    def sized(self, path: str, size: int, quota: int = 0) -> Deferred[None]:
        def done() -> None:
            if (found := self._records.get(path)) is not None and found.size == OPEN:
                used = self._used(found.user)
                if quota and used - found.room + size > quota:
                    raise OverQuota(used - found.room)
                self._records[path] = replace(found, size=size, room=0)

        return execute(done)

    def grow(self, path: str, least: int, most: int, quota: int = 0) -> Deferred[int]:
        def done() -> int:
            found = self._records.get(path)
            room = room_for(found, self._used(found.user) if found is not None else 0, least, most, quota)
            if found is None or room is None:
                return most
            self._records[path] = replace(found, room=room)
            return room

        return execute(done)

    def complete(self, path: str, now: int) -> Deferred[None]:
        return execute(self._change, path, completed_at=now)

    def _change(self, path: str, *, announced: bool | None = None, completed_at: int | None = None) -> None:
        if (found := self._records.get(path)) is not None:
            self._records[path] = replace(
                found,
                announced=found.announced if announced is None else announced,
                completed_at=found.completed_at if completed_at is None else completed_at,
            )

    def forget(self, path: str, only: UploadRecord | None = None) -> Deferred[None]:
        def drop() -> None:
            if is_that(self._records.get(path), only):
                self._records.pop(path, None)
                self._sessions.pop(path, None)

        return execute(drop)

    def used(self, user: str) -> Deferred[int]:
        return execute(self._used, user)

    def _used(self, user: str) -> int:
        return sum(each.counted for each in self._records.values() if each.user == user)

    def older(self, begun: int, completed: int, now: int) -> Deferred[list[UploadRecord]]:
        def over(record: UploadRecord) -> bool:
            if not record.completed_at:
                return record.created_at < begun
            return record.lasts_until < now if record.lasts_until else record.completed_at < completed

        return execute(lambda: [each for each in self._records.values() if over(each)])

    def moved(self, path: str, move: Move) -> Deferred[None]:
        def done() -> None:
            if path in self._records:
                before = self._sessions.get(path, UploadSession())
                self._sessions[path] = replace(before, moves=(*before.moves, move)[-MOST_MOVES:])

        return execute(done)

    def refresh(self, path: str, most: int) -> Deferred[bool]:
        def done() -> bool:
            before = self._sessions.get(path, UploadSession())
            if path not in self._records or before.refreshes >= most:
                return False
            self._sessions[path] = replace(before, refreshes=before.refreshes + 1)
            return True

        return execute(done)

    def session(self, path: str) -> Deferred[UploadSession]:
        return execute(self._sessions.get, path, UploadSession())

    def close(self) -> Deferred[None]:
        return execute(lambda: None)
