"""The secrets that are shared with the XMPP server, and the tokens of those who upload without it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from morphnet.errors import ConfigError

SHORTEST = 8  # bytes
FOLDER = "~"  # begins the path of who has a token: ~NAME/...
_TOKEN = re.compile(r"([a-z0-9][a-z0-9._-]{0,63})\s+([0-9a-f]{64})", re.ASCII)


def read_secrets(path: Path, setting: str = "secret_file") -> tuple[bytes, ...]:
    """
    One a line, the one in use first; the others are good while it is replaced.

    :param setting: that names the file.
    :raises ConfigError: there is none, or everybody may read it.
    """
    try:
        mode, text = path.stat().st_mode, path.read_bytes()
    except OSError as problem:
        raise ConfigError(f"{setting}: {path}: {(problem.strerror or str(problem)).lower()}") from None
    if mode & 0o007:
        raise ConfigError(f"{setting}: everybody may read {path}: chmod 600 it")
    secrets = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not secrets:
        raise ConfigError(f"{setting}: there is no secret in {path}")
    if min(map(len, secrets)) < SHORTEST:
        raise ConfigError(f"{setting}: a secret in {path} is shorter than {SHORTEST} bytes")
    return secrets


def read_password(path: Path, setting: str) -> str:
    """
    The first secret of a file, as text.

    :param setting: that names the file.
    :raises ConfigError: there is none, everybody may read it, or it is no text.
    """
    try:
        return read_secrets(path, setting)[0].decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{setting}: the secret in {path} is no text in UTF-8") from None


def read_tokens(path: Path) -> dict[str, bytes]:
    """
    Name and token of each line. A token is 256 bits, in hex; `#` begins a comment.

    :raises ConfigError: it cannot be read, others may read it, or a line is not one of these; no token is in the text.
    """
    try:
        mode, lines = path.stat().st_mode, path.read_text("utf-8", "replace").splitlines()
    except OSError as problem:
        raise ConfigError(f"{path}: {(problem.strerror or str(problem)).lower()}") from None
    if mode & 0o077:
        raise ConfigError(f"others may read {path}: chmod 600 it")
    found: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        matched = _TOKEN.fullmatch(line.strip())
        if matched is None:
            raise ConfigError(f"{path}, line {number}: it takes a name and a token of 64 hex digits")
        if matched[1] in found:
            raise ConfigError(f"{path}, line {number}: {matched[1]} has a token already")
        found[matched[1]] = bytes.fromhex(matched[2])
    if not found:
        raise ConfigError(f"there is no token in {path}")
    return found


def folder_of(path: str) -> str:
    """The folder of the one user who may sign slots at this path, as ~NAME; "" for all other paths."""
    folder, slash, _ = path.partition("/")
    return folder if slash and folder.startswith(FOLDER) else ""


class Keys:
    """Which secrets may sign a slot for a path: a user's in his folder, those of the network elsewhere."""

    def __init__(self, shared: Sequence[bytes], tokens: Mapping[str, bytes]) -> None:
        self.shared, self._tokens = tuple(shared), dict(tokens)
        self._nobodys = secrets.token_bytes(32)  # a name without a token takes the time of one with a token

    def of(self, path: str) -> tuple[bytes, ...]:
        """Those that are good for a slot at this path."""
        folder = folder_of(path)
        if not (self._tokens and folder):
            return self.shared
        return (self._tokens.get(folder.removeprefix(FOLDER), self._nobodys),)
