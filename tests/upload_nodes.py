"""Real upload servers on loopback: `twistd morph-upload`, and requests to them byte by byte."""

from __future__ import annotations

import http.client
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from morphnet.ops import feedclient
from morphnet.wire.messages.upload.slots import mac_v1
from tests.ports import free_port

SECRET = "a secret of the tests"


class UploadNode:
    """
    One process.

    :param settings: lines of TOML, beside those that say where it is.
    :param host: the address that it listens on.
    """

    def __init__(self, settings: str = "", host: str = "127.0.0.1") -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="morphnet-up"))  # short: the path of a socket has 107 bytes
        self.host, self.port = host, free_port()
        secret = self.directory / "secret"
        secret.write_text(f"{SECRET}\n")
        secret.chmod(0o600)
        places = {"secret_file": secret, "state_dir": self.directory / "state", "run_dir": self.directory / "run"}
        lines = [
            f'listen = ["{host}"]',
            f"port = {self.port}",
            *(f'{name} = "{path}"' for name, path in places.items()),
            settings,
        ]
        (self.directory / "upload.toml").write_text("\n".join(lines) + "\n")
        self.process: subprocess.Popen[bytes] | None = None

    def begin_process(self) -> None:
        """Whatever comes of it."""
        words = [str(Path(sys.executable).with_name("twistd")), "--nodaemon", "--pidfile=", "--logfile=-"]
        words += ["morph-upload", "--config", str(self.directory / "upload.toml")]
        with (self.directory / "log").open("a") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start(self) -> None:
        """Until it answers."""
        self.begin_process()
        for _ in range(600):
            try:
                self.status()
                return
            except Exception:  # whatever keeps it from answering yet
                time.sleep(0.05)
        raise RuntimeError((self.directory / "log").read_text()[-3000:])

    def status(self) -> dict[str, Any]:
        """As `morphnet status` has it."""
        return dict(feedclient.ask(self.directory / "run" / "feed.sock", {"ask": "status"}))

    def counter(self, name: str) -> int:
        """What it has counted."""
        return int(self.status()["counters"].get(name, 0))

    def stand_still(self, still: bool) -> None:
        """Nothing of it runs, or all does again."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP if still else signal.SIGCONT)

    def kill(self) -> None:
        """At once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def end(self) -> None:
        """Nothing is left."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def slot(self, path: str, size: int) -> str:
        """Where a file of that size may be put."""
        return f"/upload/{path}?v={mac_v1(SECRET.encode(), path, size)}"

    def ask(
        self, verb: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own: status, headers with names in lower case, body."""
        line = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            line.request(verb, target, body or None, dict(headers or {}))
            answer = line.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            line.close()

    def begin(self, verb: str, target: str, size: int, body: bytes, source: str = "", more: str = "") -> socket.socket:
        """A request of which this much of the body is sent; `more` are lines of its head."""
        line = socket.create_connection((self.host, self.port), timeout=30, source_address=(source, 0))
        line.sendall(f"{verb} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n{more}\r\n".encode() + body)
        return line
