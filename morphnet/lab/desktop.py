"""A desktop in a node of the lab: Debian's TigerVNC, and a window that tells what it was told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from morphnet.lab.box import BoxNode

XVNC = shutil.which("Xtigervnc")
PORT = 5901
_KEY = bytes([0xE8, 0x4A, 0xD6, 0x60, 0xC4, 0x72, 0x1A, 0xE0])  # as vncpasswd has it: it hides nothing


def kept(password: str) -> bytes:
    """A password as VNC servers keep it in a file; its first 8 letters count."""
    sealing = Cipher(TripleDES(_KEY * 3), modes.ECB()).encryptor()  # the format has no other
    return sealing.update(password.encode()[:8].ljust(8, b"\0")) + sealing.finalize()


class Desktop:
    """
    One, at 127.0.0.1:PORT in its node.

    :param password: which the VNC server asks for; "" for none.
    """

    def __init__(self, node: BoxNode, password: str = "") -> None:
        directory = Path(node.dir) / "desktop"
        directory.mkdir()
        self._log = directory / "log"
        self._told = directory / "told"
        display = 1000 + os.getpid() % 20_000  # X servers of one machine share a directory of locks
        how = ["-SecurityTypes", "None"]
        if password:
            file = directory / "password"
            file.write_bytes(kept(password))
            how = ["-SecurityTypes", "VncAuth", "-PasswordFile", str(file)]
        words = [str(XVNC), f":{display}", "-rfbport", str(PORT), "-localhost", *how, "-geometry", "640x400"]
        words += ["-depth", "24", "-nolisten", "unix", "-nolisten", "local", "-listen", "tcp", "-ac", "-AlwaysShared"]
        with self._log.open("wb") as log, self._told.open("wb") as told:
            self._server = node.popen(words, stdout=log, stderr=log)
            looking = [sys.executable, "-m", "morphnet.lab.xwindow", f"127.0.0.1:{display}"]
            self._window = node.popen(looking, stdout=told, stderr=log, stdin=subprocess.DEVNULL)

    def told(self) -> list[str]:
        """What the window was told, a line for each key and click."""
        return self._told.read_text().splitlines()

    def stop(self) -> None:
        """End both."""
        for process in (self._server, self._window):
            process.terminate()
            process.wait(10)
