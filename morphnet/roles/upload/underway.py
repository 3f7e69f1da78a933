"""Which uploads are under way, and from where they come: for who looks, not for who decides."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from morphnet.status import UploadStatus
from morphnet.store.base import UploadRecord

SHOWN, _MOST = 100, 10_000  # uploads


@dataclass
class _Seen:
    record: UploadRecord
    since: float  # Unix seconds
    address: str
    moves: int = 0  # to other addresses
    running: int = 0  # requests that write


class UnderWay:
    """
    Uploads that somebody has sent bytes of since we began, and that are not whole.

    :param length: tells how many bytes of a path are there.
    """

    def __init__(self, length: Callable[[str], int], wall: Callable[[], float]) -> None:
        self._length, self._wall = length, wall
        self._seen: OrderedDict[str, _Seen] = OrderedDict()  # by path, those that were gone on with last at the end

    def begins(self, record: UploadRecord, address: str) -> bool:
        """A request sends bytes of it; whether from another address than the one before, or as the first."""
        is_new = record.path not in self._seen
        seen = self._seen.setdefault(record.path, _Seen(record, self._wall(), address))
        moved = address != seen.address
        seen.moves += moved
        seen.address = address
        seen.running += 1
        self._seen.move_to_end(record.path)
        if len(self._seen) > _MOST:
            self._seen.popitem(last=False)
        return moved or is_new

    def ends(self, path: str) -> None:
        """That request does no more."""
        if (seen := self._seen.get(path)) is not None:
            seen.running = max(seen.running - 1, 0)

    def over(self, path: str) -> None:
        """It is whole, or gone."""
        self._seen.pop(path, None)

    def statuses(self) -> tuple[UploadStatus, ...]:
        """Those that were gone on with last."""
        latest = list(self._seen.values())[: -SHOWN - 1 : -1]
        return tuple(
            UploadStatus(
                path=each.record.path,
                user=each.record.user,
                size_bytes=max(each.record.size, 0),
                stored_bytes=self._length(each.record.path),
                since=each.since,
                address=each.address,
                moves=each.moves,
                running=bool(each.running),
            )
            for each in latest
        )
