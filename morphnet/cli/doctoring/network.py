"""Ways out, names, the server's port, and the firewall of a gateway."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from morphnet.cli.doctoring.checks import Check, Fault, Patient
from morphnet.cli.running import Role
from morphnet.config.roles import CONTROL_PORT, ClientConfig, RelayConfig, ServerConfig
from morphnet.host.dns import RESOLV_CONF, asked_beneath, nameservers
from morphnet.host.firewall import obstacles
from morphnet.host.outside import outside, overlapping
from morphnet.host.uplinks import Uplink, uplinks_of
from morphnet.pki.names import split_address

PATIENCE = 5.0  # seconds for a name, and for a server to take a connection
LEAST_MTU = 1280  # bytes, RFC 8200 section 5
_SHARED_SPACE = ipaddress.ip_network("100.64.0.0/10")  # of a provider's own NAT, RFC 6598
_FORWARDING = "net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"
_WORLD = "198.51.100.1"  # any address outside: one for documentation, RFC 5737


def _client(patient: Patient) -> Iterator[ClientConfig]:
    for role in patient.of("client"):
        assert isinstance(role.config, ClientConfig)  # of that role
        yield role.config


def _server(patient: Patient) -> Iterator[ServerConfig]:
    for role in patient.of("server"):
        assert isinstance(role.config, ServerConfig)  # of that role
        yield role.config


def uplinks(patient: Patient) -> list[Uplink]:
    """The ways out that what is set up here uses."""
    found = [uplinks_of(patient.facts, each.uplinks, {*each.exclude, each.tun}) for each in _client(patient)]
    return found[0] if found else uplinks_of(patient.facts, (), {each.tun for each in _server(patient)})


def ways_out(patient: Patient) -> Iterable[Fault]:
    """A device has an address and a default route."""
    if not uplinks(patient):
        yield Fault("no network device has an address and a default route", "connect this machine to a network")
    there = {link.name: link for link in patient.facts.links}
    for config in _client(patient):
        for name in config.uplinks:
            if name not in there:
                cure = "morphnet set uplinks NAMES, or '' for every device with a way out"
                yield Fault(f"the settings name the uplink {name}, and there is no such device", cure, grave=False)


def carrier(patient: Patient) -> Iterable[Fault]:
    """Devices that may be uplinks can carry IPv6's least packet, and those with an address are up."""
    names = {each.name for each in uplinks(patient)}
    for link in patient.facts.links:
        if link.name in names and link.mtu < LEAST_MTU:
            text = f"{link.name} carries {link.mtu} bytes at most: IPv6 does not pass, and headers eat the rest"
            yield Fault(text, f"ip link set {link.name} mtu 1500", grave=False)


def hosts(patient: Patient) -> dict[str, int]:
    """Every host that is called, with the port."""
    found: dict[str, int] = {}
    for config in _client(patient):
        for each in config.all_servers():
            host, port = split_address(each, CONTROL_PORT)
            found.setdefault(host, port)
    return found


def _looked_up(host: str) -> str:
    """An address; or the reason why there is none, after a colon."""
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as trouble:
        return f":{trouble.strerror or trouble}"


def names(patient: Patient) -> Iterable[Fault]:
    """The server's name leads to an address."""
    called = list(hosts(patient))
    pool = ThreadPoolExecutor(max(1, len(called)))
    asked = [(host, pool.submit(_looked_up, host)) for host in called]
    for host, answer in asked:
        try:
            said = answer.result(PATIENCE)
        except TimeoutError:
            said = ":no answer"
        if said.startswith(":"):
            cure = f"see to the name servers in {RESOLV_CONF}, or give the server by its address: morphnet set server"
            yield Fault(f"the name {host} leads nowhere ({said[1:]})", cure)
    pool.shutdown(wait=False, cancel_futures=True)


def reached(patient: Patient) -> Iterable[Fault]:
    """The server's control port takes a connection."""
    for host, port in hosts(patient).items():
        try:
            socket.create_connection((host, port), PATIENCE).close()
        except socket.gaierror:
            continue  # said above
        except OSError as trouble:
            why = "no answer" if isinstance(trouble, TimeoutError) else trouble.strerror or str(trouble)
            cure = f"is the server up, and TCP {port} open in its firewall? In a hotel see docs/away.md"
            yield Fault(f"TCP {port} of {host} is not reached ({why})", cure)


def leaks(patient: Patient) -> Iterable[Fault]:
    """Where all goes through the tunnel names are asked through it too."""
    for role in patient.of("client"):
        assert isinstance(role.config, ClientConfig)  # of that role
        picture = patient.picture(role)
        if picture is None or picture.traffic != "tunnel" or patient.kernel.way_to(_WORLD) != role.config.tun:
            continue
        content = patient.kernel.file(RESOLV_CONF).content
        for server in (*nameservers(content), *asked_beneath(content)):
            if not ipaddress.ip_address(server).is_loopback and patient.kernel.way_to(server) != role.config.tun:
                text = f"names are asked past the tunnel, at {server}: that network sees where this machine goes"
                yield Fault(text, "on the gateway: morphnet set dns 9.9.9.9, which it asks then", grave=False)


