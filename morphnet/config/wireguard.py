"""The settings of a server for phones, and whatever else has the stock WireGuard and no morphnet."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from morphnet.config import checks

PORT = 51820  # UDP, as everybody writes it
# Bytes that WireGuard adds to a packet at most: its header and tag, UDP, IPv6. Over IPv4 it is 20 less.
OVERHEAD = 80
MTU = 1500 - OVERHEAD
_EXAMPLE = f"0.0.0.0:{PORT}"


def listen_wrong(value: str) -> str | None:
    """What is wrong with where WireGuard is to listen."""
    if not value:
        return None
    host, _, port = value.strip().rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"must be {_EXAMPLE}, or '' for none"
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        return f"must be {_EXAMPLE}, with a port from 1 to 65535"
    if not address.is_unspecified:
        return f"must be {_EXAMPLE}: WireGuard listens at every address of a machine, and its firewall says where not"
    return None


@dataclass(frozen=True, slots=True)
class WireGuardConfig:
    """WireGuard beside our own protocol."""

    listen: str = field(
        default="",
        metadata={
            "check": listen_wrong,
            "help": f"{_EXAMPLE}: let phones come by WireGuard, see docs/phones.md; at every address, whichever is"
            " written; '' for none",
        },
    )
    device: str = field(
        default="morphwg0", metadata={"check": checks.interface, "help": "name of the WireGuard device"}
    )
    phone_mtu: int = field(
        default=MTU,
        metadata={
            "check": checks.mtu,
            "help": "MTU inside of it, bytes: what the narrowest way to a phone takes, less 60, or 80 over IPv6",
        },
    )

    @property
    def port(self) -> int:
        """UDP port; 0 for none."""
        return int(self.listen.rpartition(":")[2]) if self.listen else 0
