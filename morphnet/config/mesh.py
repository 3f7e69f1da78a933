"""The settings of a client for the other machines of its network."""

from __future__ import annotations

from dataclasses import dataclass, field

from morphnet.config import checks
from morphnet.config.networks import EXIT, EXIT_FOR, THROUGH


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """The other machines of the network, met through relays and then reached directly."""

    relays: tuple[str, ...] = field(
        default=(),
        metadata={"check": checks.servers, "help": "HOST or HOST:PORT of each relay; none: no peers, only the server"},
    )
    relay_pq: str = field(
        default="require",
        metadata={
            "help": "require, or allow relays whose TLS (a proxy's) has no post-quantum group; peers always have",
            "choices": ("require", "allow"),
        },
    )
    peers: tuple[str, ...] = field(
        default=("*",), metadata={"check": checks.names, "help": "names of the machines to meet; '*' for all"}
    )
    networks: tuple[str, ...] = field(
        default=("10.73.0.0/24", "fd73::/64"),
        metadata={"check": checks.prefixes, "help": "the inner networks that peers are in"},
    )
    through: tuple[str, ...] = field(default=(), metadata=THROUGH)
    exit: str = field(default="", metadata=EXIT)
    exit_for: tuple[str, ...] = field(default=(), metadata=EXIT_FOR)
    port: int = field(
        default=0,
        metadata={
            "least": 0,
            "check": checks.port_or_any,
            "help": "UDP port for direct ways; 0: any, another one on each uplink",
        },
    )
    streams: bool = field(default=True, metadata={"help": "reach peers by TCP where UDP does not pass"})
    stream_port: int = field(
        default=0,
        metadata={
            "least": 0,
            "check": checks.port_or_any,
            "help": "TCP port for that; 0: any, another one on each uplink",
        },
    )
    hosts: bool = field(default=True, metadata={"help": "let this machine know its peers by name (/etc/hosts)"})
    port_mapping: bool = field(
        default=True, metadata={"help": "ask the router at home to let peers in (PCP, NAT-PMP); it is not insisted on"}
    )
    ethernet: str = field(
        default="",
        metadata={
            "check": checks.interface_or_none,
            "help": "name of a TAP device that joins local networks (layer 2); '' for none",
        },
    )
    bridge: str = field(
        default="", metadata={"check": checks.interface_or_none, "help": "bridge to put the TAP device on; '' for none"}
    )
