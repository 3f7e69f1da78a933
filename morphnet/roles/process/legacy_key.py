"""The key string of an original server, in a file that its owner alone may read."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from morphnet.durable import write_new
from morphnet.errors import ConfigError, HostError, MalformedFrame
from morphnet.legacy.control import Key

_LONGEST = 4096  # bytes of such a file


def read_key(path: Path) -> Key:
    """
    The key there.

    :raises ConfigError: there is none.
    """
    try:
        with path.open("rb") as file:
            return Key.read(file.read(_LONGEST).decode("ascii"))
    except OSError as problem:
        raise ConfigError(f"cannot read the key string {path}: {problem.strerror}") from None
    except (MalformedFrame, UnicodeDecodeError):
        raise ConfigError(f"{path} holds no key string, BASE64:BASE64 as the original's server prints it") from None


def read_or_make_key(path: Path) -> Key:
    """
    The same; made now, mode 0600, when there is no file.

    :raises ConfigError: there is one, and it holds none.
    :raises HostError: it cannot be made.
    """
    if not path.exists():
        made = Key(os.urandom(32), os.urandom(16))
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):  # somebody else has made one just now
                write_new(path, f"{made.text}\n".encode(), mode=0o600)
        except OSError as problem:
            raise HostError(f"cannot make the key string {path}: {problem.strerror}") from None
    return read_key(path)
