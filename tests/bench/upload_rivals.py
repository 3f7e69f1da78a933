"""Servers that take files, beside ours: nginx (PUT of its dav module), Prosody's own file share, and `@tus/server`."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from morphnet.wire.messages.upload.slots import jwt
from tests.ports import free_port
from tests.upload_nodes import SECRET, UploadNode

SETTINGS = "max_size = 10000000000\n"  # of ours
TUS = Path(".venv/tus-server")  # where `.ci/setup bench` has it
_TICK = os.sysconf("SC_CLK_TCK")
_NGINX = """
daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error.log; {user}
events {{}}
http {{
    access_log off; client_max_body_size 0; client_body_temp_path {dir}/temp;
    server {{ listen 127.0.0.1:{port}; root {dir}/files; location / {{ dav_methods PUT; create_full_put_path on; }} }}
}}
"""
_PROSODY = """
run_as_root = true
pidfile = "{dir}/pid"
data_path = "{dir}/files"
modules_disabled = {{ "s2s", "c2s", "tls" }}
http_ports = {{ {port} }}
http_interfaces = {{ "127.0.0.1" }}
https_ports = {{ }}
log = {{ info = "{dir}/log" }}
VirtualHost "example"
Component "share.example" "http_file_share"
    http_host = "127.0.0.1"
    http_file_share_secret = "{secret}"
    http_file_share_size_limit = 10*1024*1024*1024
    http_file_share_daily_quota = 1000*1024*1024*1024
"""
_TUS = """
import { Server } from "@tus/server";
import { FileStore } from "@tus/file-store";
const [port, directory] = process.argv.slice(2);
const server = new Server({ path: "/files", datastore: new FileStore({ directory }) });
server.listen({ host: "127.0.0.1", port: Number(port) });
"""


class Rival:
    """One that was started. `upload` sends a file and says how long it took, seconds."""

    name = ""
    part = 1  # of the file, so that a slow one does not take all the time: it has one that is so many times smaller

    def __init__(self) -> None:
        self.dir, self.port = Path(tempfile.mkdtemp(prefix="morphnet-rival")), free_port()
        (self.dir / "files").mkdir()
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    def is_here(cls) -> bool:
        """Whether this machine has it."""
        return bool(shutil.which(cls.name, path=f"{os.environ['PATH']}:/usr/sbin"))

    def words(self) -> list[str]:
        """How it is started; its settings are written."""
        raise NotImplementedError

    def start(self) -> None:
        """Until it listens."""
        with (self.dir / "out").open("w") as out:
            self.process = subprocess.Popen(self.words(), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError((self.dir / "out").read_text())

    @property
    def pid(self) -> int:
        """Of its first process."""
        assert self.process is not None
        return self.process.pid

    def end(self) -> None:
        """Nothing is left."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
        shutil.rmtree(self.dir, ignore_errors=True)

    def upload(self, file: Path) -> float:
        """:raises RuntimeError: it was refused."""
        return curl(["-T", str(file), f"http://127.0.0.1:{self.port}/{secrets.token_hex(8)}"])


class Nginx(Rival):
    name = "nginx"

    def words(self) -> list[str]:
        user = "" if os.getuid() else "user root;"
        (self.dir / "conf").write_text(_NGINX.format(dir=self.dir, port=self.port, user=user))
        return [str(shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")), "-p", str(self.dir), "-c", "conf"]


class Prosody(Rival):
    name = "prosody"
    part = 20

    def words(self) -> list[str]:
        self._secret = secrets.token_hex(32)
        text = _PROSODY.format(dir=self.dir, port=self.port, secret=self._secret)
        (self.dir / "prosody.cfg.lua").write_text(text)
        return ["prosody", "--root", "--config", str(self.dir / "prosody.cfg.lua"), "-F"]

    def upload(self, file: Path) -> float:
        now, slot = int(time.time()), secrets.token_hex(8)
        claims = {"sub": "anna@example", "iat": now, "exp": now + 300, "slot": slot, "filename": "f"}
        claims |= {"filesize": file.stat().st_size, "filetype": "application/octet-stream", "expires": now + 86400}
        token = jwt(self._secret.encode(), claims)
        target = f"http://127.0.0.1:{self.port}/file_share/{slot}/f"
        return curl(["-H", f"Authorization: Bearer {token}", "-T", str(file), target])


class TusServer(Rival):
    name = "@tus/server"

    @classmethod
    def is_here(cls) -> bool:
        return (TUS / "node_modules" / "@tus" / "server").exists() and shutil.which("node") is not None

    def words(self) -> list[str]:
        script = TUS / "serve.mjs"  # beside its modules, where node looks for them
        script.write_text(_TUS)
        return ["node", str(script), str(self.port), str(self.dir / "files")]

    def upload(self, file: Path) -> float:
        about = ["-H", "Tus-Resumable: 1.0.0"]
        size = f"Upload-Length: {file.stat().st_size}"
        files = f"http://127.0.0.1:{self.port}/files"
        made = subprocess.run(
            ["curl", "-sS", "-o", "/dev/null", "-w", "%header{location}", "-X", "POST", *about, "-H", size, files],
            capture_output=True,
            text=True,
            check=True,
        )
        parts = ["-H", "Upload-Offset: 0", "-H", "Content-Type: application/offset+octet-stream"]
        return curl(["-X", "PATCH", *about, *parts, "-T", str(file), made.stdout.strip()])


class Ours(Rival):
    """`twistd morph-upload`, by a plain PUT."""

    name = "morphnet"

    def __init__(self, settings: str = SETTINGS) -> None:
        super().__init__()
        self.node = UploadNode(settings)

    @classmethod
    def is_here(cls) -> bool:
        return True

    def start(self) -> None:
        self.node.start()
        self.process = self.node.process

    def end(self) -> None:
        self.node.end()
        shutil.rmtree(self.dir, ignore_errors=True)

    def upload(self, file: Path) -> float:
        target = self.node.slot(f"b/{secrets.token_hex(8)}", file.stat().st_size)
        return curl(["-T", str(file), f"http://127.0.0.1:{self.node.port}{target}"])


def curl(words: list[str]) -> float:
    """
    Seconds that it took.

    :raises RuntimeError: the server has refused it.
    """
    form = "%{http_code} %{time_total}"
    done = subprocess.run(
        ["curl", "-sS", "-o", "/dev/null", "-w", form, "-H", "Expect:", *words], capture_output=True, text=True
    )
    status, _, seconds = done.stdout.partition(" ")
    if done.returncode or not status.startswith("2"):
        raise RuntimeError(f"curl: {done.stdout} {done.stderr}")
    return float(seconds)


def processor(pid: int) -> float:
    """Seconds of processor time that a process and those below it have taken."""
    total, parents = 0.0, {pid}
    for each in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):  # a child has the greater number
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if each == pid or int(fields[1]) in parents:
            parents.add(each)
            total += (int(fields[11]) + int(fields[12])) / _TICK
    return total


def most_memory(pid: int) -> float:
    """MB that it had at most."""
    (line,) = [each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024 / 1e6


__all__ = ["SECRET", "SETTINGS", "Nginx", "Ours", "Prosody", "Rival", "TusServer", "most_memory", "processor"]
