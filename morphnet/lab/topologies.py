"""
Networks as data: who is there, what joins them, what stands between. A Box makes them real.

Addresses of the public part are those for documentation (RFC 5737, RFC 3849).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from morphnet.errors import BugError

NAT_KINDS = (
    "none",
    "one2one",
    "easy",
    "easy_af",
    "hard",
    "firewall",
    "udp_blocked",
    "udp_small",
    "udp_mute",
    "web_only",
)  # see lab/nft.py
SERVER, SERVER6 = "203.0.113.1", "2001:db8:ffff::1"
SECOND, SECOND6 = "192.0.2.1", "2001:db8:fffe::1"  # the server's other public address, if it has one
CLIENT, BESIDE, FAR = "203.0.113.2", "203.0.113.3", "203.0.113.4"  # in the network of the server, in `shared`
WORLD, WORLD6 = "10.99.0.2", "fd99::2"  # behind the server
FIRST_METRIC = 100


@dataclass(frozen=True, slots=True)
class Route:
    """One route; `to` is CIDR notation or "default" (IPv4) or "::/0"."""

    to: str
    via: str = ""
    device: str = ""
    metric: int = 0  # 0: what the kernel takes by itself
    table: int = 254

    def __str__(self) -> str:
        words = [self.to, f"via {self.via}" if self.via else "", f"dev {self.device}" if self.device else ""]
        return " ".join(word for word in [*words, f"metric {self.metric}" if self.metric else ""] if word)


@dataclass(frozen=True, slots=True)
class Node:
    """A machine; `forward` makes it a router."""

    name: str
    forward: bool = False
    routes: tuple[Route, ...] = ()
    hosts: Mapping[str, str] | None = None  # name to address, in its /etc/hosts


@dataclass(frozen=True, slots=True)
class End:
    """One end of a cable or wire: a device of a node, with its addresses in CIDR notation."""

    node: str
    device: str
    addresses: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join([f"{self.node}:{self.device}", *self.addresses])


@dataclass(frozen=True, slots=True)
class Cable:
    """Two ends joined as well as the kernel can (veth)."""

    a: End
    b: End
    mtu: int = 1500
    offloads: bool = True  # a run of packets crosses it as one, so that a router's rule on length sees their sum


@dataclass(frozen=True, slots=True)
class Way:
    """What one direction of a wire does to its packets; the defaults do nothing."""

    delay: float = 0.0  # seconds
    rate: float | None = None  # bit/s
    loss: float = 0.0  # 0 .. 1
    more: Mapping[str, Any] | None = None  # what else there is in lab/shape.py, as {"queue_ms": 50, "mtu": 1400}

    def parameters(self) -> dict[str, Any]:
        """As lab/wire.py takes them."""
        named: dict[str, Any] = {"delay": self.delay, "rate": self.rate, "loss": self.loss}
        return {name: value for name, value in named.items() if value} | dict(self.more or {})


@dataclass(frozen=True, slots=True)
class Wire:
    """Two ends joined by a wire with length, width and faults, changeable while it is in use."""

    name: str
    a: End
    b: End
    there: Way = Way()  # from a to b
    back: Way = Way()
    mtu: int = 1500  # of the devices at both ends


@dataclass(frozen=True, slots=True)
class Nat:
    """What a router does between its inside and its outside."""

    node: str
    inside: str
    outside: str
    kind: str = "easy"
    udp_timeout: int | None = None  # seconds until a silent UDP mapping is forgotten; None: as the kernel does
    host: str = ""  # the address inside that strangers reach, where the kind lets them in

    def __post_init__(self) -> None:
        if self.kind not in NAT_KINDS:
            raise BugError(f"node {self.node}: no NAT kind {self.kind}; there are {', '.join(NAT_KINDS)}")


@dataclass(frozen=True, slots=True)
class Bridge:
    """A switch inside a node, with an address of its own."""

    node: str
    device: str
    ports: tuple[str, ...]  # devices of cables
    addresses: tuple[str, ...] = ()  # CIDR notation


@dataclass(frozen=True, slots=True)
class Topology:
    """A whole network."""

    name: str
    nodes: tuple[Node, ...]
    cables: tuple[Cable, ...] = ()
    wires: tuple[Wire, ...] = ()
    nats: tuple[Nat, ...] = ()
    bridges: tuple[Bridge, ...] = ()

    def __post_init__(self) -> None:
        names = {node.name for node in self.nodes}
        used = {end.node for joint in self.joints() for end in (joint.a, joint.b)}
        used |= {nat.node for nat in self.nats}
        if used - names:
            raise BugError(f"topology {self.name}: no node {', '.join(sorted(used - names))}")

    def joints(self) -> list[Cable | Wire]:
        """All that joins two nodes."""
        return [*self.cables, *self.wires]

    def ends(self) -> list[tuple[End, int]]:
        """Every device of every node, with its MTU."""
        return [(end, joint.mtu) for joint in self.joints() for end in (joint.a, joint.b)]

    def describe(self) -> list[str]:
        """What a Box of this would make, line by line."""
        lines = [f"topology {self.name}"]
        for node in self.nodes:
            lines.append(f"node {node.name}{' forwards' if node.forward else ''}")
            lines += [f"  route {route}" for route in node.routes]
            lines += [f"  host {name} {address}" for name, address in (node.hosts or {}).items()]
        for cable in self.cables:
            apart = "" if cable.offloads else ", packet by packet"
            lines.append(f"cable {cable.a} <-> {cable.b} mtu {cable.mtu}{apart}")
        for wire in self.wires:
            lines.append(f"wire {wire.name}: {wire.a} <-> {wire.b} mtu {wire.mtu}")
            for name, way in (("there", wire.there), ("back", wire.back)):
                words = [
                    f"{key} {value:.12g}" if isinstance(value, float) else f"{key} {value}"
                    for key, value in way.parameters().items()
                ]
                lines.append(f"  {name}: {', '.join(words) or 'nothing in the way'}")
        for bridge in self.bridges:
            lines.append(f"bridge {bridge.node}:{bridge.device} {' '.join((*bridge.addresses, *bridge.ports))}")
        for nat in self.nats:
            timeout = f", UDP forgotten after {nat.udp_timeout} s" if nat.udp_timeout is not None else ""
            lines.append(f"nat {nat.node}: {nat.inside} -> {nat.outside}, {nat.kind}{timeout}")
        return lines


@dataclass(frozen=True, slots=True)
class Uplink:
    """One way of the client into the internet: a wire to a router, and that router."""

    there: Way = Way()  # from the client
    back: Way = Way()
    nat: str = "easy"
    udp_timeout: int | None = None  # seconds
    mtu: int = 1500

    @classmethod
    def like(cls, delay: float, rate: float | None = None, *, loss: float = 0.0, nat: str = "easy") -> Uplink:
        """The same in both directions; `delay` in seconds one way, `rate` in bit/s."""
        return cls(Way(delay, rate, loss), Way(delay, rate, loss), nat)


def uplinks(
    ways: Sequence[Uplink], *, v6: bool = False, second_address: bool = False, name: str = "uplinks"
) -> Topology:
    """
    client -wire wan<i>- nat<i> -- isp -- server -- world.

    :param v6: give everybody IPv6 addresses too; the routers forward those and translate nothing.
    :param second_address: a second public address of the server, on a device of its own (`eth2`).
    """
    numbered = list(enumerate(ways))
    server = _server(v6, second_address)
    isp_routes = [route for i, way in numbered for route in _ways_home(i, way, v6)]
    routers = [Node(f"nat{i}", True, _both(v6, f"198.51.100.{4 * i + 1}", f"2001:db8:100:{i}::1")) for i, _ in numbered]
    client_routes = [
        route
        for i, _ in numbered
        for route in _both(v6, f"192.168.{i + 1}.1", f"2001:db8:{i + 1}::1", f"wan{i}", FIRST_METRIC + i)
    ]
    nodes = [Node("client", routes=tuple(client_routes)), *routers, Node("isp", True, tuple(isp_routes)), server]
    return Topology(
        name,
        (*nodes, Node("world")),
        (*(_to_isp(i, v6) for i, _ in numbered), *_around_server(v6, second_address)),
        tuple(_wire(i, way, v6) for i, way in numbered),
        tuple(Nat(f"nat{i}", "lan", "wan", way.nat, way.udp_timeout, f"192.168.{i + 1}.2") for i, way in numbered),
    )


def two_uplinks(
    delays: Sequence[float] = (0.01, 0.03),
    rates: Sequence[float | None] = (20e6, 20e6),
    nat: str = "easy",
    *,
    v6: bool = False,
    second_address: bool = False,
) -> Topology:
    """As many uplinks as there are delays (seconds one way) and rates (bit/s)."""
    ways = [Uplink.like(delay, rate, nat=nat) for delay, rate in zip(delays, rates, strict=True)]
    return uplinks(ways, v6=v6, second_address=second_address, name="two_uplinks")


def direct(way: Way | None = None, *, v6: bool = True) -> Topology:
    """client -- server -- world: a cable, or with `way` a wire (`wan0`) that does so in both directions."""
    a = End("client", "wan0", _addresses(v6, "203.0.113.2/24", "2001:db8:ffff::2/64"))
    b = End("server", "eth0", _addresses(v6, f"{SERVER}/24", f"{SERVER6}/64"))
    behind = _around_server(v6, False)[1]
    nodes = (Node("client"), Node("server"), Node("world"))
    if way is None:
        return Topology("direct", nodes, (Cable(a, b), behind))
    return Topology("direct", nodes, (behind,), (Wire("wan0", a, b, way, way),))


def cables(count: int) -> Topology:
    """client -- server by so many cables (`wan0` ..), nothing between them: uplinks that nobody shapes."""
    joined = tuple(
        Cable(
            End("client", f"wan{i}", (f"192.168.{i + 1}.2/24",)),
            End("server", f"eth{i}", (f"192.168.{i + 1}.1/24", *((f"{SERVER}/24",) if not i else ()))),
        )
        for i in range(count)
    )
    routes = tuple(Route("default", f"192.168.{i + 1}.1", f"wan{i}", FIRST_METRIC + i) for i in range(count))
    return Topology("cables", (Node("client", routes=routes), Node("server")), joined)


def shared(way: Way) -> Topology:
    """
    One network, with `client` and `beside` on this side of the wire `shared`, and `server` and `far` on the other.

    What `client` and `server` carry and what the others carry meet in the wire's one queue, in both directions; what
    leads to it is faster than anybody is.
    """
    sides = (("home", ("client", CLIENT), ("beside", BESIDE)), ("isp", ("server", SERVER), ("far", FAR)))
    nodes, cabled, bridges = list[Node](), list[Cable](), list[Bridge]()
    for switch, *machines in sides:
        nodes += [Node(switch), *(Node(name) for name, _ in machines)]
        for name, address in machines:
            cabled.append(Cable(End(name, "wan0", (f"{address}/24",)), End(switch, f"to_{name}")))
        bridges.append(Bridge(switch, "lan", ("to_wire", *(f"to_{name}" for name, _ in machines))))
    wire = Wire("shared", End("home", "to_wire"), End("isp", "to_wire"), way, way)
    return Topology("shared", tuple(nodes), tuple(cabled), (wire,), bridges=tuple(bridges))


def _addresses(v6: bool, four: str, six: str) -> tuple[str, ...]:
    return (four, six) if v6 else (four,)


def _both(v6: bool, four: str, six: str, device: str = "", metric: int = 0) -> tuple[Route, ...]:
    routes = (Route("default", four, device, metric), Route("::/0", six, device, metric))
    return routes if v6 else routes[:1]


def _ways_home(i: int, way: Uplink, v6: bool) -> list[Route]:
    """Routes of the isp to the client's networks: none to what a NAT hides."""
    routes = []
    if way.nat in ("none", "firewall"):
        routes.append(Route(f"192.168.{i + 1}.0/24", f"198.51.100.{4 * i + 2}"))
    if v6:
        routes.append(Route(f"2001:db8:{i + 1}::/64", f"2001:db8:100:{i}::2"))
    return routes


