"""The secrets that are shared with the XMPP server."""

from __future__ import annotations

from pathlib import Path

from morphnet.errors import ConfigError

SHORTEST = 8  # bytes


def read_secrets(path: Path) -> tuple[bytes, ...]:
    """
    One a line, the one in use first; the others are good while it is replaced.

    :raises ConfigError: there is none, or everybody may read it.
    """
    try:
        mode, text = path.stat().st_mode, path.read_bytes()
    except OSError as problem:
        raise ConfigError(f"secret_file: {path}: {(problem.strerror or str(problem)).lower()}") from None
    if mode & 0o007:
        raise ConfigError(f"secret_file: everybody may read {path}: chmod 600 it")
    secrets = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not secrets:
        raise ConfigError(f"secret_file: there is no secret in {path}")
    if min(map(len, secrets)) < SHORTEST:
        raise ConfigError(f"secret_file: a secret in {path} is shorter than {SHORTEST} bytes")
    return secrets
