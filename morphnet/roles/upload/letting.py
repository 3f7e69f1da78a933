"""Uploads that are let go: which of them it is time for, and how one is had from all other servers for that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

from twisted.internet.defer import Deferred

from morphnet.roles.upload.parts import parts_of, whole_of
from morphnet.store.base import UploadRecord, Uploads
from morphnet.store.vault import Vault

Beside = Callable[[Callable[[], None]], Deferred[None]]


def same(found: UploadRecord | None, record: UploadRecord) -> bool:
    """Whether it is still that one: not begun anew, nor complete since."""
    times = (record.created_at, record.completed_at)
    return found is not None and (found.created_at, found.completed_at) == times


async def seized(uploads: Uploads, vault: Vault, beside: Beside, record: UploadRecord) -> Path | None:
    """
    From now on no other process does anything with its bytes; None when it is another one by now.

    :raises Taken: another process is quicker.
    """
    await uploads.used(record.user)  # if the records are away, that is known before its bytes go
    held: list[Path | None] = []
    await beside(lambda: held.append(vault.seize(record.path)))
    appeared = not record.completed_at and vault.size(record.path) is not None
    if not appeared and same(await uploads.find(record.path), record):
        return held[0]
    vault.let_go(held[0])
    return None


async def overdue(
    uploads: Uploads, vault: Vault, now: float, partial_seconds: float, keep_seconds: float
) -> AsyncIterator[UploadRecord]:
    """Those that nobody went on with, and files that are old enough; 0 keeps them for ever. It may be whole by now."""
    completed = int(now - keep_seconds) if keep_seconds else 0
    goes_on: dict[str, bool] = {}  # of files, looked for once for all their parts
    for record in await uploads.older(int(now - partial_seconds), completed, int(now)):
        whole = whole_of(record.path)
        finished = whole == record.path and bool(record.completed_at)
        if not finished and whole not in goes_on:
            goes_on[whole] = await _last_sign(uploads, vault, whole) > now - partial_seconds
        if finished or not goes_on[whole]:
            yield record


async def _last_sign(uploads: Uploads, vault: Vault, path: str) -> float:
    """Unix seconds at which the last byte of a file came, or of one of its parts, or the last of these began."""
    times = [vault.touched(path)]
    for each in (await parts_of(uploads, path)).values():
        times += each.created_at, each.completed_at, vault.touched(each.path)
    return max(times)
