"""What makes settings wrong together, though each is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from morphnet.config.checks import LEAST_MTU6
from morphnet.config.networks import forward, overlaps, through
from morphnet.config.roles import ClientConfig, RelayConfig, ServerConfig
from morphnet.config.web import WEB

if TYPE_CHECKING:
    from morphnet.config.home import CoordinatorConfig  # only who is one has loaded it

NOT_JOINED = (  # for who has neither configuration nor keys
    "this machine has not joined a network: on its server `morphnet invite NAME` prints a line, run `morphnet join"
    " LINE` here; `morphnet init` founds a network"
)


INSTEAD = {"server": "servers", "servers": "server"}  # of a client: one or the other


def check_whole(config: Any) -> tuple[str, str] | None:
    """What is wrong between settings: the key to point at, and the sentence."""
    if isinstance(config, ClientConfig) and config.mode == "balance":
        return _balancing(config)
    if isinstance(config, ClientConfig) and config.legacy and (config.all_servers() or config.mesh.relays):
        return "legacy", "'legacy' stands alone: a client of an original server has no other, and no peers"
    if isinstance(config, ClientConfig) and config.server and config.servers:
        return "servers", "'server' and 'servers' are both given: write one of them"
    if isinstance(config, ClientConfig) and not (config.all_servers() or config.mesh.relays or config.legacy):
        return (
            "server",
            "'server' is missing (HOST or HOST:PORT of the server's control link);"
            " write it into the configuration file, or give --server, or [mesh] relays for peers alone",
        )
    if isinstance(config, ClientConfig) and (wrong := _by_peers(config)):
        return wrong
    if isinstance(config, ClientConfig) and config.shape == WEB and not (config.shape_web and config.streams):
        return "shape_web", "shape 'web' needs 'shape_web', https://HOST/PATH at the web server, and 'streams'"
    if isinstance(config, ClientConfig) and config.shape != "plain" and config.tuning.framing == "seed":
        return "shape", f"'shape' is {config.shape!r}, which only framing 'compact' can wear: set one of them otherwise"
    if isinstance(config, ClientConfig) and not config.tun:
        return _without_tun(config)
    if isinstance(config, ServerConfig | RelayConfig):
        if not config.pool4 and not config.pool6:
            return "pool4", "'pool4' and 'pool6' are both empty: clients need an address of one kind"
        if isinstance(config, ServerConfig) and config.proxy and config.stream_port in (0, config.control_port):
            return "stream_port", "'proxy' needs 'stream_port', the TCP port where the web server speaks TLS, like 443"
        if isinstance(config, ServerConfig) and (taken := _own_port(config)):
            return "forward", f"'forward' has {taken}, a port that this server serves itself: take another one"
        if isinstance(config, ServerConfig) and config.accounting.tells_secrets():
            return (
                "accounting.webhook",
                "'webhook' would be told secrets in the clear: use https, or one on this machine",
            )
        if isinstance(config, ServerConfig) and config.pool6 and config.tuning.mtu < LEAST_MTU6:
            return "tuning.mtu", f"'mtu' must be at least {LEAST_MTU6} with IPv6 inside (or set pool6 = '')"
        if isinstance(config, ServerConfig) and config.wireguard.listen:
            return _wireguard(config)
    acme = getattr(config, "acme", None)  # a coordinator has that
    return _certificate(config) if acme is not None and acme.names else None


def _by_peers(config: ClientConfig) -> tuple[str, str] | None:
    """What peers are to be a way to."""
    if config.mesh.exit and config.all_servers():
        return "mesh.exit", "'exit' is for a machine without a server: all would go to two places"
    for _, network in map(through, config.mesh.through):
        if other := next((each for each in config.mesh.networks if overlaps(each, network)), ""):
            return "mesh.through", f"'through' has {network}, which overlaps {other}, the peers' own addresses"
    return None


def _certificate(config: CoordinatorConfig) -> tuple[str, str] | None:
    """Of a coordinator that gets its own."""
    if config.plain:
        return "plain", "'plain' and [acme] exclude each other: the proxy that speaks TLS has the certificate"
    if config.certificate or config.key:
        return "certificate", "'certificate' and [acme] are both given: write one of them"
    if config.redis_url:
        return (
            "redis_url",
            "'redis_url' and [acme] exclude each other: the CA would ask any coordinator of that name; get the"
            " certificate by a challenge in the DNS, and give each 'certificate' and 'key'",
        )
    if not config.acme.terms_agreed:
        return "acme.names", "[acme] needs terms_agreed = true: that you have read the CA's terms, and agree to them"
    if config.acme.port == config.port:
        return "acme.port", "'port' of the page and 'port' of [acme] are the same: HTTPS and HTTP need two ports"
    return None


def _without_tun(config: ClientConfig) -> tuple[str, str] | None:
    if not config.carry:
        return "tun", "'tun' is '' and 'carry' is empty: nothing would be carried; write one of them"
    if config.strict:
        return "strict", "'strict' needs a TUN device: without one no traffic of this machine goes through the tunnel"
    if config.advertise:
        return "advertise", "networks behind this machine need a TUN device: set 'tun', or leave 'advertise' empty"
    if config.mesh.relays:
        return "mesh.relays", "peers need a TUN device: set 'tun', or leave [mesh] relays empty"
    return None


def _own_port(config: ServerConfig) -> str:
    """A forwarded port that is ours; "" for none."""
    own = {("tcp", config.control_port), ("tcp", config.stream_port), ("udp", config.data_port)}
    door = config.manhole.address() if config.manhole.enabled else None
    own.add(("tcp", door[1] if door is not None else 0))
    own.add(("udp", config.legacy.morphprotocol.port) if config.legacy.morphprotocol.enabled else ("udp", 0))
    own.add(("udp", config.wireguard.port))
    return next((each.shown for each in map(forward, config.forward) if each[:2] in own), "")


def _wireguard(config: ServerConfig) -> tuple[str, str] | None:
    """Phones beside all else that a server has."""
    old = config.legacy.morphprotocol
    if config.wireguard.port in (config.data_port, old.port if old.enabled else 0):
        return "wireguard.listen", f"'listen' has UDP port {config.wireguard.port}, which is taken here: give another"
    if config.wireguard.device == config.tun:
        return "wireguard.device", f"'device' and 'tun' are both {config.tun!r}: give another name"
    if config.pool6 and config.wireguard.phone_mtu < LEAST_MTU6:
        return "wireguard.phone_mtu", f"'phone_mtu' must be at least {LEAST_MTU6} with IPv6 inside (or set pool6 = '')"
    return None


def _balancing(config: ClientConfig) -> tuple[str, str] | None:
    if config.all_servers() or config.mesh.relays or config.legacy or config.carry:
        return "mode", "'balance' stands alone: it has no server, no peers and nothing to carry; run a second client"
    return None
