"""Who may enter the manhole."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from twisted.conch.checkers import IAuthorizedKeysDB
from twisted.conch.ssh.keys import BadKeyError, Key
from twisted.logger import Logger
from zope.interface import implementer

from morphnet.ops.rundir import USER

# What Twisted raises for a text that is no key, or not a whole one.
_NO_KEY = (BadKeyError, UnsupportedAlgorithm, ValueError, TypeError, LookupError, OverflowError, struct.error)
MOST = 256 << 10  # bytes of authorized_keys that are read


@implementer(IAuthorizedKeysDB)
class Doorkeeper:
    """
    Who may enter: the local operator's key, and what stands in authorized_keys at the moment of asking.

    Keys with options in front (`from=`, `command=`) are left out, because they would not be obeyed here; so is the
    whole file when others than its owner may write it, or its owner is neither root nor we (sshd's StrictModes).
    """

    _log = Logger()

    def __init__(self, local: Iterable[Key], authorized_keys: Path) -> None:
        self._local = tuple(key.public() for key in local)
        self._path = authorized_keys

    def getAuthorizedKeys(self, avatarId: bytes) -> Iterable[Key]:
        return [*self._local, *self._invited()] if avatarId == USER.encode() else []

    def _invited(self) -> list[Key]:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would have us wait
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode):
                os.close(descriptor)
                self._log.warn("{path} is left out: it is no plain file", path=str(self._path))
                return []
            with open(descriptor, "rb") as file:
                if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or about.st_uid not in (0, os.geteuid()):
                    self._log.warn("{path} is left out: others may write it", path=str(self._path))
                    return []
                lines = file.read(MOST).splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            self._log.warn("cannot read {path}: {error}", path=str(self._path), error=error.strerror)
            return []
        return [key for number, line in enumerate(lines, 1) if (key := self._key(number, line)) is not None]

    def _key(self, number: int, line: bytes) -> Key | None:
        line = line.strip()
        if not line or line.startswith(b"#"):
            return None
        try:
            if line.startswith((b"ssh-", b"ecdsa-", b"sk-")):
                key: Key = Key.fromString(line, type="public_openssh")
                return key
        except _NO_KEY:
            pass  # told below, as a line with options
        self._log.warn("{path}, line {line} is left out: not a plain key", path=str(self._path), line=number)
        return None
