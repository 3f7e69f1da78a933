"""
The password of a home, as the home keeps it: stretched, so that whoever steals the file still has to guess.

The browser stretches what is typed in the same way; what comes of it is what both prove to each other (SPAKE2).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from morphnet.durable import write_over
from morphnet.errors import ConfigError
from morphnet.wire.messages.home.calls import from_text, to_text

ROUNDS = 600_000  # of PBKDF2 with SHA-256, as OWASP has it since 2023
LEAST = 10  # characters
FILE = "password"


def stretch(password: str, home: str) -> bytes:
    """
    32 bytes.

    :param home: the home's key: the same password is something else at another home.
    """
    salt = b"morphnet home password\0" + home.encode()
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ROUNDS)


def long_enough(password: str) -> str:
    """
    The same.

    :raises ConfigError: it is too short.
    """
    if len(password) < LEAST:
        raise ConfigError(f"a password has at least {LEAST} characters")
    return password


def write(directory: Path, password: str, home: str) -> None:
    """
    Keep it, in the place of an older one.

    :raises ConfigError: it is too short.
    """
    stretched = stretch(long_enough(password), home)
    write_over(directory / FILE, to_text(stretched).encode() + b"\n", mode=0o600)


def read(directory: Path) -> bytes:
    """
    What was kept.

    :raises ConfigError: nothing was.
    """
    try:
        kept = from_text((directory / FILE).read_text().strip())
    except (OSError, ValueError):
        kept = b""
    if len(kept) != 32:
        raise ConfigError(f"{directory / FILE} is missing or damaged: run `morphnet home password`")
    return kept
