"""Settings for clients and servers of the original morphProtocol."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path

from morphnet.config import checks

CONTROL_PORT = 12301  # UDP, the original's


def address4(value: str) -> str | None:
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return "must be an IPv4 address"
    return None


def place(value: str) -> str | None:
    """HOST:PORT, or "" for none."""
    if not value:
        return None
    return checks.server(value) if ":" in value else "must be HOST:PORT"


def server_and_user(value: str) -> str | None:
    """HOST:PORT:USER, or "" for none."""
    server, _, user = value.strip().rpartition(":")
    if not value or (server and user and len(user) <= 256 and user.isprintable() and place(server) is None):
        return None
    return "must be HOST:PORT:USER"


def local_place(value: str) -> str | None:
    """An IPv4 address of loopback and a port."""
    if value and not re.fullmatch(r"127\.\d{1,3}\.\d{1,3}\.\d{1,3}:\d{1,5}", value):
        return "must be ADDRESS:PORT on loopback, like 127.0.0.1:51821"
    return place(value)


def split_place(value: str) -> tuple[str, int]:
    """Host and port of HOST:PORT, which was checked."""
    host, _, port = value.strip().rpartition(":")
    return host, int(port)


@dataclass(frozen=True, slots=True)
class MorphProtocolConfig:
    """Clients of the original, on a server."""

    enabled: bool = field(
        default=False,
        metadata={"help": "serve clients of the original morphProtocol; what they send is hidden, not protected"},
    )
    listen: str = field(default="0.0.0.0", metadata={"check": address4, "help": "IPv4 address to serve them on"})
    port: int = field(default=CONTROL_PORT, metadata={"check": checks.port, "help": "UDP port of their handshakes"})
    first_port: int = field(
        default=0,
        metadata={
            "least": 0,
            "check": checks.port_or_any,
            "help": "first of as many UDP ports as there may be sessions, for a firewall; 0: any",
        },
    )
    to: str = field(
        default="127.0.0.1:51820",
        metadata={"check": place, "help": "ADDRESS:PORT of the WireGuard that they reach"},
    )
    key_file: Path = field(
        default=Path("/var/lib/morphnet/legacy.key"), metadata={"help": "the key string for clients; made when missing"}
    )
    max_sessions: int = field(default=256, metadata={"help": "more clients than this are refused"})
    timeout_s: float = field(default=1200.0, metadata={"help": "end a session silent for this long, seconds"})
    health: str = field(
        default="",
        metadata={"check": local_place, "help": "127.0.0.1:PORT for GET /health and /metrics; '' for none"},
    )


@dataclass(frozen=True, slots=True)
class LegacyConfig:
    """What there was before morphnet."""

    morphprotocol: MorphProtocolConfig = field(default_factory=MorphProtocolConfig)


# Of a client that uses a server of the original.
LEGACY_SERVER: dict[str, object] = {
    "check": server_and_user,
    "help": "HOST:PORT:USER of a server of the original morphProtocol: this client then carries WireGuard there, and"
    " does nothing else",
}
LEGACY_KEY: dict[str, object] = {"help": "file with the key string of that server"}
LEGACY_LISTEN: dict[str, object] = {"check": local_place, "help": "where the local WireGuard has its endpoint for that"}
