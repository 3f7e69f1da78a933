"""A real clamd for tests, that knows of one thing: a signature made for them, and nothing of ClamAV's own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

CLAMD = shutil.which("clamd", path="/usr/sbin:/usr/bin:/sbin:/bin")
WITHOUT = None if CLAMD else "no clamd here (Debian package clamav-daemon)"
BAD = b"what morphnet's tests look for: 5f1d7c"
NAME = "Morphnet.Test.UNOFFICIAL"


class ClamDaemon:
    """One, on a socket in a directory of its own; with a port by TCP as well."""

    def __init__(self, port: int = 0) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="morphnet-clam"))
        self.socket = self.directory / "s"
        (self.directory / "db").mkdir()
        (self.directory / "db" / "morphnet.ndb").write_text(f"Morphnet.Test:0:*:{BAD.hex()}\n")
        lines = [f"LocalSocket {self.socket}", f"DatabaseDirectory {self.directory / 'db'}", "Foreground yes"]
        lines += [f"TCPSocket {port}", "TCPAddr 127.0.0.1"] if port else []
        (self.directory / "conf").write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it listens."""
        assert CLAMD is not None  # the tests are skipped else
        with (self.directory / "log").open("w") as log:
            words = [CLAMD, "--config-file", str(self.directory / "conf")]
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for _ in range(1500):
            if self.socket.exists() or self._process.poll() is not None:
                break
            time.sleep(0.02)
        if not self.socket.exists():
            raise RuntimeError((self.directory / "log").read_text())

    def stop(self) -> None:
        """At once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self.socket.unlink(missing_ok=True)

    def end(self) -> None:
        """Nothing is left."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
