"""
Homes: machines behind routers of every kind, that meet at relays on the internet.

Addresses of the public part are those for documentation (RFC 5737, RFC 3849).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from morphnet.lab.topologies import Bridge, Cable, End, Nat, Node, Route, Topology, Way, Wire

RELAYS = ("203.0.113.1", "203.0.113.5")  # the first and the second relay
RELAY6 = "2001:db8:f00::1"  # the first one


FAR = Way(0.01)


@dataclass(frozen=True, slots=True)
class Home:
    """One router with its kind of NAT, and the machines behind it."""

    nat: str = "easy"
    machines: int = 1
    way: Way = FAR  # of the wire to the internet, in each direction
    udp_timeout: int | None = None  # seconds
    v4: bool = True
    v6: bool = False

    def both(self, four: str, six: str) -> tuple[str, ...]:
        """Those of two addresses that it has."""
        return (*((four,) if self.v4 else ()), *((six,) if self.v6 else ()))


def homes(each: Sequence[Home], *, relays: int = 1, name: str = "homes") -> Topology:
    """
    m<i> (further ones m<i>b, m<i>c ..) -- nat<i> -wire out<i>- isp -- relay, relay2.

    Machines of one home share a network, 192.168.<i+1>.0/24; the isp knows no way to what a NAT hides.
    """
    numbered = list(enumerate(each))
    nodes = [Node("isp", True, tuple(route for i, home in numbered for route in _way_home(i, home)))]
    cables: list[Cable] = []
    for turn in range(relays):
        name_of = "relay" if not turn else f"relay{turn + 1}"
        base = 4 * turn
        out = Route("default", f"203.0.113.{base + 2}"), Route("::/0", _six(15, turn, 2))
        nodes.append(Node(name_of, routes=out))
        here = End(name_of, "eth0", (f"203.0.113.{base + 1}/30", f"{_six(15, turn, 1)}/64"))
        cables.append(Cable(here, End("isp", f"host{turn}", (f"203.0.113.{base + 2}/30", f"{_six(15, turn, 2)}/64"))))
    wires = []
    for i, home in numbered:
        nodes.append(_router(i, home))
        wires.append(_wire(i, home))
        for turn in range(home.machines):
            nodes.append(_machine(i, turn, home))
            cables.append(_cable(i, turn, home))
    bridges = tuple(_bridge(i, home) for i, home in numbered)
    nats = tuple(Nat(f"nat{i}", "br", "wan", home.nat, home.udp_timeout, f"192.168.{i + 1}.2") for i, home in numbered)
    return Topology(name, tuple(nodes), tuple(cables), tuple(wires), nats, bridges)


def machine(i: int, turn: int = 0) -> str:
    """The name of a machine's node: m0, m0b, m1 .."""
    return f"m{i}" + (chr(ord("a") + turn) if turn else "")


def _six(part: int, i: int, host: int) -> str:
    return f"2001:db8:{part:x}{i:02x}::{host:x}"


def _router(i: int, home: Home) -> Node:
    vias = home.both(f"198.51.100.{4 * i + 1}", _six(2, i, 1))
    return Node(f"nat{i}", True, tuple(Route("::/0" if ":" in via else "default", via) for via in vias))


def _way_home(i: int, home: Home) -> list[Route]:
    """Routes of the isp: none to what a NAT hides."""
    routes = []
    if home.v4 and home.nat in ("none", "firewall"):
        routes.append(Route(f"192.168.{i + 1}.0/24", f"198.51.100.{4 * i + 2}"))
    if home.v6:
        routes.append(Route(f"{_six(1, i, 0)}/64", _six(2, i, 2)))
    return routes


def _wire(i: int, home: Home) -> Wire:
    inner = home.both(f"198.51.100.{4 * i + 2}/30", f"{_six(2, i, 2)}/64")
    outer = home.both(f"198.51.100.{4 * i + 1}/30", f"{_six(2, i, 1)}/64")
    return Wire(f"out{i}", End(f"nat{i}", "wan", inner), End("isp", f"home{i}", outer), home.way, home.way)


def _machine(i: int, turn: int, home: Home) -> Node:
    vias = home.both(f"192.168.{i + 1}.1", _six(1, i, 1))
    routes = [Route("::/0" if ":" in via else "default", via, "eth0", 100) for via in vias]
    return Node(machine(i, turn), routes=tuple(routes))


def _cable(i: int, turn: int, home: Home) -> Cable:
    inner = home.both(f"192.168.{i + 1}.{2 + turn}/24", f"{_six(1, i, 2 + turn)}/64")
    return Cable(End(machine(i, turn), "eth0", inner), End(f"nat{i}", f"lan{turn}"), offloads=False)


def _bridge(i: int, home: Home) -> Bridge:
    addresses = home.both(f"192.168.{i + 1}.1/24", f"{_six(1, i, 1)}/64")
    return Bridge(f"nat{i}", "br", tuple(f"lan{turn}" for turn in range(home.machines)), addresses)
