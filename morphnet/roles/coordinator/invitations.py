"""Who may register: homes that were invited; and what an invitation says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from morphnet.errors import ConfigError, Refused
from morphnet.store.homes import HomesLedger
from morphnet.wire.messages.home.calls import from_text, to_text

START = "morphnethome1:"
KEY = "coordinator.key"  # its name in state_dir


@dataclass(frozen=True, slots=True)
class Invitation:
    """All that a home needs to know."""

    coordinator: str  # HOST:PORT, UDP
    key: str  # public, in base64url
    page: str  # https://...
    token: str  # good once

    def line(self) -> str:
        """To be copied."""
        return START + to_text(json.dumps(asdict(self), separators=(",", ":")).encode())

    @classmethod
    def read(cls, line: str) -> Invitation:
        """
        What `line` made.

        :raises ConfigError: it is none.
        """
        try:
            if not line.startswith(START):
                raise ValueError
            values = json.loads(from_text(line.removeprefix(START)))
            found = cls(**values)
            if not all(isinstance(each, str) for each in values.values()) or len(from_text(found.key)) != 32:
                raise ValueError
        except (ValueError, TypeError):
            raise ConfigError("that is no invitation: `morphnet coordinator invite` prints one") from None
        return found


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
