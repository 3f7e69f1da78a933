"""Who may register: homes that were invited."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from morphnet.errors import ConfigError, Refused
from morphnet.store.homes import HomesLedger
from morphnet.wire.messages.home.calls import from_text

KEY = "coordinator.key"  # its name in state_dir


def read_key(state_dir: Path) -> X25519PrivateKey:
    """
    What the coordinator is known by.

    :raises ConfigError: it was not made yet.
    """
    try:
        return X25519PrivateKey.from_private_bytes(from_text((state_dir / KEY).read_text().strip()))
    except (OSError, ValueError):
        raise ConfigError(f"{state_dir / KEY} is missing or damaged: run `morphnet coordinator init`") from None


class Invited:
    """
    A Gatekeeper with a ledger.

    :param wall: Unix seconds.
    :param open_to_all: nobody needs an invitation.
    """

    def __init__(self, ledger: HomesLedger, wall: Callable[[], float], *, open_to_all: bool) -> None:
        self._ledger, self._wall, self._open = ledger, wall, open_to_all

    def admit(self, home: str, invite: str) -> None:
        """:raises Refused: it was not invited."""
        if self._open or self._ledger.is_known(home):
            return
        if not invite or not self._ledger.take(home, invite, int(self._wall())):
            raise Refused("this home is not invited here: `morphnet coordinator invite` prints a line for it")
