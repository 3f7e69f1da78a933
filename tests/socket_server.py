"""A real server of somebody else's for tests, on a socket in a directory of its own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path


class SocketServer:
    """
    One.

    :param name: begins the directory's; short, as the path of a socket has 107 bytes.
    """

    def __init__(self, name: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=name))
        self.socket = self.directory / "s"
        self._process: subprocess.Popen[bytes] | None = None

    def words(self) -> list[str]:
        """How it is started."""
        raise NotImplementedError

    def start(self) -> None:
        """Until it listens."""
        with (self.directory / "log").open("w") as log:
            self._process = subprocess.Popen(self.words(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for _ in range(1500):
            if self.socket.exists() or self._process.poll() is not None:
                break
            time.sleep(0.02)
        if not self.socket.exists():
            raise RuntimeError((self.directory / "log").read_text())

    def stop(self) -> None:
        """At once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self.socket.unlink(missing_ok=True)

    def end(self) -> None:
        """Nothing is left."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
