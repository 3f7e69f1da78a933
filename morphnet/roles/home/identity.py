"""What a home is known by, and the invitation that it may still need: files in its state_dir."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from morphnet.errors import ConfigError
from morphnet.rendezvous.home.registering import HomeKeys
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


def read_keys(state_dir: Path, coordinator: str) -> HomeKeys:
    """
    With what it registers.

    :param coordinator: its public key, as in the settings.
    :raises ConfigError: something is missing.
    """
    if not coordinator:
        raise ConfigError("'coordinator_key' is missing: run `morphnet home init`")
    try:
        invite = (state_dir / INVITE).read_text().strip()
    except OSError:
        invite = ""
    return HomeKeys(read_identity(state_dir), from_text(coordinator), invite)


def name_of(identity: Ed25519PrivateKey) -> str:
    """Its public key, as everybody knows it."""
    return to_text(identity.public_key().public_bytes_raw())


def link(page: str, home: str) -> str:
    """What a browser opens: what stands behind # is not told to whoever serves the page."""
    return f"{page.rstrip('/')}/#{home}"
