"""Settings for home servers and browser clients of the original HomeChannel, at a coordinator."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from morphnet.config import checks

OLD_PORT = 8443  # TCP, the original's
_KEY = re.compile(r"[A-Za-z0-9+/]{40,400}={0,2}")


def _keys(value: tuple[str, ...]) -> str | None:
    return None if all(_KEY.fullmatch(each) for each in value) else "must hold public keys of servers, in base64"


@dataclass(frozen=True, slots=True)
class HomeChannelConfig:
    """The original, at a coordinator."""

    enabled: bool = field(
        default=False,
        metadata={
            "help": "serve home servers and browsers of the original HomeChannel: whoever logs in, and whoever has this"
            " coordinator, can guess at their passwords"
        },
    )
    port: int = field(
        default=OLD_PORT, metadata={"check": checks.port, "help": "TCP port for their browsers; as 'plain' says"}
    )
    homes: tuple[str, ...] = field(
        default=(),
        metadata={
            "check": _keys,
            "help": "public keys of the servers that may register, in base64; with 'open' all may",
        },
    )


def _coordinator_key(value: str) -> str | None:
    return None if not value or _KEY.fullmatch(value) else "must be the public key of the coordinator, in base64"


@dataclass(frozen=True, slots=True)
class HomeChannelServerConfig:
    """Browser clients of the original, at a home."""

    enabled: bool = field(
        default=False,
        metadata={
            "help": "let in browsers of the original HomeChannel, with a password that its coordinator, and whoever"
            " sees one answer to a challenge, can guess at"
        },
    )
    coordinator: str = field(default="", metadata={"check": checks.server, "help": "HOST:PORT of a coordinator, UDP"})
    coordinator_key: str = field(
        default="", metadata={"check": _coordinator_key, "help": "its public key: homechannel.pub without armour"}
    )
    password_file: str = field(default="", metadata={"help": "file with the password of those browsers"})
    app: str = field(
        default="", metadata={"help": "directory of the original's app 'files': manifest.json and its entry"}
    )


@dataclass(frozen=True, slots=True)
class OldBrowsersConfig:
    """What there was before morphnet."""

    homechannel: HomeChannelServerConfig = field(default_factory=HomeChannelServerConfig)


@dataclass(frozen=True, slots=True)
class OldHomesConfig:
    """What there was before morphnet."""

    homechannel: HomeChannelConfig = field(default_factory=HomeChannelConfig)
