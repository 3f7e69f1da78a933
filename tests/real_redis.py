"""A redis-server of a test's own, at a unix socket, that keeps nothing."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

# The package `redis-server` starts one for the whole machine. In `redis-tools` is the same program, under the name of a
# tool; it does what the name says by which it was started.
REDIS = shutil.which("redis-server") or shutil.which("redis-check-rdb")
MISSING = None if REDIS else "no redis-server here (Debian package redis-tools)"


class RealRedis:
    """Runs from `start` to `stop`."""

    def __init__(self) -> None:
        self._dir = Path(tempfile.mkdtemp(prefix="redis-"))  # short, as a socket's path has to be
        self.socket = self._dir / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """As in a setting."""
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Until it answers."""
        program = self._dir / "redis-server"
        if not program.is_symlink():
            program.symlink_to(str(REDIS))
        words = [str(program), "--port", "0", "--unixsocket", str(self.socket), "--save", "", "--appendonly", "no"]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(
            [*words, "--dir", str(self._dir)], stdin=quiet, stdout=quiet, stderr=quiet, cwd=self._dir
        )
        for _ in range(500):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as tried:
                tried.connect(str(self.socket))
                return
            time.sleep(0.02)
        raise AssertionError("redis-server did not start")

    def kill(self) -> None:
        """As a crash would end it; what it knew is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self.socket.unlink(missing_ok=True)

    def stop(self) -> None:
        """Leave nothing."""
        self.kill()
        shutil.rmtree(self._dir, ignore_errors=True)
