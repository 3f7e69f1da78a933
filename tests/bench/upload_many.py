"""
Many large files at once, on a disk that has no room for them all.

What has arrived of a file is let go of behind its end while it still comes in (a hole is punched there, of which the
server knows nothing, as it reads nothing again but some samples and the end), and files are deleted as they become
whole. Of the first few all is kept: these are compared with what was sent.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from tests.bench.upload_crowd import LARGE, pattern

KEPT = 3  # files
END = 1 << 24  # bytes at the end of each that stay
EVERY = 1.0  # seconds between looks
_PUNCH = 0x01 | 0x02  # FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class Found:
    """What came of it."""

    memory: list[tuple[float, float]] = field(default_factory=list)  # seconds, MB of the server then
    whole: int = 0  # files that have appeared with all their bytes
    same: int = 0  # of those that were kept, as they were sent
    most_room: int = 0  # bytes of the disk that all had at most


def _punch(file: Path, end: int) -> None:
    """Let go of what is before that byte."""
    handle = os.open(file, os.O_RDWR)
    try:
        if _libc.fallocate(handle, _PUNCH, ctypes.c_long(0), ctypes.c_long(end)):
            raise OSError(ctypes.get_errno(), "no hole can be punched")
    finally:
        os.close(handle)


def _memory(pid: int) -> float:
    """MB."""
    (line,) = [each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024 / 1e6


class Warden(Thread):
    """
    Keeps room on the disk, and looks at the memory.

    :param files: the directory of a vault.
    :param size: bytes of each file.
    """

    def __init__(self, files: Path, pid: int, count: int, size: int) -> None:
        super().__init__(daemon=True)
        self._files, self._pid, self._size, self._over = files, pid, size, Event()
        self._patterns = {pattern(number, size) for number in range(count)}
        self._kept: list[str] = []  # names
        self._begun = time.monotonic()
        self.found = Found()

    def run(self) -> None:
        while not self._over.wait(EVERY):
            self._look()

    def end(self) -> Found:
        """What came of it."""
        self._over.set()
        self.join()
        self._look()
        return self.found

    def _look(self) -> None:
        self.found.memory.append((time.monotonic() - self._begun, _memory(self._pid)))
        room = 0
        for each in sorted((self._files / "partial").iterdir()):
            with suppress(FileNotFoundError):
                about = each.stat()
                if each.name not in self._kept and len(self._kept) < KEPT:
                    self._kept.append(each.name)
                room += about.st_blocks * 512
                if each.name not in self._kept and about.st_blocks * 512 > 2 * END:
                    _punch(each, about.st_size - END)
        self.found.most_room = max(self.found.most_room, room)
        for each in sorted((self._files / "done").iterdir()):
            self.found.whole += each.stat().st_size == self._size
            if each.name in self._kept:
                self.found.same += self._is_one(each)
            each.unlink()
        for each in sorted((self._files / "content").iterdir()):
            if each.stat().st_nlink == 1:
                each.unlink()

    def _is_one(self, file: Path) -> bool:
        """It is one of those that were sent."""
        with file.open("rb") as opened:
            first = opened.read(64)
            if first not in self._patterns:
                return False
            self._patterns.remove(first)
            opened.seek(0)
            at, block = 0, first * (1 << 14)
            while data := opened.read(len(block)):
                if data != block[: len(data)]:
                    return False
                at += len(data)
        return at == self._size


def send(port: int, secret: str, count: int, size: int, rate: float) -> None:
    """
    All of them at once.

    :param rate: bytes a second, of all together.
    """
    assert size >= LARGE, "smaller files are random"
    words = [sys.executable, "-m", "tests.bench.upload_crowd", "steady", str(port), secret, str(count), str(size)]
    subprocess.run([*words, str(size * count / rate)], stdout=subprocess.DEVNULL, check=True)
