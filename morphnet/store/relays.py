"""Where machines of the network meet besides the relays in the settings, as its server said last: it may be away."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from morphnet.store.smallfile import SmallFile

FILE = "relays.json"
MOST, LONGEST = 16, 260  # relays; characters of one
_PLACE = re.compile(rf"[A-Za-z0-9._:\[\]-]{{1,{LONGEST}}}")


class ToldRelays:
    """
    A small file that is written anew when something else is said. What cannot be read in it was never said.

    :param path: of the file, which need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._file = SmallFile(path, MOST * (LONGEST + 16))

    def recall(self) -> tuple[str, ...]:
        """HOST or HOST:PORT of each."""
        found = self._file.read()
        if not isinstance(found, list):
            return ()
        return tuple(each for each in found[:MOST] if isinstance(each, str) and _PLACE.fullmatch(each))

    def keep(self, places: Sequence[str]) -> None:
        """It is these now."""
        self._file.write(list(places[:MOST]))
