"""Where phones were heard last, so that a server that begins anew can call them: by WireGuard they would wait 15 s."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from morphnet.store.smallfile import SmallFile

FILE = "phones.json"
MOST = 1024  # that are remembered
_LONGEST = 64  # characters of a key or an endpoint
_SIZE = 1 << 18  # bytes of a file


class Heard(NamedTuple):
    """When and where, last."""

    at: int  # Unix seconds
    endpoint: str  # "host:port"

    def within(self, seconds: float, now: float) -> bool:
        """Whether that is no longer ago than this; nor to come, as the clock may have been wrong."""
        return self.at > 0 and abs(now - self.at) < seconds


NEVER = Heard(0, "")


class Whereabouts:
    """
    A small file, written whole. What cannot be read in it was never known.

    :param path: of the file, which need not be there; None: nothing outlives the process.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._file = SmallFile(path, _SIZE)
        self._heard = _heard(self._file.read())

    def of(self, public_key: str) -> Heard:
        """Of the phone with that key."""
        return self._heard.get(public_key, NEVER)

    def are(self, heard: dict[str, Heard]) -> None:
        """These are known from now on, by their public keys, and no others."""
        before, self._heard = self._heard, dict(sorted(heard.items(), key=lambda each: -each[1].at)[:MOST])
        if before or self._heard:
            self._file.write(self._heard)


def _heard(found: object) -> dict[str, Heard]:
    pairs = list(found.items())[:MOST] if isinstance(found, dict) else []
    return {key: Heard(*each) for key, each in pairs if len(key) <= _LONGEST and _is_heard(each)}


def _is_heard(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    at, endpoint = value
    if type(at) is not int or not 0 < at < 1 << 40 or not isinstance(endpoint, str) or len(endpoint) > _LONGEST:
        return False
    host, _, port = endpoint.rpartition(":")
    return bool(host) and endpoint.isascii() and endpoint.isprintable() and port.isdigit()