def alike(patient: Patient) -> Iterable[Fault]:
    """No local network has the addresses of the inner one."""
    for config in _server(patient):
        names = [each.name for each in uplinks(patient)]
        near = outside(patient.facts, names, 0, {config.tun})
        for network, inner in overlapping(near, filter(None, (config.pool4, config.pool6))):
            text = f"the network {network.prefix} at {network.device} has addresses of the inner one, {inner}"
            yield Fault(text, "choose another: pool4, pool6 in server.toml")


def firewall(patient: Patient) -> Iterable[Fault]:
    """Nothing drops what a gateway forwards."""
    for config in _server(patient):
        pools = [each for each in (config.pool4, config.pool6) if each]
        seen = set[str]()
        for each in obstacles(patient.kernel, config.tun, pools) if config.nat else ():
            if each.cure not in seen:
                seen.add(each.cure)
                text = f"{each.where} drops what is forwarded for clients: they reach this machine, and nothing beyond"
                yield Fault(text, each.cure)


def forwarding(patient: Patient) -> Iterable[Fault]:
    """A gateway that runs forwards."""
    for role in patient.of("server"):
        assert isinstance(role.config, ServerConfig)  # of that role
        if not patient.runs(role) or not role.config.nat:
            continue
        for pool, name in (
            (role.config.pool4, "net/ipv4/ip_forward"),
            (role.config.pool6, "net/ipv6/conf/all/forwarding"),
        ):
            if pool and patient.kernel.sysctl(name) != "1":
                text = f"{name.replace('/', '.')} is off, though the server runs: somebody has changed it"
                yield Fault(text, f"sysctl -w {name.replace('/', '.')}=1, and find out who turns it off")


def open_ports(patient: Patient) -> Iterable[Fault]:
    """The ports of a server that does not run are free for it."""
    for role in patient.of("server", "relay"):
        assert isinstance(role.config, ServerConfig | RelayConfig)  # of these roles
        if patient.runs(role) or beside_server(patient, role):
            continue
        kinds = [(socket.SOCK_STREAM, "TCP", role.config.control_port)]
        if isinstance(role.config, ServerConfig):
            kinds += [
                (socket.SOCK_DGRAM, "UDP", role.config.data_port),
                (socket.SOCK_STREAM, "TCP", role.config.stream_port),
            ]
        else:
            kinds += [(socket.SOCK_STREAM, "TCP", role.config.relay_port)]
        yield from (_taken(role.name, *each) for each in kinds if each[2] and not _is_free(each[0], each[2]))


def beside_server(patient: Patient, role: Role) -> bool:
    """Whether that is a relay as `init` writes it, at the port of a server that runs: it is not meant to run too."""
    if not isinstance(role.config, RelayConfig):
        return False
    serving = [each.config for each in patient.of("server") if patient.runs(each)]
    return any(isinstance(each, ServerConfig) and each.control_port == role.config.control_port for each in serving)


def _taken(role: str, kind: int, name: str, port: int) -> Fault:
    listing = "ss -ltnp" if kind == socket.SOCK_STREAM else "ss -lunp"
    return Fault(f"{name} {port} is taken by another program, and the {role} wants it", f"{listing} 'sport = {port}'")


def _is_free(kind: int, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as door:
        if kind == socket.SOCK_STREAM:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind(("0.0.0.0", port))
        except PermissionError:
            return True  # a port below 1024, and we are nobody: that is for the service to see
        except OSError:
            return False
    return True


def public(patient: Patient) -> Iterable[Fault]:
    """A machine that others call has an address that they can call."""
    own = [
        ipaddress.ip_address(address) for each in uplinks(patient) for address in (*each.addresses4, *each.addresses6)
    ]
    if not own or any(each.is_global for each in own):
        return
    shared = any(each.version == 4 and each in _SHARED_SPACE for each in own)
    where = "behind its provider's NAT: nobody can call it" if shared else "behind a router"
    cure = (
        "put the gateway on a machine with a public address, and let this one join"
        if shared
        else "forward its TCP and UDP ports there to this machine, as docs/quickstart.md names them"
    )
    yield Fault(f"this machine is {where}", cure, grave=False)


CHECKS = (
    Check("there is a way out", ways_out, ("client", "server", "relay")),
    Check("every uplink carries whole packets", carrier, ("client", "server", "relay")),
    Check("the server's name leads to an address", names, ("client",)),
    Check("the server's control port answers", reached, ("client",)),
    Check("names are asked through the tunnel", leaks, ("client",)),
    Check("the inner network is no local one", alike, ("server",)),
    Check("no firewall here drops what is forwarded", firewall, ("server",)),
    Check("packets are forwarded", forwarding, ("server",)),
    Check("the server's ports are free for it", open_ports, ("server", "relay")),
    Check("others can call this machine", public, ("server", "relay")),
)
