"""Debian's wireguard-go in a box: both ends, or one, untouched."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from morphnet.lab.box import BoxNode
from morphnet.lab.vpn import wait_for

INNER = {"client": "10.9.0.2", "server": "10.9.0.1"}
MTU = 1420  # as wg-quick has it for a link of 1500


def lacking(*programs: str) -> str | None:
    """Which of them is not here, in a few words."""
    return next((f"no {each} here" for each in programs if shutil.which(each) is None), None)


class WireGuard:
    """One end of wireguard-go."""

    def __init__(self, node: BoxNode, name: str) -> None:
        self.node, self.name = node, name
        self.key = Path(node.dir) / "wireguard.key"
        sockets = Path(node.dir) / "run" / "wireguard"
        shutil.rmtree(sockets, ignore_errors=True)  # one that was killed leaves its socket
        sockets.mkdir(parents=True)
        self.key.touch(0o600)
        self.key.write_text(self._wg("genkey"))
        self.public = subprocess.run(
            ["wg", "pubkey"], input=self.key.read_text(), capture_output=True, text=True, check=True
        ).stdout.strip()
        self.process = node.popen(
            ["wireguard-go", "--foreground", "wg0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for("wireguard-go answers", lambda: node.run(["wg", "show", "wg0"]).returncode == 0)

    def _wg(self, *words: str) -> str:
        return str(self.node.run(["wg", *words], check=True).stdout)

    def meet(self, other: WireGuard, *words: str) -> None:
        """Know the other end."""
        allowed = f"{INNER[other.name]}/32"
        self._wg("set", "wg0", "private-key", str(self.key), "peer", other.public, "allowed-ips", allowed, *words)

    def listen(self, port: int) -> None:
        """At this UDP port."""
        self._wg("set", "wg0", "listen-port", str(port))

    def handshake_at(self) -> int:
        """When the last one ended, Unix seconds; 0 for never."""
        words = self._wg("show", "wg0", "latest-handshakes").split()
        return int(words[1]) if words else 0

    def end(self) -> None:
        """And the device is gone."""
        self.process.terminate()
        self.process.wait(10)
