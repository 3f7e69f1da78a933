"""A real redis-server for tests, on a socket in a directory of its own."""

from __future__ import annotations

import shutil
import signal

from tests.socket_server import SocketServer

# Where there are only the package's tools the same program is there under the name of one; what it does, the name says
# by which it was started.
REDIS = shutil.which("redis-server") or shutil.which("redis-check-rdb")
WITHOUT = None if REDIS else "no redis-server here (Debian package redis-server)"


class RedisServer(SocketServer):
    """
    One.

    :param keeps: `start` after `stop` finds all that was there.
    """

    def __init__(self, *, keeps: bool = True) -> None:
        super().__init__("morphnet-redis")
        self._keeps = "yes" if keeps else "no"
        self.url = f"unix://{self.socket}"

    def words(self) -> list[str]:
        assert REDIS is not None  # the tests are skipped else
        program = self.directory / "redis-server"
        if not program.is_symlink():
            program.symlink_to(REDIS)
        words = [str(program), "--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.directory)]
        return [*words, "--appendonly", self._keeps, "--appendfsync", "always", "--save", ""]

    def forget(self) -> None:
        """Another one in its place, which knows nothing."""
        self.stop()
        shutil.rmtree(self.directory / "appendonlydir", ignore_errors=True)
        self.start()

    def stand_still(self, still: bool) -> None:
        """It answers nothing, or does so again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if still else signal.SIGCONT)
