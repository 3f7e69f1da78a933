"""nginx from Debian in a node of the lab, on loopback, with one server that is given."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from morphnet.lab.box import BoxNode
from morphnet.lab.vpn import wait_for

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")
_CONFIG = """
daemon off;
user root;
pid {dir}/pid;
error_log {dir}/errors;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {{
        listen 127.0.0.1:{port};
{server}
    }}
}}
"""


class Nginx:
    """
    One that listens on loopback.

    :param server: what stands in its `server { }`.
    """

    def __init__(self, node: BoxNode, port: int, server: str) -> None:
        self._node, self._port, self._dir = node, port, Path(node.dir) / f"nginx-{port}"
        self._dir.mkdir()
        self._config = self._dir / "nginx.conf"
        self._config.write_text(_CONFIG.format(dir=self._dir, port=port, server=server))
        self._process: subprocess.Popen[Any] | None = None

    def start(self) -> None:
        """Until it listens."""
        words = [str(NGINX), "-c", str(self._config), "-e", str(self._dir / "errors")]
        self._process = self._node.popen(words, stdin=subprocess.DEVNULL)
        wait_for("nginx listens", lambda: listens(self._node, self._port))

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)


def listens(node: BoxNode, port: int) -> bool:
    """Whether somebody listens there, on loopback."""
    look = f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)"
    return node.run([sys.executable, "-c", look]).returncode == 0
