"""What a client remembers of its uplinks: how the operator wants them used, and what each has carried since when."""

from __future__ import annotations

import datetime
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from morphnet.store.smallfile import SmallFile

FILE = "uplinks.json"
MOST = 64  # uplinks that are remembered; the one that has carried least makes room
MONTH = datetime.timedelta(days=31)  # the longest; two that follow each other begin at most so far apart
_LONGEST = 64  # characters of a name or a word
_SIZE = 1 << 16  # bytes of a file


@dataclass(slots=True)
class Count:
    """Of one uplink."""

    begins: str  # the day on which the count began, as in 2026-11-01
    octets: int = 0  # that it carried since then, both ways
    told: int = 0  # percent of its cap of which the operator was told since then
    ahead: str = ""  # the last day on which it had begun before the clock was set back by more than a month


class UplinkRecords:
    """
    A small file, written whole. What cannot be read in it was never known; of a whole file that is told.

    :param path: of the file, which need not be there; None: nothing outlives the process.
    """

    _log = Logger()

    def __init__(self, path: Path | None = None) -> None:
        self._file = SmallFile(path, _SIZE)
        self.words: dict[str, str] = {}  # uplink -> how the operator wants it used
        self.counts: dict[str, Count] = {}
        self._read()

    def wish(self, uplink: str, word: str) -> None:
        """The operator wants it used like this; "": as the settings say."""
        self.words.pop(uplink, None)
        if word:
            self.words[uplink] = word
        self.save()

    def count(self, uplink: str, begins: str) -> Count:
        """
        What it has carried in the month that began on that day by the clock; what has carried nothing is not kept.

        A clock that is set back starts no month anew, and one that was wrong keeps none from ever ending.
        """
        found = self.counts.get(uplink)
        if found is None:
            return Count(begins)
        if found.begins < begins and (begins > found.ahead or _between(found.begins, begins) <= MONTH):
            found.octets = found.told = 0
            found.begins, found.ahead = begins, found.ahead if found.ahead > begins else ""
        elif found.begins < begins:  # it was set back, and is right again
            found.begins = begins
        elif _between(begins, found.begins) > MONTH:  # it is wrong now, or was when this one began
            found.begins, found.ahead = begins, max(found.ahead, found.begins)
        return found

    def add(self, uplink: str, begins: str, octets: int) -> Count:
        """It has carried so many more, more than 0, in the month that began on that day."""
        found = self.counts[uplink] = self.count(uplink, begins)
        found.octets += octets
        while len(self.counts) > MOST:
            others = [name for name in self.counts if name != uplink]
            del self.counts[min(others, key=lambda name: self._worth(name, begins))]
        return found

    def _worth(self, uplink: str, begins: str) -> tuple[bool, int]:
        """The less, the less is lost if its count is forgotten: that of a month that has ended first."""
        found = self.counts[uplink]
        return _between(found.begins, begins) < MONTH, found.octets

    def save(self) -> None:
        """Write it down, if something is new."""
        now = {"words": self.words, "counts": {name: asdict(each) for name, each in self.counts.items()}}
        self._file.write(now)

    def _read(self) -> None:
        found, why = object(), "it is damaged"
        try:
            found = self._file.read_or_raise()
        except OSError as trouble:
            why = trouble.strerror or str(trouble)
        except ValueError:
            pass
        if found is not None and not isinstance(found, dict):
            text = "{path} is not read, {why}: what was said of uplinks, and what they have carried, is forgotten"
            self._log.warn(text, path=str(self._file.path), why=why)
        words, counts = (_table(found, name) for name in ("words", "counts"))
        self.words = {name: word for name, word in words.items() if _is_short(name) and _is_short(word)}
        for name, each in counts.items():
            if _is_short(name) and (count := _count(each)) is not None:
                self.counts[name] = count


def _table(found: object, name: str) -> dict[str, Any]:
    table = found.get(name) if isinstance(found, dict) else None
    return dict(list(table.items())[-MOST:]) if isinstance(table, dict) else {}


def _is_short(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST


def _count(found: object) -> Count | None:
    if not isinstance(found, dict):
        return None
    begins, ahead = _day(found.get("begins")), _day(found.get("ahead"))
    numbers = [found.get("octets"), found.get("told")]
    octets, told = (each if type(each) is int and 0 <= each < 1 << 62 else -1 for each in numbers)
    return Count(begins, octets, told, ahead) if begins and octets >= 0 and told >= 0 else None


def _day(found: object) -> str:
    """As in 2026-11-01; "" for what is none."""
    try:
        return datetime.date.fromisoformat(found).isoformat() if isinstance(found, str) else ""
    except ValueError:
        return ""


def _between(day: str, later: str) -> datetime.timedelta:
    begin, end = map(datetime.date.fromisoformat, (day, later))
    return end - begin
