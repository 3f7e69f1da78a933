"""Caddy and Apache, Debian's, on loopback, with what stands in their one site."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.ports import free_port

_PATH = f"{os.environ['PATH']}:/usr/sbin"
_MODULES = Path("/usr/lib/apache2/modules")
_CADDY = """
{{
    admin off
    auto_https off
    storage file_system {dir}/storage
    {servers}
}}
http://localhost:{port} {{
    bind 127.0.0.1
    {site}
}}
"""
_APACHE = """
ServerRoot {dir}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {dir}/pid
ErrorLog {dir}/errors
DefaultRuntimeDir {dir}
Mutex file:{dir}
{modules}
{user}
<VirtualHost 127.0.0.1:{port}>
{site}
</VirtualHost>
"""
_LOADED = ("mpm_event", "authz_core", "headers", "proxy", "proxy_http", "reqtimeout", "setenvif", "env", "buffer")


class WebProxy:
    """One."""

    name = ""

    def __init__(self, site: str, servers: str = "") -> None:
        self.dir, self.port = Path(tempfile.mkdtemp(prefix="morphnet-proxy")), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._site, self._servers = site, servers

    @classmethod
    def is_here(cls) -> bool:
        """Whether this machine has it."""
        return shutil.which(cls.name, path=_PATH) is not None

    def words(self) -> list[str]:
        """How it is started; its settings are written."""
        raise NotImplementedError

    def start(self) -> None:
        """Until it listens."""
        environment = {**os.environ, "HOME": str(self.dir), "XDG_CONFIG_HOME": str(self.dir)}
        with (self.dir / "out").open("w") as out:
            self._process = subprocess.Popen(
                self.words(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment
            )
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError((self.dir / "out").read_text())

    def end(self) -> None:
        """Nothing is left."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(20)
        shutil.rmtree(self.dir, ignore_errors=True)


class Caddy(WebProxy):
    name = "caddy"

    def words(self) -> list[str]:
        text = _CADDY.format(dir=self.dir, port=self.port, site=self._site, servers=self._servers)
        (self.dir / "Caddyfile").write_text(text)
        return ["caddy", "run", "--config", str(self.dir / "Caddyfile"), "--adapter", "caddyfile"]


class Apache(WebProxy):
    name = "apache2"

    def words(self) -> list[str]:
        modules = "\n".join(f"LoadModule {each}_module {_MODULES}/mod_{each}.so" for each in _LOADED)
        user = "" if os.getuid() else "User www-data\nGroup www-data"
        facts = {"dir": self.dir, "port": self.port, "modules": modules, "user": user, "site": self._site}
        (self.dir / "conf").write_text(_APACHE.format(**facts))
        self.dir.chmod(0o755)
        return [str(shutil.which("apache2", path=_PATH)), "-f", str(self.dir / "conf"), "-D", "FOREGROUND"]
