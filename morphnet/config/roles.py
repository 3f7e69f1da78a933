"""
One frozen dataclass per role; its defaults are the product's defaults. See `morphnet.config.file` for TOML.

Beside each field stands what it means, and what makes a value wrong beyond its type: `choices`, `check`, and `least`
for a number that may be 0; all others are greater.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from morphnet.config import checks
from morphnet.config.accounting import AccountingConfig
from morphnet.config.balance import MODE, BalanceConfig
from morphnet.config.carry import CarryConfig, entries_of_tables, entries_wrong
from morphnet.config.legacy import LEGACY_KEY, LEGACY_LISTEN, LEGACY_SERVER, LegacyConfig
from morphnet.config.manhole import ManholeConfig
from morphnet.config.mesh import MeshConfig
from morphnet.config.names import AskedNames, NamesConfig, dns_wrong, relays_wrong
from morphnet.config.networks import ACCEPT_NETWORKS, ADVERTISE, ADVERTISE_ROUTED, FORWARD
from morphnet.config.shapes import SHAPE, SHAPE_RETRY, SNI
from morphnet.config.uplinks import POLICIES, UplinkPolicy, policy
from morphnet.config.web import WEB_PORT, WEB_URL
from morphnet.config.wireguard import WireGuardConfig

SCHEDULERS = ("bond", "flow", "redundant", "best")
FORMATS = ("compact", "seed")
CONTROL_PORT = 8443  # TCP, TLS 1.3
DATA_PORT = 8000  # UDP
RELAY_PORT = 443  # TCP, WebSocket in TLS 1.3: what gets out where nothing else does
ECHO_PORT = 3478  # UDP


_KNOCK = {
    "help": "require, or allow callers that do not show they know the CA: nodes of before; they, and everybody"
    " else, then see our certificate",
    "choices": ("require", "allow"),
}


@dataclass(frozen=True, slots=True)
class Tuning:
    """The data plane's settings, the same on both sides."""

    scheduler: str = field(default="bond", metadata={"help": "bond, flow, redundant or best", "choices": SCHEDULERS})
    reorder_ms: float = field(default=50.0, metadata={"help": "longest wait for a missing packet, milliseconds"})
    reorder_tcp_ms: float = field(
        default=250.0,
        metadata={
            "least": 0,
            "help": "the same for TCP's data, while what was lost is sent again (0: it is not), milliseconds",
        },
    )
    reorder_packets: int = field(default=4096, metadata={"help": "most packets held back per session"})
    reorder_bytes: int = field(default=8 << 20, metadata={"help": "most bytes held back per session"})
    resend: bool = field(default=True, metadata={"help": "send again what was in flight on a path that fell silent"})
    resend_bytes: int = field(default=8 << 20, metadata={"help": "most bytes kept for that per session"})
    queue_ms: float = field(
        default=50.0,
        metadata={"help": "queue for a path: drops begin at 0.4 of it, nothing waits four times as long; milliseconds"},
    )
    compression: str = field(default="off", metadata={"help": "off, zstd or gzip", "choices": ("off", "zstd", "gzip")})
    framing: str = field(
        default="compact",
        metadata={
            "help": "compact, 40 bytes a datagram, or seed, 66; a peer that knows only the latter gets it",
            "choices": FORMATS,
        },
    )
    rekey_seconds: float = field(default=120.0, metadata={"help": "a new key at least this often, seconds"})
    rekey_packets: int = field(
        default=1 << 22,
        metadata={"check": checks.rekey_packets, "help": "a new key after this many packets (at most 2^23)"},
    )
    forgery_limit: int = field(
        default=1 << 52,
        metadata={"help": "close a session after this many forged packets (2^52: the AES-GCM bound of RFC 9001)"},
    )
    heartbeat_s: float = field(default=5.0, metadata={"help": "seconds between heartbeats on an idle path"})
    mtu: int = field(
        default=1400,
        metadata={"check": checks.mtu, "help": "inner MTU, bytes (lowered by itself where a path needs it)"},
    )

    @property
    def repair_ms(self) -> float:
        """Milliseconds that data of TCP waits for what is sent again; 0 when nothing is."""
        return self.reorder_tcp_ms if self.resend else 0.0


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """`twistd morph-relay`."""

    name: str = field(default="", metadata={"check": checks.name, "help": "this relay's name, as in its certificate"})
    listen: tuple[str, ...] = field(
        default=("0.0.0.0", "::"), metadata={"check": checks.some_addresses, "help": "addresses to serve on"}
    )
    relay_port: int = field(default=RELAY_PORT, metadata={"check": checks.port, "help": "TCP port of the WebSocket"})
    proxy: bool = field(
        default=False,
        metadata={"help": "a proxy here speaks TLS on relay_port: serve it on loopback, see docs/peers.md"},
    )
    proxy_port: int = field(
        default=8080, metadata={"check": checks.port, "help": "TCP port on loopback for that proxy"}
    )
    echo_port: int = field(
        default=ECHO_PORT,
        metadata={"check": checks.port, "help": "UDP port of the echo; the next one is taken as well"},
    )
    control_port: int = field(
        default=CONTROL_PORT,
        metadata={"check": checks.port, "help": "TCP port for `morphnet join`, where the CA's key is"},
    )
    announce: tuple[str, ...] = field(
        default=(),
        metadata={
            "check": checks.servers,
            "help": "relays that those who join here shall use; none: this one, by its name",
        },
    )
    enrol: bool = field(default=True, metadata={"help": "take in invitations, if the CA's key is here"})
    renew_at: str = field(
        default="",
        metadata={
            "help": "HOST or HOST:PORT of the control port where the CA is: it renews this relay's certificate, and its"
            " nodes'; not needed where the CA's key is"
        },
    )
    knock: str = field(default="require", metadata=_KNOCK)
    trust: tuple[str, ...] = field(
        default=(), metadata={"help": "files with the CAs of other networks that may meet here, each for itself"}
    )
    state_dir: Path = field(default=Path("/var/lib/morphnet"), metadata={"help": "database of those who joined here"})
    run_dir: Path = field(default=Path("/run/morphnet-relay"), metadata={"help": "sockets of the running process"})
    pki_dir: Path = field(default=Path("/etc/morphnet/pki"), metadata={"help": "CA and certificates"})
    pool4: str = field(
        default="10.73.0.0/24",
        metadata={"check": checks.pool(4, 30), "help": "inner IPv4 addresses of those who join here"},
    )
    pool6: str = field(
        default="fd73::/64",
        metadata={"check": checks.pool(6, 126), "help": "inner IPv6 addresses of those who join here"},
    )
    max_nodes: int = field(default=20000, metadata={"help": "more nodes than this are turned away"})
    node_rate: float = field(
        default=12.5e6, metadata={"help": "bytes a second that one node may have forwarded; more is dropped"}
    )
    redis_url: str = field(
        default="",
        repr=False,  # there may be a password in it
        metadata={
            "check": checks.redis,
            "help": "Redis through which several relays share their guests, like redis://HOST; '' for one alone",
        },
    )
    manhole: ManholeConfig = field(default_factory=ManholeConfig)


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """`twistd morph-server`."""

    name: str = field(
        default="",
        metadata={"check": checks.name, "help": "this server's name, as in its certificate and as clients ask for it"},
    )
    listen: tuple[str, ...] = field(
        default=("0.0.0.0", "::"), metadata={"check": checks.some_addresses, "help": "addresses to serve on"}
    )
    control_port: int = field(
        default=CONTROL_PORT, metadata={"check": checks.port, "help": "TCP port of the control link"}
    )
    data_port: int = field(default=DATA_PORT, metadata={"check": checks.port, "help": "UDP port of the data plane"})
    streams: bool = field(
        default=True, metadata={"help": "let clients come by TCP where UDP does not pass, at the control port too"}
    )
    stream_port: int = field(
        default=0,
        metadata={
            "least": 0,
            "check": checks.port_or_any,
            "help": "one more TCP port for that, and for control links: 443 gets out where little else does; 0: none",
        },
    )
    proxy: bool = field(
        default=False,
        metadata={"help": "a web server here speaks TLS on stream_port: serve it on loopback, see docs/operations.md"},
    )
    proxy_port: int = field(
        default=8081, metadata={"check": checks.port, "help": "TCP port on loopback for that web server"}
    )
    web_port: int = field(default=0, metadata=WEB_PORT)
    knock: str = field(default="require", metadata=_KNOCK)
    state_dir: Path = field(default=Path("/var/lib/morphnet"), metadata={"help": "database and journal"})
    run_dir: Path = field(default=Path("/run/morphnet"), metadata={"help": "sockets of the running process"})
    pki_dir: Path = field(default=Path("/etc/morphnet/pki"), metadata={"help": "CA and certificates"})
    tun: str = field(default="morph0", metadata={"check": checks.interface, "help": "name of the TUN device"})
    pool4: str = field(
        default="10.73.0.0/24",
        metadata={"check": checks.pool(4, 30), "help": "inner IPv4 addresses; the first is the server's; '' for none"},
    )
    pool6: str = field(
        default="fd73::/64",
        metadata={"check": checks.pool(6, 126), "help": "inner IPv6 addresses; the first is the server's; '' for none"},
    )
    nat: bool = field(default=True, metadata={"help": "let clients reach the world through this host"})
    reachable_from: tuple[str, ...] = field(
        default=(),
        metadata={
            "check": checks.networks,
            "help": "networks outside whose machines may open connections to clients; none: nobody",
        },
    )
    forward: tuple[str, ...] = field(default=(), metadata=FORWARD)
    dns: tuple[str, ...] = field(
        default=(),
        metadata={
            "check": dns_wrong,
            "help": "DNS servers for clients: this gateway asks them in their place, or with names.serve = false tells"
            " them; none: those of this machine",
        },
    )
    relays: tuple[str, ...] = field(
        default=(),
        metadata={"check": relays_wrong, "help": "HOST or HOST:PORT of relays where those who join here shall meet"},
    )
    max_sessions: int = field(default=1000, metadata={"help": "more clients than this are refused"})
    session_timeout_s: float = field(
        default=3600.0, metadata={"help": "forget a session silent for this long, seconds"}
    )
    tuning: Tuning = field(default_factory=Tuning)
    carry: CarryConfig = field(default_factory=CarryConfig)
    manhole: ManholeConfig = field(default_factory=ManholeConfig)
    legacy: LegacyConfig = field(default_factory=LegacyConfig)
    names: NamesConfig = field(default_factory=NamesConfig)
    accounting: AccountingConfig = field(default_factory=AccountingConfig)
    wireguard: WireGuardConfig = field(default_factory=WireGuardConfig)

    def stream_ports(self) -> tuple[int, ...]:
        """TCP ports where clients may open streams, the one that gets through most places first."""
        ports = dict.fromkeys(port for port in (self.stream_port, self.control_port) if port)
        return tuple(ports) if self.streams else ()


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """`twistd morph-client`."""

    server: str = field(
        default="", metadata={"check": checks.server_or_none, "help": "HOST or HOST:PORT of the server's control link"}
    )
    servers: tuple[str, ...] = field(
        default=(),
        metadata={
            "check": checks.servers,
            "help": "several instead of one, each as in `server`: the nearest is used, the next when it is gone",
        },
    )
    server_name: str = field(
        default="", metadata={"check": checks.name, "help": "name that its certificate must carry; '' for HOST"}
    )
    name: str = field(default="", metadata={"check": checks.name, "help": "this machine's name, as in its certificate"})
    state_dir: Path = field(default=Path("/var/lib/morphnet"), metadata={"help": "database and journal"})
    run_dir: Path = field(default=Path("/run/morphnet"), metadata={"help": "sockets of the running process"})
    pki_dir: Path = field(
        default=Path("/etc/morphnet/pki"), metadata={"help": "CA certificate, own certificate and key"}
    )
    tun: str = field(
        default="morph0",
        metadata={
            "check": checks.interface_or_none,
            "help": "name of the TUN device; '' for none: `carry` alone works, and the machine stays as it is",
        },
    )
    carry: tuple[str, ...] = field(
        default=(),
        metadata={
            "check": entries_wrong,
            "reads": entries_of_tables,
            "help": "ADDRESS:PORT=SERVICE: UDP from there goes to that service of the server; or [[carry]] listen, to",
        },
    )
    uplinks: tuple[str, ...] = field(
        default=(),
        metadata={
            "check": checks.interfaces,
            "help": "interfaces to use; none means every one with a way out",
            "tables": ("uplink_policies",),
        },
    )
    uplink_policies: tuple[str, ...] = field(default=(), metadata=POLICIES)
    exclude: tuple[str, ...] = field(
        default=(), metadata={"check": checks.interfaces, "help": "interfaces never to use"}
    )
    routes: tuple[str, ...] = field(
        default=("default",),
        metadata={"check": checks.prefixes, "help": "'default', or prefixes to send through the tunnel (split tunnel)"},
    )
    local: str = field(
        default="allow",
        metadata={
            "help": "allow or deny the local network (printers and the like) beside a tunnel that takes everything",
            "choices": ("allow", "deny"),
        },
    )
    strict: bool = field(
        default=False,
        metadata={
            "help": "let nothing of `routes` leave in another way than through the tunnel, from the start to the stop"
        },
    )
    advertise: tuple[str, ...] = field(default=(), metadata=ADVERTISE)
    advertise_routed: bool = field(default=False, metadata=ADVERTISE_ROUTED)
    accept_networks: bool = field(default=False, metadata=ACCEPT_NETWORKS)
    dns: bool = field(
        default=True, metadata={"help": "use the DNS servers that the server names, where all goes through the tunnel"}
    )
    dns_split: bool = field(
        default=False, metadata={"help": "use them with a split tunnel too: they are asked for every name"}
    )
    shape: str = field(default="plain", metadata=SHAPE)
    shape_retry_s: float = field(default=600.0, metadata=SHAPE_RETRY)
    shape_sni: str = field(default="", metadata=SNI)
    shape_web: str = field(default="", metadata=WEB_URL)
    streams: bool = field(default=True, metadata={"help": "reach the server by TCP where UDP does not pass"})
    mss_clamp: bool = field(default=True, metadata={"help": "clamp the MSS of TCP that is forwarded into the tunnel"})
    mode: str = field(default="tunnel", metadata=MODE)
    legacy: str = field(default="", metadata=LEGACY_SERVER)
    legacy_key: Path = field(default=Path("/etc/morphnet/legacy.key"), metadata=LEGACY_KEY)
    legacy_listen: str = field(default="127.0.0.1:51821", metadata=LEGACY_LISTEN)
    tuning: Tuning = field(default_factory=Tuning)
    mesh: MeshConfig = field(default_factory=MeshConfig)
    names: AskedNames = field(default_factory=AskedNames)
    balance: BalanceConfig = field(default_factory=BalanceConfig)
    manhole: ManholeConfig = field(default_factory=ManholeConfig)

    def policies(self) -> tuple[UplinkPolicy, ...]:
        """How uplinks may be used, as [uplinks.NAME] says."""
        return tuple(map(policy, self.uplink_policies))

    def all_servers(self) -> tuple[str, ...]:
        """HOST or HOST:PORT of each server that may be called; none where there are only peers."""
        return self.servers or ((self.server,) if self.server else ())
