"""What a home is known by, and the invitation that it may still need: files in its state_dir."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from morphnet.errors import ConfigError
from morphnet.wire.messages.home.calls import from_text, to_text

KEY, INVITE = "home.key", "invite"  # names in state_dir


def read_identity(state_dir: Path) -> Ed25519PrivateKey:
    """
    The home's key.

    :raises ConfigError: it was not made yet.
    """
    try:
        return Ed25519PrivateKey.from_private_bytes(from_text((state_dir / KEY).read_text().strip()))
    except (OSError, ValueError):
        raise ConfigError(f"{state_dir / KEY} is missing or damaged: run `morphnet home init`") from None


def name_of(identity: Ed25519PrivateKey) -> str:
    """Its public key, as everybody knows it."""
    return to_text(identity.public_key().public_bytes_raw())


def link(page: str, home: str) -> str:
    """What a browser opens: what stands behind # is not told to whoever serves the page."""
    return f"{page.rstrip('/')}/#{home}"
