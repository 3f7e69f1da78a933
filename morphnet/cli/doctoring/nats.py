"""What stands between this machine and the world: routers that translate, one behind the other, and how they do it."""

from __future__ import annotations

import ipaddress
import select
import socket
import struct
import time
from collections.abc import Iterable, Iterator

from morphnet.cli.doctoring.checks import Check, Fault, Patient
from morphnet.cli.doctoring.network import hosts, uplinks
from morphnet.config.mesh import MeshConfig
from morphnet.config.roles import ClientConfig
from morphnet.errors import HostError
from morphnet.status import NetcheckStatus, SocketStatus

HOPS = 2  # routers that are asked who they are: those that may be somebody's own
PATIENCE = 1.0  # seconds for all of them
_WORLD = "198.51.100.1"  # any address outside: one for documentation, RFC 5737; nothing that we send gets that far
_PORT = 33434  # of the first probe, as traceroute(8) has it
_NOT_OF_THE_WORLD = tuple(
    map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
)  # RFC 1918, and RFC 6598 for providers
_IP_RECVERR = 11  # linux/in.h
_ERROR = struct.Struct("=IBBBBII")  # struct sock_extended_err, linux/errqueue.h; who has sent it follows
_BY_ICMP, _TIME_EXCEEDED = 2, 11
_ROOM = 512  # bytes of what comes back
_NOT_TRIED = (
    "its server is of an earlier version, or is reached by a relay or a web server, or was asked a moment ago;"
    " ports below 1024 it does not try"
)
_WORDS = {
    "each": (
        "the NAT at {0} maps each destination to another port: peers behind one like it are reached by a relay alone",
        "have the router give a port (UPnP or NAT-PMP on: port_mapping), or forward one to this machine",
    ),
    "blocked": ("UDP does not pass at {0}: all goes by TCP there", "see docs/away.md"),
}


def routers(device: str, to: str = _WORLD) -> list[str]:
    """
    The addresses of the first routers by that device; "" for one that does not say.

    :raises OSError: nothing is sent that way.

    Source: RFC 1122 section 3.2.2.4 (time exceeded), ip(7) for IP_RECVERR.
    """
    doors = [_probe(device, to, ttl) for ttl in range(1, HOPS + 1)]
    answers = select.poll()
    for door in doors:
        answers.register(door, select.POLLERR)
    found, ends_at = dict.fromkeys(doors, ""), time.monotonic() + PATIENCE
    try:
        while not all(found.values()) and (left := ends_at - time.monotonic()) > 0:
            ready = {number for number, _ in answers.poll(left * 1000)}
            for door in doors:
                if door.fileno() in ready:
                    found[door] = _who(door)
                    answers.unregister(door)
        return list(found.values())
    finally:
        for door in doors:
            door.close()


def _probe(device: str, to: str, ttl: int) -> socket.socket:
    """A socket that has sent one datagram that far."""
    door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())  # past the tunnel
        door.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        door.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        door.connect((to, _PORT + ttl))
        door.send(b"morphnet")
    except OSError:
        door.close()
        raise
    return door


def _who(door: socket.socket) -> str:
    """Who has told that time was exceeded; "?" for any other answer."""
    try:
        _, told, _, _ = door.recvmsg(_ROOM, _ROOM, socket.MSG_ERRQUEUE)
    except OSError:
        return "?"
    for level, kind, data in told:
        if (level, kind) == (socket.IPPROTO_IP, _IP_RECVERR) and len(data) >= _ERROR.size + 8:
            _, origin, icmp, *_ = _ERROR.unpack_from(data)
            if (origin, icmp) == (_BY_ICMP, _TIME_EXCEEDED):
                return socket.inet_ntoa(data[_ERROR.size + 4 : _ERROR.size + 8])
    return "?"


def is_inside(address: str) -> bool:
    """Whether it is one that the world has no way to."""
    try:
        return any(ipaddress.ip_address(address) in each for each in _NOT_OF_THE_WORLD)
    except ValueError:
        return False


def _towards(patient: Patient) -> str:
    """Whose way is looked at: that of a server, if it is known without asking anybody."""
    for host in hosts(patient):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            continue
    return _WORLD


def double(patient: Patient) -> Iterable[Fault]:
    """One router at most translates; behind two, a port that is forwarded at one leads nowhere yet."""
    for uplink in uplinks(patient):
        if not any(is_inside(each.partition("/")[0]) for each in uplink.addresses4):
            continue
        try:
            first, second = routers(uplink.name, _towards(patient))
        except OSError:
            continue  # it has no way out: said elsewhere
        if is_inside(first) and is_inside(second):
            text = f"by {uplink.name} this machine is behind two routers that translate, {first} and {second}"
            cure = "put the first one into bridge mode, or forward ports at both; clients need neither"
            yield Fault(text, cure, grave=False)


def _netchecks(patient: Patient) -> Iterator[tuple[MeshConfig, NetcheckStatus]]:
    """Of clients that have peers, and run."""
    for role in patient.of("client"):
        assert isinstance(role.config, ClientConfig)  # of that role
        if role.config.mesh.relays and patient.picture(role) is not None:
            yield role.config.mesh, patient.netcheck(role)


def kind(patient: Patient) -> Iterable[Fault]:
    """The NAT maps all destinations alike, as relays see it from two ports each."""
    for _, found in _netchecks(patient):
        for each in found.sockets:
            if each.nat in _WORDS:
                text, cure = _WORDS[each.nat]
                yield Fault(text.format(each.uplink), cure, grave=False)


def reached(patient: Patient) -> Iterable[Fault]:
    """
    A port for peers that is to be open from outside is: one that the settings name, or that a router has mapped.

    The server tries it, by the uplink that its control link goes by. Others need no open port: peers meet at a relay.

    :raises HostError: the server does not say.
    """
    for config, found in _netchecks(patient):
        if config.port and not any(each.outside for each in found.sockets):
            raise HostError(f"whether UDP {config.port} is open from outside is not known: no server is reached")
        for each in found.sockets:
            host, _, port = each.local.rpartition(":")
            named = config.port and int(port) == config.port
            if not each.outside or not (named or _is_mapped(found, each)):
                continue
            if each.open == "closed":
                yield _closed(each, host, bool(named))
            elif each.open == "unknown":
                raise HostError(f"whether UDP {each.outside} is open from outside is not known: {_NOT_TRIED}")


def _closed(socket: SocketStatus, host: str, named: bool) -> Fault:
    who = "mesh.port names it" if named else "the router says that it leads here"
    text = f"UDP {socket.outside} is closed from outside at {socket.uplink}, and {who}: peers take longer to come here"
    give_up = "mesh.port 0" if named else "mesh.port_mapping false"
    cure = f"forward UDP {socket.outside} at the router to {host}, and let it pass the firewall here"
    return Fault(text, f"{cure}; or do without: morphnet set {give_up}", grave=False)


def _is_mapped(found: NetcheckStatus, socket: SocketStatus) -> bool:
    return any(each.rpartition(":")[2] == str(socket.outside) for each in found.mapped)


CHECKS = (
    Check("no NAT is behind another one", double, ("client", "server", "relay")),
    Check("its NAT is a kind one", kind, ("client",)),
    Check("ports for peers are open from outside", reached, ("client",)),
)
