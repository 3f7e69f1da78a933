"""Writing to an upload, and comparing with what is there already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from morphnet.net.http import BodyCut, Piece
from morphnet.rendezvous.transfer import Turn
from morphnet.store.base import UploadRecord
from morphnet.store.vault import Partial


class Overrun(Exception):
    """There are more bytes than the upload has."""


class Differs(Exception):
    """An upload is repeated with other bytes than those that are there, and somebody relies on them."""


class Brim(Exception):
    """There is room for no more of an upload than is written now; `rest` is what was not."""

    def __init__(self, rest: bytes) -> None:
        super().__init__(f"{len(rest)} bytes are left over")
        self.rest = rest


class Pen:
    """
    Writes what one request brings, while it has the turn.

    :param wrote: is told of the path and the file to which there was something to add.
    """

    def __init__(
        self,
        partial: Partial,
        turn: Turn,
        record: UploadRecord,
        at: int,
        counts: Counter[str],
        wrote: Callable[[str, Partial], None] = lambda path, partial: None,
    ) -> None:
        self._partial, self._turn, self._record, self._counts = partial, turn, record, counts
        self._wrote = wrote
        self.at = at  # where the next byte goes
        self.most = record.size  # bytes that the file may have
        self.room: int | None = None  # bytes that it may have now, until there is more room; None: as `most`

    @property
    def length(self) -> int:
        """Bytes that are there."""
        return self._partial.length

    def take(self, data: Piece) -> None:
        """
        The next bytes; those that are there already are compared.

        :raises Brim: there is no room for all of them; the others are written.
        """
        if not self._turn.current:
            raise BodyCut
        if self.room is not None and self.at + len(data) > min(self.room, self.most):
            fits = max(min(self.room, self.most) - self.at, 0)
            if self.at + fits == self.most:
                raise Overrun
            self._write(data[:fits])
            raise Brim(bytes(data[fits:]))
        self._write(data)

    def _write(self, data: Piece) -> None:
        if self.at + len(data) > self.most:
            raise Overrun
        held = min(len(data), self._partial.length - self.at)
        if held > 0:
            same = self._partial.agrees(data[:held], self.at)
            if same < held:
                if self._record.announced:
                    raise Differs
                self._partial.cut_to(self.at + same)  # a plain PUT that begins anew with another content
            held = same
        before = self._partial.length
        try:
            self._partial.append(data[max(held, 0) :])
        finally:
            self._counts["uploaded_bytes"] += self._partial.length - before
        self.at += len(data)
        self._wrote(self._record.path, self._partial)
