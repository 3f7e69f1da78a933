"""
The CA's own book: what was signed for what, and what was revoked. Only who signs, and root, write it; the process that
listens to the network cannot. So what it says is true even when that process is somebody else's.

    AT WHAT NAME SERIAL PARENT ADDRESSES        one line each, blanks between, "-" for nothing

A line is on the disk before its certificate is given away. A line that was cut short was never answered for, and goes.
"""

from __future__ import annotations

import fcntl
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from morphnet.durable import make_directory
from morphnet.errors import HostError

FILE = "book"
JOIN, RENEW, REVOKE, RELEASE = "join", "renew", "revoke", "release"
_PARTS = 6


@dataclass(frozen=True, slots=True)
class Entry:
    """One line."""

    at: int  # Unix seconds
    what: str  # JOIN, RENEW, REVOKE (one certificate), RELEASE (the addresses of a name)
    name: str
    serial: str = ""  # of the certificate that was signed, or revoked; hex
    parent: str = ""  # serial of the invitation or certificate that it was signed for
    addresses: tuple[str, ...] = ()  # in the certificate


def signer_directory(state_dir: Path) -> Path:
    """
    Where the book is: beside the directory of the process that listens, where systemd's units have made one that this
    process may not write. Else in it: then both are the same user anyhow.
    """
    apart = state_dir.with_name(f"{state_dir.name}-signer")
    return apart if apart.is_dir() else state_dir / "signer"


class Entries:
    """What the lines say together."""

    def __init__(self) -> None:
        self.signed_for: defaultdict[str, list[Entry]] = defaultdict(list)  # by parent
        self.signed: dict[str, Entry] = {}  # by serial
        self.revoked: dict[str, int] = {}  # serial -> Unix seconds
        self.holders: dict[str, str] = {}  # of each inner address, the name that has it for good

    def take(self, entry: Entry) -> None:
        """One more line."""
        if entry.what == REVOKE:
            self.revoked.setdefault(entry.serial, entry.at)
        elif entry.what == RELEASE:
            self.holders = {address: name for address, name in self.holders.items() if name != entry.name}
        else:
            self.signed_for[entry.parent].append(entry)
            self.signed[entry.serial] = entry
            for address in entry.addresses:
                self.holders.setdefault(address, entry.name)

    def add(self, *entries: Entry) -> None:
        """Write more lines."""
        for entry in entries:
            self.take(entry)


class Book(Entries):
    """
    The same in a file, for several processes at once: use it within `opened`.

    :param directory: see `signer_directory`; made when it is not there.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._path = directory / FILE
        self._read = 0  # bytes
        self._descriptor = -1

    @contextmanager
    def opened(self) -> Iterator[Entries]:
        """
        Nobody else writes meanwhile.

        :raises HostError: it cannot be read or written.
        """
        try:
            make_directory(self._path.parent)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(self._path, flags, 0o600)
        except OSError as trouble:
            raise HostError(f"cannot open the CA's book {self._path}: {trouble.strerror}") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            self._catch_up()
            yield self
        except OSError as trouble:
            raise HostError(f"cannot write the CA's book {self._path}: {trouble.strerror}") from None
        finally:
            os.close(self._descriptor)  # and the lock with it

    def _catch_up(self) -> None:
        """Read what others have written."""
        size = os.fstat(self._descriptor).st_size
        if size < self._read:  # somebody has put another one there
            super().__init__()
            self._read = 0
        content = os.pread(self._descriptor, size - self._read, self._read)
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            os.ftruncate(self._descriptor, self._read + len(whole))
        self._read += len(whole)
        for line in whole.decode("ascii", "replace").splitlines():
            entry = _read(line)
            if entry is not None:
                self.take(entry)

    def add(self, *entries: Entry) -> None:
        """On the disk when this returns, however many they are."""
        lines = b"".join(map(_line, entries))
        written = os.write(self._descriptor, lines) if lines else 0
        if written != len(lines):
            raise OSError(0, "the disk is full")
        os.fsync(self._descriptor)
        self._read += len(lines)
        super().add(*entries)


def _line(entry: Entry) -> bytes:
    addresses = ",".join(entry.addresses)
    parts = (str(entry.at), entry.what, entry.name, entry.serial, entry.parent, addresses)
    return (" ".join(each or "-" for each in parts) + "\n").encode("ascii")


def _read(line: str) -> Entry | None:
    """None for what is no line of ours: it says nothing, whatever it was."""
    parts = ["" if each == "-" else each for each in line.split(" ")]
    if len(parts) != _PARTS or not parts[0].isdigit() or parts[1] not in (JOIN, RENEW, REVOKE, RELEASE):
        return None
    at, what, name, serial, parent, addresses = parts
    return Entry(int(at), what, name, serial, parent, tuple(filter(None, addresses.split(","))))
