"""What is known of an upload that has not ended: a small file of the user's own, so that it goes on after a reboot."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from pathlib import Path
from types import TracebackType

from morphnet.errors import HostError


def home() -> Path:
    """Where they are."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if state.startswith("/") else Path.home() / ".local/state") / "morphnet/uploads"


class Unsent:
    """
    The address of one upload, for as long as the file stays what it was. Held by one command at a time.

    :param what: of the upload: the service, the user, the file.
    :param size: bytes.
    :param mtime_ns: when the file was changed last.
    """

    def __init__(self, directory: Path, what: tuple[str, ...], size: int, mtime_ns: int) -> None:
        name = hashlib.sha256("\0".join(what).encode("utf-8", "surrogateescape")).hexdigest()
        self._path, self._is = directory / f"{name}.json", {"size": size, "mtime_ns": mtime_ns}
        self.slot, self.changed = "", False  # changed: what was sent before was of another content

    def __enter__(self) -> Unsent:
        """:raises HostError: another command is at it."""
        self._path.parent.mkdir(0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise HostError("another `morphnet upload` is sending this file") from None
        self._begin()
        return self

    def _begin(self) -> None:
        data = os.pread(self._descriptor, 4096, 0)
        try:
            known = json.loads(data)
            slot = str(known.pop("slot"))
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
            known, slot = {}, ""  # new, or cut short by the end of the machine
        if known == self._is and slot:
            self.slot = slot
            return
        self.changed, self.slot = bool(slot), secrets.token_hex(16)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps({**self._is, "slot": self.slot}).encode(), 0)
        os.fsync(self._descriptor)

    def done(self) -> None:
        """It has arrived."""
        self._path.unlink(missing_ok=True)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._descriptor)
