"""
TURN servers for browsers that reach nobody directly, with names that are good for a while.

Source: RFC 8656; draft-uberti-behave-turn-rest-00, which coturn calls use-auth-secret.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from morphnet.config.home import TurnConfig
from morphnet.errors import ConfigError

LASTS = 12 * 3600  # seconds that a name is good


@dataclass(frozen=True, slots=True)
class TurnServers:
    """Those of a home; `urls` may be empty."""

    urls: Sequence[str]
    user: str  # "" when names are made of the secret
    secret: bytes

    @classmethod
    def read(cls, config: TurnConfig) -> TurnServers:
        """
        With the secret from its file.

        :raises ConfigError: it is missing.
        """
        if not config.urls:
            return cls((), "", b"")
        if not config.secret_file:
            raise ConfigError("turn: 'secret_file' is missing: what the server shares with us, or the user's password")
        try:
            secret = Path(config.secret_file).read_bytes().strip()
        except OSError as trouble:
            raise ConfigError(f"turn: {config.secret_file}: {trouble.strerror}") from None
        return cls(config.urls, config.user, secret)

    def of_session(self, session: str, now: float) -> list[dict[str, Any]]:
        """
        What a browser is told, as RTCPeerConnection takes it.

        :param now: Unix seconds.
        """
        if not self.urls:
            return []
        name = self.user or f"{int(now) + LASTS}:{session[:8]}"
        made = base64.b64encode(hmac.digest(self.secret, name.encode(), "sha1")).decode()
        return [{"urls": list(self.urls), "username": name, "credential": self.secret.decode() if self.user else made}]
