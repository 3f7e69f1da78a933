"""Where Redis is, as one URL says it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from morphnet.errors import ConfigError

REDIS_PORT = 6379  # TCP

_REDIS = re.compile(
    r"(?:(?P<scheme>rediss?)|unix)://(?:(?P<user>[^:@/]*):(?P<password>[^@/]*)@)?"
    r"(?(scheme)(?P<host>[^\s:/@\[\]]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?/?|(?P<path>/[^?#]+))"
)


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """Where Redis is, and as whom to come."""

    host: str = ""
    port: int = REDIS_PORT
    path: str = ""  # of a unix socket, instead
    tls: bool = False
    user: str = ""
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"


def redis_url_of(url: str) -> RedisUrl:
    """
    What a URL says; the reason for which it is none never repeats it, since there may be a password in it.

    :raises ConfigError: it is no such URL.
    """
    found = _REDIS.fullmatch(url) if url.isprintable() else None
    port = int((found and found["port"]) or REDIS_PORT)
    if found is None or not 1 <= port <= 65535:
        raise ConfigError("must be redis://[[USER]:PASSWORD@]HOST[:PORT], rediss://... with TLS, or unix:///PATH")
    user, password = _spelled(found["user"]), _spelled(found["password"])
    if found["path"]:
        return RedisUrl(path=found["path"], user=user, password=password)
    return RedisUrl(found["host"].strip("[]"), port, "", found["scheme"] == "rediss", user, password)


def _spelled(text: str | None) -> str:
    """What a part of a URL stands for: %40 is @."""
    return re.sub("%([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), text or "")
