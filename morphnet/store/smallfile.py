"""What a process remembers in a small file of JSON, which is written whole."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.logger import Logger

from morphnet.durable import read_json, write_over


class SmallFile:
    """
    For its owner alone. That it cannot be written is told once, until it can: it is tried as often as before.

    :param path: which need not be there; None: nothing outlives the process.
    :param most: bytes that are read.
    """

    _log = Logger()

    def __init__(self, path: Path | None, most: int) -> None:
        self.path, self._most = path, most
        self._written: object = None  # the text that is there, as far as we know
        self._trouble = ""

    def read(self) -> object:
        """What it says; None where there is none, or it is spoilt."""
        try:
            return self.read_or_raise()
        except (OSError, ValueError):
            return None

    def read_or_raise(self) -> object:
        """
        What it says; None where there is none.

        :raises OSError: it cannot be read.
        :raises ValueError: it is spoilt.
        """
        try:
            found = read_json(self.path, self._most) if self.path is not None else None
        except FileNotFoundError:
            return None
        self._written = json.dumps(found, indent=1)
        return found

    def write(self, value: object) -> None:
        """It says that from now on, if it can be written."""
        text = json.dumps(value, indent=1)
        if self.path is None or text == self._written:
            return
        try:
            write_over(self.path, text.encode(), mode=0o600)
            self._written, self._trouble = text, ""
        except OSError as trouble:
            why, before = trouble.strerror or str(trouble), self._trouble
            self._trouble = why
            if why != before:
                self._log.warn("{path} is not written: {why}", path=str(self.path), why=why)
