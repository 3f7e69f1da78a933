"""A real clamd for tests, that knows of one thing: a signature made for them, and nothing of ClamAV's own."""

from __future__ import annotations

import shutil

from tests.socket_server import SocketServer

CLAMD = shutil.which("clamd", path="/usr/sbin:/usr/bin:/sbin:/bin")
WITHOUT = None if CLAMD else "no clamd here (Debian package clamav-daemon)"
BAD = b"what morphnet's tests look for: 5f1d7c"
NAME = "Morphnet.Test.UNOFFICIAL"


class ClamDaemon(SocketServer):
    """One, on a socket in a directory of its own; with a port by TCP as well."""

    def __init__(self, port: int = 0) -> None:
        super().__init__("morphnet-clam")
        (self.directory / "db").mkdir()
        (self.directory / "db" / "morphnet.ndb").write_text(f"Morphnet.Test:0:*:{BAD.hex()}\n")
        lines = [f"LocalSocket {self.socket}", f"DatabaseDirectory {self.directory / 'db'}", "Foreground yes"]
        lines += [f"TCPSocket {port}", "TCPAddr 127.0.0.1"] if port else []
        (self.directory / "conf").write_text("\n".join(lines) + "\n")

    def words(self) -> list[str]:
        assert CLAMD is not None  # the tests are skipped else
        return [CLAMD, "--config-file", str(self.directory / "conf")]
