"""No file appears in which a scanner has found something: it is put aside, and its address says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from morphnet.net.clamd import ScannerAway
from morphnet.store.base import UploadRecord
from morphnet.store.vault import Partial, Vault
from morphnet.text import printable
from morphnet.wire.messages.upload.slots import SlotRefused

_LONGEST = 100  # characters of a name


class Scanning:
    """
    :param scan: looks at an open file: the name of what it has found, "" for nothing; or ScannerAway.
    :param required: what was not looked at does not appear.
    :param tell: hears one sentence, and whose file it is, when something is found, or nobody looks.
    """

    def __init__(
        self,
        scan: Callable[[int], Coroutine[Any, Any, str]],
        vault: Vault,
        counts: Counter[str],
        tell: Callable[[str, str], None],
        *,
        required: bool,
    ) -> None:
        self._scan, self._vault, self._counts, self._tell, self._required = scan, vault, counts, tell, required

    def check(self, path: str, verb: str) -> None:
        """:raises SlotRefused: what came for that path was put aside."""
        if (found := self._vault.put_aside_for(path)) is not None:
            if verb in ("GET", "HEAD"):
                raise SlotRefused(410, "the file that was meant to be here was not taken")
            raise _refused(found)

    async def look(self, record: UploadRecord, partial: Partial) -> None:
        """
        Look at all of it.

        :raises SlotRefused: there is something in it, and it was put aside; or nobody has looked.
        """
        try:
            found = printable(await partial.seen_by(self._scan))[:_LONGEST]
        except ScannerAway as away:
            self._counts["uploads_not_scanned"] += 1
            self._tell(record.user, f"clamd has not looked at a file: {printable(str(away))}")
            if self._required:
                raise SlotRefused(503, "nobody can look at the file now: come again") from None
            return
        if found:
            self._counts["uploads_infected"] += 1
            self._vault.put_aside(record.path, partial, found)
            self._tell(record.user, f"{found} was in {printable(record.path)}: it was put aside")
            raise _refused(found)


def _refused(found: str) -> SlotRefused:
    return SlotRefused(422, f"the file was not taken: {found} is in it")
