"""
Two servers that take files, in a node of the lab: `twistd morph-upload`, and Prosody with its own mod_http_file_share.

Source: the token is the one of Prosody's mod_http_file_share (JWT, HS256: RFC 7519).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from morphnet.lab.box import BoxNode
from morphnet.lab.vpn import Daemon, wait_for

PROSODY = shutil.which("prosody", path="/usr/bin:/usr/local/bin")
PORT, PROSODY_PORT = 8050, 5280
_HOST = "share.example"
_CONFIG = """
run_as_root = true
pidfile = "{dir}/pid"
data_path = "{dir}/data"
modules_disabled = {{ "s2s", "c2s", "tls" }}
http_ports = {{ {port} }}
http_interfaces = {{ "*" }}
https_ports = {{ }}
log = {{ info = "{dir}/log" }}
VirtualHost "example"
Component "{host}" "http_file_share"
    http_host = "{address}"
    http_file_share_secret = "{secret}"
    http_file_share_size_limit = 10*1024*1024*1024
"""


class Store(Daemon):
    """
    An upload server of ours, and one user of it.

    :param address: where it listens.
    """

    def __init__(self, node: BoxNode, address: str) -> None:
        super().__init__(node, "morph-upload", "store", {"listen": address, "port": PORT})
        self.url = f"http://{address}:{PORT}/upload/"
        self.token = self.dir / "anna.token"

    @property
    def run_dir(self) -> Path:
        return self.dir / "run"

    def prepare(self) -> None:
        """Write its settings, its secret and the user's token."""
        self.etc.mkdir(parents=True)
        for file, text in ((self.etc / "secret", secrets.token_hex(32)), (self.token, f"anna {secrets.token_hex(32)}")):
            file.write_text(text + "\n")
            file.chmod(0o600)
        state = {"state_dir": self.dir / "state", "run_dir": self.run_dir}
        settings = {"secret_file": self.etc / "secret", "tokens_file": self.token, **state}
        (self.etc / "upload.toml").write_text("".join(f'{name} = "{value}"\n' for name, value in settings.items()))

    def length(self) -> int:
        """Bytes that are on its disk of the only file."""
        files = [each for place in ("partial", "done") for each in (self.dir / "state/files" / place).glob("*")]
        try:
            return max((each.stat().st_size for each in files), default=0)
        except FileNotFoundError:  # it has just become whole
            return self.length()


class FileShare:
    """
    A real Prosody whose slots are signed here, so that no XMPP client is needed.

    :param address: where it listens.
    """

    def __init__(self, node: BoxNode, address: str) -> None:
        self._node, self._dir, self._secret = node, Path(node.dir) / "share", secrets.token_hex(32)
        self._address = address
        self._process: subprocess.Popen[Any] | None = None

    def prepare(self) -> None:
        """Write its settings."""
        (self._dir / "data").mkdir(parents=True)
        facts = {"port": PROSODY_PORT, "host": _HOST, "secret": self._secret, "address": self._address}
        (self._dir / "prosody.cfg.lua").write_text(_CONFIG.format(dir=self._dir, **facts))

    def slot(self, name: str, size: int) -> tuple[str, str]:
        """The address for a file, and the Authorization for it."""
        now, slot = int(time.time()), secrets.token_hex(8)
        claims = {"sub": "anna@example", "iat": now, "exp": now + 300, "slot": slot, "filename": name}
        claims |= {"filesize": size, "filetype": "application/octet-stream", "expires": now + 86400}
        token = _signed(self._secret.encode(), claims)
        return f"http://{self._address}:{PROSODY_PORT}/file_share/{slot}/{name}", f"Bearer {token}"

    def start(self) -> None:
        """Until it listens."""
        with (self._dir / "out").open("a") as out:
            words = [str(PROSODY), "--root", "--config", str(self._dir / "prosody.cfg.lua"), "-F"]
            self._process = self._node.popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        wait_for("Prosody listens", self._listens)

    def _listens(self) -> bool:
        look = ["curl", "-s", "-o", "/dev/null", f"http://{self._address}:{PROSODY_PORT}/"]
        return self._node.run(look).returncode == 0

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)
            self._process = None

    def length(self) -> int:
        """Bytes that are on its disk of the only file."""
        sizes = [0]
        for each in (self._dir / "data").rglob("*.bin*"):
            with suppress(FileNotFoundError):
                sizes.append(each.stat().st_size)
        return max(sizes)

    def sha256(self) -> str:
        """Of the only file that is whole; "" for none."""
        found = [each for each in (self._dir / "data").rglob("*.bin") if each.is_file()]
        return hashlib.sha256(found[0].read_bytes()).hexdigest() if found else ""


def _signed(secret: bytes, claims: dict[str, Any]) -> str:
    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    text = ".".join(part(json.dumps(each).encode()) for each in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{text}.{part(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"
