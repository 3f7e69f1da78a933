"""Which uploads are over: nobody goes on with them, or their time has come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from morphnet.roles.upload.parts import parts_of, whole_of
from morphnet.store.base import UploadRecord, Uploads
from morphnet.store.vault import Vault

_STEP = 60.0  # seconds by which a clock is set; what is less is its pace
_LATEST = 86400.0  # seconds that anything is kept longer for that


class Patience:
    """
    The time by which uploads are let go: the wall clock's, but what that is set forward by does not make them older.

    :param wall: Unix seconds.
    :param steady: seconds, which nobody can set.
    """

    def __init__(self, wall: Callable[[], float], steady: Callable[[], float]) -> None:
        self._wall, self._steady = wall, steady
        self._ahead = wall() - steady()
        self._late = 0.0  # seconds by which the wall clock was set forward, and not back since

    def now(self) -> float:
        """Unix seconds, of the clock as it was before it was set forward."""
        wall = self._wall()
        ahead = wall - self._steady()
        if abs(step := ahead - self._ahead) > _STEP:
            self._late = min(max(self._late + step, 0.0), _LATEST)
        self._ahead = ahead
        return wall - self._late


async def over(
    uploads: Uploads, vault: Vault, now: float, partial_seconds: float, keep_seconds: float
) -> AsyncIterator[UploadRecord]:
    """
    Each of them, looked at just before it is told; a file and its parts at once.

    :param now: Unix seconds.
    :param partial_seconds: nothing of it has come for so long; a file and its parts are one in that.
    :param keep_seconds: for whole files without a time of their own; 0: for ever.
    """
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
