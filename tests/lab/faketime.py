"""A wall clock of its own for processes of the lab: it can be set while they run, and no other clock moves with it."""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Iterator
from pathlib import Path

from morphnet.lab.vpn import Daemon

LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), "")
NO_FAKETIME = "" if LIBRARY else "Debian's faketime is not installed"
_KINDLY = {"FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


class WallClock:
    """The wall clock of whatever is started by it."""

    def __init__(self, file: Path) -> None:
        """:param file: where its processes find how far off it is; its directory exists."""
        self._file = file
        self.set(0)

    def set(self, seconds: int) -> None:
        """From now on it is so many seconds ahead of this machine's."""
        whole = self._file.with_suffix(".new")
        whole.write_text(f"{seconds:+d}\n", encoding="ascii")
        whole.replace(self._file)

    @contextlib.contextmanager
    def here(self) -> Iterator[None]:
        """What is started in here lives by it."""
        mine = {"LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": str(self._file), **_KINDLY}
        before = {name: os.environ.get(name) for name in mine}
        os.environ.update(mine)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value

    def restart(self, daemon: Daemon) -> None:
        """Have a daemon live by it."""
        daemon.stop()
        with self.here():
            daemon.start()
