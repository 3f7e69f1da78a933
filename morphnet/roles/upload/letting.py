"""Uploads that are let go: how one is had from all other servers for that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.internet.defer import Deferred

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
