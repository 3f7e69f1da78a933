"""Where machines of the network meet besides the relays in the settings, as its server said last: it may be away."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from twisted.logger import Logger

from morphnet.durable import read_json, write_over

FILE = "relays.json"
MOST, LONGEST = 16, 260  # relays; characters of one
_PLACE = re.compile(rf"[A-Za-z0-9._:\[\]-]{{1,{LONGEST}}}")


class ToldRelays:
    """
    A small file that is written anew when something else is said. What cannot be read in it was never said.

    :param path: of the file, which need not be there.
    """

    _log = Logger()

    def __init__(self, path: Path) -> None:
        self._path = path

    def recall(self) -> tuple[str, ...]:
        """HOST or HOST:PORT of each."""
        found = read_json(self._path, MOST * (LONGEST + 16))
        if not isinstance(found, list):
            return ()
        return tuple(each for each in found[:MOST] if isinstance(each, str) and _PLACE.fullmatch(each))

    def keep(self, places: Sequence[str]) -> None:
        """It is these now."""
        if tuple(places) == self.recall():
            return
        try:
            write_over(self._path, json.dumps(list(places[:MOST])).encode(), mode=0o600)
        except OSError as trouble:
            self._log.warn("{path} is not written: {why}", path=str(self._path), why=trouble.strerror or str(trouble))
