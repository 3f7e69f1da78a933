"""A real redis-server for tests, on a socket in a directory of its own."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

# Where there are only the package's tools the same program is there under the name of one; what it does, the name says
# by which it was started.
REDIS = shutil.which("redis-server") or shutil.which("redis-check-rdb")
WITHOUT = None if REDIS else "no redis-server here (Debian package redis-server)"


class RedisServer:
    """
    One.

    :param keeps: `start` after `stop` finds all that was there.
    """

    def __init__(self, *, keeps: bool = True) -> None:
        self._keeps = "yes" if keeps else "no"
        self.directory = Path(tempfile.mkdtemp(prefix="morphnet-redis"))  # short: the path of a socket has 107 bytes
        self.socket = self.directory / "s"
        self.url = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it listens."""
        assert REDIS is not None  # the tests are skipped else
        program = self.directory / "redis-server"
        if not program.is_symlink():
            program.symlink_to(REDIS)
        words = [str(program), "--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.directory)]
        words += ["--appendonly", self._keeps, "--appendfsync", "always", "--save", "", "--logfile", "log"]
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for _ in range(500):
            if self.socket.exists():
                return
            time.sleep(0.02)
        raise RuntimeError((self.directory / "log").read_text())

    def stop(self) -> None:
        """At once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self.socket.unlink(missing_ok=True)

    def stand_still(self, still: bool) -> None:
        """It answers nothing, or does so again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if still else signal.SIGCONT)

    def end(self) -> None:
        """Nothing is left."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