def _server(v6: bool, second_address: bool) -> Node:
    routes = _both(v6, "203.0.113.254", "2001:db8:ffff::fe", "eth0", FIRST_METRIC)
    if second_address:
        routes += _both(v6, "192.0.2.254", "2001:db8:fffe::fe", "eth2", FIRST_METRIC + 1)
    return Node("server", routes=routes)


def _wire(i: int, way: Uplink, v6: bool) -> Wire:
    a = End("client", f"wan{i}", _addresses(v6, f"192.168.{i + 1}.2/24", f"2001:db8:{i + 1}::2/64"))
    b = End(f"nat{i}", "lan", _addresses(v6, f"192.168.{i + 1}.1/24", f"2001:db8:{i + 1}::1/64"))
    return Wire(f"wan{i}", a, b, way.there, way.back, way.mtu)


def _to_isp(i: int, v6: bool) -> Cable:
    a = End(f"nat{i}", "wan", _addresses(v6, f"198.51.100.{4 * i + 2}/30", f"2001:db8:100:{i}::2/64"))
    b = End("isp", f"home{i}", _addresses(v6, f"198.51.100.{4 * i + 1}/30", f"2001:db8:100:{i}::1/64"))
    return Cable(a, b)


def _around_server(v6: bool, second_address: bool) -> list[Cable]:
    """The cables of the server: to the isp, to the world, and to the isp again."""
    first = End("isp", "hosting", _addresses(v6, "203.0.113.254/24", "2001:db8:ffff::fe/64"))
    inside = End("server", "eth1", _addresses(v6, "10.99.0.1/24", "fd99::1/64"))
    world = End("world", "eth0", _addresses(v6, f"{WORLD}/24", f"{WORLD6}/64"))
    cables = [
        Cable(first, End("server", "eth0", _addresses(v6, f"{SERVER}/24", f"{SERVER6}/64"))),
        Cable(inside, world),
    ]
    if second_address:
        second = End("isp", "hosting2", _addresses(v6, "192.0.2.254/24", "2001:db8:fffe::fe/64"))
        cables.append(Cable(second, End("server", "eth2", _addresses(v6, f"{SECOND}/24", f"{SECOND6}/64"))))
    return cables


def _hard_nats() -> Topology:
    return two_uplinks(nat="hard")


def _with_v6() -> Topology:
    return two_uplinks(v6=True, second_address=True)


def _two_cables() -> Topology:
    return cables(2)


def _shared() -> Topology:
    return shared(Way(0.01, 100e6))


NAMED: dict[str, Callable[[], Topology]] = {
    "direct": direct,
    "two_cables": _two_cables,
    "two_uplinks": two_uplinks,
    "hard_nats": _hard_nats,
    "with_v6": _with_v6,
    "shared": _shared,
}
