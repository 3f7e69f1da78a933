"""Writing to an upload, and comparing with what is there already."""

from __future__ import annotations

from collections import Counter

from morphnet.net.http import BodyCut, Piece
from morphnet.rendezvous.transfer import Turn
from morphnet.store.base import UploadRecord
from morphnet.store.vault import Partial


class Overrun(Exception):
    """There are more bytes than the upload has."""


class Differs(Exception):
    """An upload is repeated with other bytes than those that are there, and somebody relies on them."""


class Pen:
    """Writes what one request brings, while it has the turn."""

    def __init__(self, partial: Partial, turn: Turn, record: UploadRecord, at: int, counts: Counter[str]) -> None:
        self._partial, self._turn, self._record, self._counts = partial, turn, record, counts
        self.at = at  # where the next byte goes
        self.most = record.size  # bytes that the file may have

    def take(self, data: Piece) -> None:
        """The next bytes; those that are there already are compared."""
        if not self._turn.current:
            raise BodyCut
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
