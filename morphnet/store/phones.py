"""Where phones were heard last, so that a server that begins anew can call them: by WireGuard they would wait 15 s."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from twisted.logger import Logger

from morphnet.durable import read_json, write_over

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

    _log = Logger()

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._heard = _read(path) if path is not None else {}
        self._written, self._trouble = dict(self._heard), ""

    def of(self, public_key: str) -> Heard:
        """Of the phone with that key."""
        return self._heard.get(public_key, NEVER)

    def are(self, heard: dict[str, Heard]) -> None:
        """These are known from now on, by their public keys, and no others."""
        self._heard = dict(sorted(heard.items(), key=lambda each: -each[1].at)[:MOST])
        if self._path is None or self._heard == self._written:
            return
        try:
            write_over(self._path, json.dumps(self._heard, indent=1).encode(), mode=0o600)
            self._written, self._trouble = self._heard, ""
        except OSError as trouble:
            why, before = trouble.strerror or str(trouble), self._trouble
            self._trouble = why
            if why != before:  # it is tried again at every look
                self._log.warn("{path} is not written: {why}", path=str(self._path), why=why)


def _read(path: Path) -> dict[str, Heard]:
    found = read_json(path, _SIZE)
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
